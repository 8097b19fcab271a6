"""What the report's page says of rounds, texts and answers, each from a ledger written for the purpose."""

import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.report import files as report
from tests.report.written_ledgers import (
    HOSTILE,
    Event,
    Page,
    guess,
    measured,
    page_of,
    query,
    rounds,
    run_started,
    state_of,
)


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


@pytest.mark.parametrize("name", ["report.html.j2", "comparison.html.j2", "tables.html.j2"])
def test_what_scrolls_sideways_is_reached_by_keys(name: str) -> None:
    source = (resources.files("dal_nlp.report") / name).read_text()
    scrolling = re.findall(r"<figure[^>]*>|<div class=\"scroll[^>]*>", source)
    assert scrolling and all('tabindex="0"' in tag for tag in scrolling)


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
    assert page.source.count('class="band"') == 1  # a bar, where a band would have no width


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
    events: list[Event] = [
        *run_started(),
        *query(0, ["zero"]),
        *query(1, ["one"], answered=0, predictions=[guess(target)]),
    ]
    events.append({"event": "pseudo", "round": 1, "ids": ["p"], "targets": [target], "weight": 0.5})
    events.append({"event": "label", "round": 1, "id": "r1-0", "target": target})
    text = page_of(tmp_path, events).text
    assert f"1 one {shown} 0.25 {shown} 3 0.3333 r1-0" in text
    assert f"1 1 0.500 {shown}: 1" in text


def test_the_model_answers_stand_beside_the_teams_where_there_are_any(tmp_path: Path) -> None:
    predictions = [guess("neg", 0.8125), guess("pos", 0.00042)]
    page = page_of(tmp_path, [*run_started(), *query(0, ["a", "b"]), *query(1, ["c", "d"], predictions=predictions)])
    assert "rank text model's answer answer characters score id 1 c neg 0.812 pos 1 0.3333 r1-0" in page.text
    assert "2 d pos 0.00042 pos" in page.text
    assert "rank text answer characters score id 1 a pos 1 0.3333 r0-0" in page.text
    assert page.source.count("model's answer</th>") == 1
    assert "<mark>" not in page.source  # a label points at no part of the text


def test_marked_parts_of_a_text_are_highlighted_and_line_breaks_kept(tmp_path: Path) -> None:
    texts = ["\"Who's <b>?\n\nIt was <i>Łukasz &amp; 👩‍🚀 co</i>, they said. " + "And more. " * 40, "plain " * 100]
    start = texts[0].index("<i>Ł")
    end = texts[0].index(", they")
    predictions = [guess("x", 0.5, [start, end]), guess("y", 0.5)]
    page = page_of(tmp_path, [*run_started(), *query(0, ["zero"]), *query(1, texts, predictions=predictions)])
    assert page.marked == ["<i>Łukasz &amp; 👩‍🚀 co</i>"]
    assert not {"b", "i"} & set(page.tags)
    (cell,) = [cell for cell in page.cells if "Who" in cell]
    assert cell == texts[0]  # in full
    assert "white-space: pre-line" in page.source
    assert ("class", "text whole") in page.attributes
    assert [cell for cell in page.cells if "plain" in cell] == [texts[1]]  # and so is one without an answer


def test_full_groups_are_counted_over_all_rounds(tmp_path: Path) -> None:
    asked = [*query(0), *query(1)]
    assert "query.max_per_group" not in page_of(tmp_path, [*run_started(), *asked]).text
    for event in (e for e in asked if e["event"] == "query"):
        event["notes"] = {"held_by_group": 600, "fewer_by_group": 2}
    text = page_of(tmp_path, [*run_started(), *asked]).text
    assert "their group already had its part of the round (query.max_per_group): 1,200" in text
    assert "not asked for, as only full groups were left: 4" in text


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


def test_no_page_has_a_second_way_to_be_dark() -> None:
    files = [file for file in resources.files("dal_nlp.report").iterdir() if file.name.endswith((".css", ".j2"))]
    assert len(files) > 5
    assert not [file.name for file in files if "prefers-color-scheme" in file.read_text(encoding="utf-8")]
