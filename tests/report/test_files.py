"""What the report's files say, each from a ledger written for the purpose."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.ledger.events import PoolEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.readers.spreadsheets import GUARDED, restored
from dal_nlp.report import files as report
from dal_nlp.report.model_card import model_card
from dal_nlp.session.result import Result

Event = dict[str, Any]
CONFIG = {
    "task": "sentiment",
    "model": "minilm",
    "strategy": "margin",
    "initial_strategy": "kmeans",
    "seed": 3,
    "budget": 60,
}
HOSTILE = "<script>alert('x')</script> & <img src=x onerror=alert(1)>"


def run_started(**config: Any) -> list[Event]:
    return [
        {"event": "config", "config": CONFIG | config, "digests": {}, "labels": ["neg", "pos"]},
        {
            "event": "pool",
            "rows": 1234,
            "file": "reviews.csv",
            "digest": "d",
            "added": 0,
            "gone": 0,
            "rejected": {"empty text": 7, "also in the test set": 2},
        },
    ]


def query(round: int, texts: list[str] | None = None, answered: int = 10, **extra: Any) -> list[Event]:
    """Ten questions of a round (or ``texts``), the first ``answered`` of them with an answer."""
    texts = texts or [f"text {round}-{place}" for place in range(10)]
    ids = [f"r{round}-{place}" for place in range(len(texts))]
    asked = {
        "event": "query",
        "round": round,
        "ids": ids,
        "scores": [1 / (place + 3) for place in range(len(texts))],
        "texts": texts,
        "strategy": "margin" if round else "kmeans",
        "pool_seconds": 2.5 + round,
        "choose_seconds": 0.25,
        "notes": {},
    }
    answers = [{"event": "label", "round": round, "id": id, "target": "pos"} for id in ids[:answered]]
    return [asked | extra, *answers]


def guess(target: Any, confidence: float = 0.25, *marks: list[int]) -> dict[str, Any]:
    return {"target": target, "confidence": confidence, "marks": list(marks)}


def measured(round: int, accuracy: float, labels: int | None = None, **extra: Any) -> Event:
    return {
        "event": "metrics",
        "round": round,
        "labels": 10 * (round + 1) if labels is None else labels,
        "values": {"accuracy": accuracy, "macro_f1": accuracy - 0.05},
        "intervals": {"accuracy": [accuracy - 0.04, accuracy + 0.04]},
        "on": "test",
        "train_seconds": 30.5,
        "eval_seconds": 1.5,
        "steps": 60,
        "loss": 0.3,
        "attempts": 1,
        "collapsed": False,
        "breakdown": [
            {"label": "neg", "count": 150, "predicted": 100, "recall": 0.612, "precision": 0.9, "f1": 0.72},
            {"label": "pos", "count": 150, "predicted": 200, "recall": 0.934, "precision": 0.7, "f1": 0.81},
        ],
        "validation": None,
    } | extra


def rounds(n: int) -> list[Event]:
    return [event for round in range(n) for event in (*query(round), measured(round, 0.5 + round / 23))]


def state_of(folder: Path, events: list[Event]) -> State:
    lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in events]
    (folder / "ledger.jsonl").write_text("".join(lines), encoding="utf-8")
    return read_state(folder)


class Page(HTMLParser):
    """The visible text of a page, its tags and its attributes."""

    VOID = ("meta", "br", "img", "link", "path", "use")

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.source = (folder / "report.html").read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.marked: list[str] = []
        self.cells: list[str] = []
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("td", "mark"):
            (self.cells if tag == "td" else self.marked).append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data
        if "mark" in self.open:
            self.marked[-1] += data
        if not {"style", "svg"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(folder: Path, events: list[Event]) -> Page:
    report.write_report(folder, state_of(folder, events))
    return Page(folder)


@pytest.fixture
def finished(tmp_path: Path) -> Iterator[tuple[Path, State]]:
    stopped = {"event": "stopped", "why": "the budget of 60 labels is spent", "read_test": False}
    yield tmp_path, state_of(tmp_path, [*run_started(), *rounds(4), stopped])


def test_metrics_csv_has_the_promised_columns_and_exact_numbers(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_metrics(folder, state)
    header, first, *_, last = (folder / "metrics.csv").read_bytes().decode().splitlines()
    seconds = "train_seconds,pool_seconds,choose_seconds,eval_seconds,encode_seconds,load_seconds"
    assert header == f"round,labels,accuracy,macro_f1,{seconds}"
    assert first == "0,10,0.5,0.45,30.5,2.5,0.25,1.5,0.0,0.0"
    assert last == f"3,40,{0.5 + 3 / 23!r},{0.5 + 3 / 23 - 0.05!r},30.5,5.5,0.25,1.5,0.0,0.0"


def test_metrics_csv_has_a_line_where_the_labels_were_there_from_the_start(tmp_path: Path) -> None:
    (asked,) = query(0, answered=0, ids=[], scores=[], pool_seconds=0.0, choose_seconds=0.0)
    events = [*run_started(), asked | {"texts": []}, measured(0, 0.5, labels=80)]
    report.write_metrics(tmp_path, state_of(tmp_path, events))
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] == "0,80,0.5,0.45,30.5,0.0,0.0,1.5,0.0,0.0"


def test_a_metric_that_a_later_start_leaves_out_or_adds_is_empty_in_other_rounds(tmp_path: Path) -> None:
    more = {"values": {"accuracy": 0.5, "half": 0.5}, "added": ["half"]}
    events = [*run_started(), *query(0), measured(0, 0.5, **more), *query(1), measured(1, 0.6)]
    state = state_of(tmp_path, events)
    report.write_all(tmp_path, state)
    header, *rows = csv.reader((tmp_path / "metrics.csv").read_text().splitlines())
    assert header[2:5] == ["accuracy", "half", "macro_f1"]
    assert [row[2:5] for row in rows] == [["0.5", "0.5", "nan"], ["0.6", "nan", "0.5499999999999999"]]
    _, (first, second) = report.rounds_table(state)
    assert [first[3:5], second[3:5]] == [["[0.46, 0.54]", "0.500"], ["[0.56, 0.64]", ""]]
    assert report.curve_lines(state.metrics, "half")[1][0].values[0] == 0.5
    assert model_card(tmp_path, state).count("| macro F1 | 0.550 |") == 1
    shown = Result(tmp_path, [event.as_dict() for event in state.metrics], {}, None, "", [], None, [])._repr_html_()
    assert shown.count("<td></td>") == 2


def test_queries_csv_keeps_ids_scores_and_texts(tmp_path: Path) -> None:
    texts = ["plain", 'with "quotes", commas', "two\nlines", "one\rreturn", "日本語のテキスト", " =indented"]
    events = [*run_started(), *query(0, texts, answered=0), *query(1)]
    report.write_queries(tmp_path, state_of(tmp_path, events))
    with (tmp_path / "queries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["round", "rank", "id", "score", "text", "model_answer", "confidence", "characters"]
    assert [int(row["characters"]) for row in rows[:6]] == list(map(len, texts))
    assert {(row["model_answer"], row["confidence"]) for row in rows} == {("", "")}  # ledgers of older versions
    assert [row["text"] for row in rows[:6]] == texts
    assert [(row["round"], row["rank"], row["id"]) for row in rows[5:7]] == [("0", "6", "r0-5"), ("1", "1", "r1-0")]
    assert [float(row["score"]) for row in rows[:6]] == [1 / (place + 3) for place in range(6)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])  # noqa: RUF001
def test_queries_csv_disarms_formulas_in_texts_and_ids_and_can_be_read_back(tmp_path: Path, start: str) -> None:
    events = [*run_started(), *query(0, [f"{start}HYPERLINK(1)"], answered=0, ids=["-17"], scores=[-0.5])]
    report.write_queries(tmp_path, state_of(tmp_path, events))
    with (tmp_path / "queries.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["text"] == f"'{start}HYPERLINK(1)"
    assert (row["id"], row["score"], row[GUARDED]) == ("'-17", "-0.5", "id, text")
    assert [restored(row)[name] for name in ("id", "text")] == ["-17", f"{start}HYPERLINK(1)"]


def test_queries_csv_has_what_the_model_would_have_answered(tmp_path: Path) -> None:
    guesses = [guess("pos", 1 / 3), guess({"text": ["=1+1"], "answer_start": [4]}, 0.5), guess({"text": []}, 1e-9)]
    texts = ["one", "two", "three"]
    events = [*run_started(), *query(0, texts, guesses=[]), *query(1, texts, guesses=guesses)]
    report.write_queries(tmp_path, state_of(tmp_path, events))
    with (tmp_path / "queries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model_answer"] for row in rows] == ["", "", "", "pos", "'=1+1", "no answer"]
    assert [row["confidence"] for row in rows] == ["", "", "", repr(1 / 3), "0.5", "1e-09"]


def test_page_says_what_was_reached_and_what_it_cost(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_report(folder, state)
    page = Page(folder)
    assert report.headline(state) == "accuracy 0.630 [0.59, 0.67] at 40 labels"
    for part in (
        "sentiment · minilm · margin",
        report.headline(state),
        "measured on the 300 examples of the test set",
        "First choice by kmeans, then by margin; seed 3.",
        "Labels bought 40 of a budget of 60",
        "1,234 texts 3.2 % of them labeled",
        "Models trained 4 round 0 to 3",
        "Why it ended. The budget of 60 labels is spent.",
        "neg 150 100 0.612 0.900 0.720",
        "initial labels 10 queries 30 total 40",
        "training 2 min 02 s scoring the pool 16.0 s choosing 1.0 s evaluating 6.0 s",
        "1,234 rows from reviews.csv",
        "empty text 7 also in the test set 2",
    ):
        assert part in page.text, part
    assert "Test labels decided" not in page.text
    assert "Pseudo" not in page.text


def test_page_has_the_table_of_rounds(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_report(folder, state)
    header, rows = report.rounds_table(state)
    assert header == ["round", "labels", "accuracy", "95 %", "macro_f1", "train", "pool", "choose", "eval"]
    assert rows[1] == ["1", "20", "0.543", "[0.50, 0.58]", "0.493", "30.5 s", "3.5 s", "0.2 s", "1.5 s"]
    text = Page(folder).text
    assert all(" ".join(row) in text for row in [header, *rows])


def test_rounds_table_has_a_column_for_validation_and_none_for_missing_intervals(tmp_path: Path) -> None:
    numbers = measured(0, 0.5, validation={"accuracy": 0.75, "macro_f1": 0.5}, intervals={})
    events = [*run_started(), *query(0), numbers]
    header, rows = report.rounds_table(state_of(tmp_path, events))
    assert header[2:6] == ["accuracy", "macro_f1", "validation accuracy", "validation macro_f1"]
    assert rows == [["0", "10", "0.500", "0.450", "0.750", "0.500", "30.5 s", "2.5 s", "0.2 s", "1.5 s"]]


@pytest.mark.pictures
def test_page_needs_nothing_but_itself(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_report(folder, state)
    page = Page(folder)
    assert not {"script", "link", "img", "iframe", "object", "image"} & set(page.tags)
    links = [value or "" for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset")]
    assert all(value.startswith("#") for value in links)
    assert "@import" not in page.source
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page.source))


@pytest.mark.pictures
def test_page_fits_a_phone_and_the_dark(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_report(folder, state)
    page = Page(folder)
    assert ("content", "width=device-width, initial-scale=1") in page.attributes
    assert "color-scheme: light dark" in page.source and "--ink: light-dark(" in page.source
    assert page.source.count("<table") == page.source.count('tabindex="0"><table') > 4  # each in its scrolling box
    svg = page.source[page.source.index("<svg") : page.source.index("</svg>")]
    assert "var(--first)" in svg and "var(--second)" in svg and "var(--ink)" in svg
    assert "var(" not in (folder / "curve.svg").read_text(encoding="utf-8")


@pytest.mark.pictures
def test_curve_is_drawn_with_band_and_words(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_report(folder, state)
    svg = (folder / "curve.svg").read_text(encoding="utf-8")
    for words in ("accuracy", "macro F1", "95 % interval", "labels"):
        assert f">{words}</text>" in svg
    assert svg.count('class="band"') == 1 and svg.count("<circle") == 2 * (len(state.metrics) + 1)
    words = dict(Page(folder).attributes[::-1])["aria-label"]
    labels = [value for name, value in Page(folder).attributes if name == "aria-label"]
    assert words and any("accuracy 0.50 at 10 labels, 0.54 at 20 labels" in (value or "") for value in labels)
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.pictures
def test_same_state_gives_the_same_bytes(finished: tuple[Path, State]) -> None:
    folder, state = finished
    names = ("metrics.csv", "queries.csv", "report.html", "curve.svg", "curve.png")
    report.write_all(folder, state)
    first = {name: (folder / name).read_bytes() for name in names}
    report.write_all(folder, read_state(folder))
    assert {name: (folder / name).read_bytes() for name in names} == first
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "ledger.jsonl"])


def test_png_is_drawn_again_only_for_another_curve(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_report(folder, state)
    before = (folder / "curve.png").stat().st_mtime_ns, (folder / "curve.png").stat().st_ino
    report.write_report(folder, state)
    assert ((folder / "curve.png").stat().st_mtime_ns, (folder / "curve.png").stat().st_ino) == before
    state.metrics.pop()
    report.write_report(folder, state)
    assert (folder / "curve.png").stat().st_ino != before[1]


def test_report_of_a_drawn_curve_loads_no_matplotlib(finished: tuple[Path, State]) -> None:
    folder, state = finished
    report.write_report(folder, state)
    code = (
        "import sys; from pathlib import Path; from dal_nlp.ledger.ledger import read_state\n"
        "from dal_nlp.report.files import write_all\n"
        "write_all(Path(sys.argv[1]), read_state(Path(sys.argv[1])))\n"
        "print([name for name in ('matplotlib', 'scipy', 'pandas', 'torch') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_texts_labels_and_notes_are_escaped(tmp_path: Path) -> None:
    events = run_started(model=HOSTILE, strategy=HOSTILE)
    events[0]["labels"] = [HOSTILE]
    events[1] |= {"file": HOSTILE, "rejected": {HOSTILE: 1}}
    events += query(0, [HOSTILE, "b"], answered=0, ids=[HOSTILE, "other"], strategy=HOSTILE)
    events += [
        {"event": "label", "round": 0, "id": HOSTILE, "target": HOSTILE},
        {"event": "skip", "round": 0, "id": "other", "reason": HOSTILE},
        {"event": "note", "text": HOSTILE},
        {"event": "pseudo", "round": 0, "ids": ["p"], "targets": [HOSTILE], "weight": 0.5},
        measured(0, 0.5, values={HOSTILE: 0.5}, intervals={}, breakdown=[{"label": HOSTILE, "count": 1}]),
        {"event": "stopped", "why": HOSTILE, "read_test": False},
    ]
    page = page_of(tmp_path, events)
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count(" ".join(HOSTILE.split())) >= 9
    assert "onerror" not in dict(page.attributes)


def test_long_text_is_cut_and_kept_in_the_title(tmp_path: Path) -> None:
    long = "word " * 2000
    page = page_of(tmp_path, [*run_started(), *query(0, [long, "x" * 280])])
    titles = [value or "" for name, value in page.attributes if name == "title"]
    assert [len(title) for title in titles] == [2003]  # the cell that fits has none
    assert long[:275].strip() in page.text and long[:300].strip() not in page.text
    assert len(page.source) < 20_000


def test_only_the_last_rounds_and_the_first_hundred_texts_are_listed(tmp_path: Path) -> None:
    events = [*run_started(), *rounds(7), *query(7, [f"number {place}!" for place in range(130)], answered=130)]
    page = page_of(tmp_path, events)
    assert page.tags.count("details") == 5
    assert "The last 5 rounds; queries.csv has all 8." in page.text
    assert page.text.index("Round 7: 130 chosen by margin") < page.text.index("Round 3: 10 chosen by margin")
    assert "Round 2:" not in page.text
    assert "number 99!" in page.text and "number 100!" not in page.text
    assert "30 more are in queries.csv." in page.text


def test_answers_skips_and_open_questions_are_told_apart(tmp_path: Path) -> None:
    events = [*run_started(), *query(0, ["one", "two", "three"], answered=1)]
    events += [{"event": "skip", "round": 0, "id": "r0-1", "reason": "no answer in the file"}]
    text = page_of(tmp_path, events).text
    assert "1 one pos 3 0.3333 r0-0 2 two skipped: no answer in the file 3 0.25 r0-1" in text
    assert "3 three waiting for an answer 5 0.2 r0-2" in text
    assert "Read for them: 6 characters, 3 for each answer." in text
    assert "1 skipped: no answer in the file" in text
    assert "Where it stands. Not finished: answers still missing: 1; the same command goes on from here." in text


def test_audit_sample_is_named_itemised_and_explained(tmp_path: Path) -> None:
    ids = [f"a{place}" for place in range(25)]
    audit = [{"event": "audit", "ids": ids, "texts": ids}]
    audit += [{"event": "label", "round": None, "id": id, "target": "neg"} for id in ids[:24]]
    audit += [{"event": "skip", "round": None, "id": "a24", "reason": "unreadable"}]
    page = page_of(tmp_path, [*run_started(), *audit, *query(0), measured(0, 0.8, on="audit")])
    assert "measured on 24 labels drawn at random (the audit sample), on which no model trains." in page.text
    assert "accuracy 0.800 [0.76, 0.84] at 10 labels" in page.text
    assert "audit sample 24 initial labels 10 total 34" in page.text


def test_given_labels_are_counted_and_cost_nothing(tmp_path: Path) -> None:
    events = [*run_started(), *query(0), measured(0, 0.8, labels=260), *query(1)]  # no model has seen round 1 yet
    text = page_of(tmp_path, events).text
    assert "From the start there were 250 labels to train on" in text
    assert "initial labels 10 queries 10 total 20" in text
    assert "there from the start" not in page_of(tmp_path, [*run_started(), *rounds(2), *query(2)]).text


def test_test_labels_that_stopped_the_run_are_a_warning(tmp_path: Path) -> None:
    stopped = {"event": "stopped", "why": "accuracy 0.91 reached the target of 0.9", "read_test": True}
    events = [*run_started(), *rounds(2), stopped]
    assert "Test labels decided when this run stopped." in page_of(tmp_path, events).text
    for later in (run_started(), run_started()[1:]):  # another budget; new rows in the pool
        assert "Test labels decided" not in page_of(tmp_path, [*events, *later, *query(2)]).text


def test_pseudo_labels_are_listed_apart(tmp_path: Path) -> None:
    pseudo = {"event": "pseudo", "round": 1, "ids": ["p", "q", "s"], "targets": ["neg", "pos", "pos"], "weight": 0.3}
    text = page_of(tmp_path, [*run_started(), *rounds(1), *query(1, answered=0), pseudo]).text
    assert "1 3 0.300 pos: 2, neg: 1" in text
    assert "Labels bought 10 of" in text


def test_near_duplicates_are_counted_over_all_rounds(tmp_path: Path) -> None:
    asked = [*query(0), *query(1)]
    assert "Near-duplicates" not in page_of(tmp_path, [*run_started(), *asked]).text
    for event, count in zip((e for e in asked if e["event"] == "query"), (3, 1200), strict=True):
        event["notes"] = {"near_duplicates": count}
    text = page_of(tmp_path, [*run_started(), *asked]).text
    assert "Near-duplicates passed over, of labeled texts or of others in the same round: 1,203" in text


def test_class_without_examples_has_no_recall(tmp_path: Path) -> None:
    breakdown = [{"label": "rare", "count": 0, "recall": 0.0}, {"label": "pos", "count": 3, "recall": 0.0}]
    text = page_of(tmp_path, [*run_started(), *query(0), measured(0, 0.8, breakdown=breakdown)]).text
    assert "rare 0 pos 3 0.000" in text


@pytest.mark.parametrize("events", [[], run_started()[:1], run_started(), [*run_started(), *query(0, answered=0)]])
def test_run_that_has_just_begun(tmp_path: Path, events: list[Event]) -> None:
    state = state_of(tmp_path, events)
    report.write_all(tmp_path, state)
    page = Page(tmp_path)
    assert "No round is finished yet" in page.text
    assert "svg" not in page.tags and not (tmp_path / "curve.svg").exists()
    seconds = "train_seconds,pool_seconds,choose_seconds,eval_seconds,encode_seconds,load_seconds"
    assert (tmp_path / "metrics.csv").read_text() == f"round,labels,{seconds}\n"
    assert report.rounds_table(state)[1] == []
    assert report.headline(state) == ""


@pytest.mark.pictures
def test_one_round_is_a_point_with_its_interval(tmp_path: Path) -> None:
    page = page_of(tmp_path, [*run_started(), *rounds(1)])
    assert "accuracy 0.500 [0.46, 0.54] at 10 labels" in page.text
    assert ">95 % interval</text>" in page.source
    assert "LineCollection" in page.source  # the bar, where a band would have no width


def test_labels_metrics_and_texts_in_any_script(tmp_path: Path) -> None:
    breakdown = [{"label": "好评", "count": 5, "recall": 0.4}]
    events = [*run_started(task="情感"), *query(0, ["これは良い映画です", "فيلم رائع"])]
    events += [
        measured(0, 0.5, values={"正確さ$\\x$": 0.5}, intervals={"正確さ$\\x$": [0.4, 0.6]}, breakdown=breakdown)
    ]
    page = page_of(tmp_path, events)
    for part in ("情感 · minilm", "これは良い映画です", "فيلم رائع", "好评 5 0.400", "正確さ$\\x$ 0.500 [0.40, 0.60]"):
        assert part in page.text
    assert ("dir", "auto") in page.attributes


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ({"text": "Zürich", "start": 4}, "Zürich"),
        ({"text": ["in Zürich", "Zürich", "in Zürich"], "answer_start": [1, 4, 1]}, "in Zürich | Zürich"),
        ({"text": [], "answer_start": []}, "no answer"),
        ({"start": 4}, '{"start": 4}'),
        (3, "3"),
    ],
)
def test_targets_are_shown_as_people_read_them(tmp_path: Path, target: Any, shown: str) -> None:
    events: list[Event] = [*run_started(), *query(0, ["zero"]), *query(1, ["one"], answered=0, guesses=[guess(target)])]
    events.append({"event": "pseudo", "round": 1, "ids": ["p"], "targets": [target], "weight": 0.5})
    events.append({"event": "label", "round": 1, "id": "r1-0", "target": target})
    text = page_of(tmp_path, events).text
    assert f"1 one {shown} 0.25 {shown} 3 0.3333 r1-0" in text
    assert f"1 1 0.500 {shown}: 1" in text


def test_the_model_answers_stand_beside_the_teams_where_there_are_any(tmp_path: Path) -> None:
    guesses = [guess("neg", 0.8125), guess("pos", 0.00042)]
    page = page_of(tmp_path, [*run_started(), *query(0, ["a", "b"]), *query(1, ["c", "d"], guesses=guesses)])
    assert "rank text model's answer answer characters score id 1 c neg 0.812 pos 1 0.3333 r1-0" in page.text
    assert "2 d pos 0.00042 pos" in page.text
    assert "rank text answer characters score id 1 a pos 1 0.3333 r0-0" in page.text
    assert page.source.count("model's answer</th>") == 1
    assert "<mark>" not in page.source  # a label points at no part of the text


def test_marked_parts_of_a_text_are_highlighted_and_line_breaks_kept(tmp_path: Path) -> None:
    texts = ["\"Who's <b>?\n\nIt was <i>Łukasz &amp; 👩‍🚀 co</i>, they said. " + "And more. " * 40, "plain " * 100]
    start = texts[0].index("<i>Ł")
    end = texts[0].index(", they")
    guesses = [guess("x", 0.5, [start, end]), guess("y", 0.5)]
    page = page_of(tmp_path, [*run_started(), *query(0, ["zero"]), *query(1, texts, guesses=guesses)])
    assert page.marked == ["<i>Łukasz &amp; 👩‍🚀 co</i>"]
    assert not {"b", "i"} & set(page.tags)
    (cell,) = [cell for cell in page.cells if "Who" in cell]
    assert cell == texts[0]  # in full
    assert "white-space: pre-line" in page.source
    assert ("class", "text whole") in page.attributes
    assert [cell for cell in page.cells if "plain" in cell] == [texts[1]]  # and so is one without an answer


def test_colours_of_highlights_are_there_for_light_and_dark(finished: tuple[Path, State]) -> None:
    report.write_report(*finished)
    source = Page(finished[0]).source
    for name in ("mark", "mark-ink"):
        assert re.search(rf"--{name}: light-dark\(#[0-9a-f]{{6}}, #[0-9a-f]{{6}}\)", source)


def test_full_groups_are_counted_over_all_rounds(tmp_path: Path) -> None:
    asked = [*query(0), *query(1)]
    assert "query.max_per_group" not in page_of(tmp_path, [*run_started(), *asked]).text
    for event in (e for e in asked if e["event"] == "query"):
        event["notes"] = {"held_by_group": 600, "fewer_by_group": 2}
    text = page_of(tmp_path, [*run_started(), *asked]).text
    assert "their group already had its part of the round (query.max_per_group): 1,200" in text
    assert "not asked for, as only full groups were left: 4" in text


def test_round_line(finished: tuple[Path, State]) -> None:
    assert report.round_line(finished[1]) == "Round 3: accuracy 0.630, macro F1 0.580 at 40 labels, trained 30.5 s"


def test_failed_write_leaves_the_old_file_and_no_rubbish(
    finished: tuple[Path, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, state = finished
    (folder / "metrics.csv").write_text("old")

    def fail(source: Path, target: Path) -> None:
        assert source.read_bytes().startswith(b"round,labels") and source.parent == target.parent
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write_metrics(folder, state)
    assert sorted(path.name for path in folder.iterdir()) == ["ledger.jsonl", "metrics.csv"]
    assert (folder / "metrics.csv").read_text() == "old"


def test_import_is_light() -> None:
    heavy = "{'matplotlib', 'jinja2', 'evaluate', 'datasets'}"
    code = f"import sys; import dal_nlp.report.files; found = {heavy} & set(sys.modules); assert not found, found"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.pictures
def test_drawing_leaves_matplotlib_as_it_was(finished: tuple[Path, State]) -> None:
    import matplotlib

    before = matplotlib.rcParams["svg.hashsalt"]
    report.write_report(*finished)
    assert matplotlib.rcParams["svg.hashsalt"] == before != "dal-nlp"
    assert "matplotlib.pyplot" not in sys.modules


def test_page_holds_no_folder_of_this_machine(finished: tuple[Path, State], tmp_path: Path) -> None:
    _, state = finished
    state = replace(state, config={**(state.config or {}), "model": "/home/anna/models/mine"})
    state.pool = PoolEvent(
        file="/home/anna/pool.csv", rows=3, digest="", added=0, gone=0, rejected={"/home/anna/pool.csv: no text": 2}
    )
    report.write_report(tmp_path, state)
    page = (tmp_path / "report.html").read_text()
    assert "/home" not in page and "mine" in page and "3 rows from pool.csv" in page and "pool.csv: no text" in page


def test_rounds_of_several_numbers_of_processes_are_said(finished: tuple[Path, State]) -> None:
    _, state = finished
    first, *others = state.metrics
    once = replace(state, metrics=[replace(event, processes=1, threads=2) for event in state.metrics])
    assert report.trained_otherwise(once) == report.trained_otherwise(replace(state, metrics=[])) == []
    mixed = replace(state, metrics=[replace(first, processes=2, threads=1), *once.metrics[1:]])
    assert not others or report.trained_otherwise(mixed) == [
        "Rounds were trained in 1 process of 2 threads and 2 processes of 1 thread: another number trains another "
        "model of the same quality (see docs/scale.md)."
    ]


def test_the_page_has_the_confusion_matrix_and_the_wrong_answers_escaped(tmp_path: Path) -> None:
    wrong = {"id": "a", "text": "<i>so</i>", "target": "neg", "prediction": "pos", "confidence": 0.987}
    confusion = [["neg", "neg", 140], ["neg", "pos", 10], ["pos", "neg", 7], ["pos", "pos", 143]]
    page = page_of(tmp_path, [*run_started(), *query(0), measured(0, 0.9, confusion=confusion, errors=[wrong])])
    place = page.cells.index("140")
    assert page.cells[place - 1 : place + 5] == ["neg", "140", "10", "pos", "7", "143"]
    assert "<i>so</i>" in page.cells and "0.987" in page.cells and "1 are shown of 17." in page.text
    many = [[f"l{i}", f"l{i + 1}", i + 1] for i in range(20)]
    cells = page_of(tmp_path, [*run_started(), *query(0), measured(0, 0.9, confusion=many)]).cells
    place = cells.index("l19")
    assert cells[place : place + 3] == ["l19", "l20", "20"]  # the most frequent pair first
