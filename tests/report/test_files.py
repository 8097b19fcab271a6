"""What the report's files say, each from a ledger written for the purpose."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dal_nlp.ledger.events import PoolEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.readers.spreadsheets import GUARDED, restored
from dal_nlp.report import files as report
from dal_nlp.report.model_card import model_card
from dal_nlp.session.result import Result
from tests.report.written_ledgers import (
    Page,
    guess,
    measured,
    query,
    rounds,
    run_started,
    state_of,
)


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
    predictions = [guess("pos", 1 / 3), guess({"text": ["=1+1"], "answer_start": [4]}, 0.5), guess({"text": []}, 1e-9)]
    texts = ["one", "two", "three"]
    events = [*run_started(), *query(0, texts, predictions=[]), *query(1, texts, predictions=predictions)]
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


def test_colours_of_highlights_are_there_for_light_and_dark(finished: tuple[Path, State]) -> None:
    report.write_report(*finished)
    source = Page(finished[0]).source
    for name in ("mark", "mark-ink"):
        assert re.search(rf"--{name}: light-dark\(#[0-9a-f]{{6}}, #[0-9a-f]{{6}}\)", source)


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
