"""Rows of entities: every form of file, what is mended and counted, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from dal_nlp import RunConfig
from dal_nlp.core.errors import UserError
from dal_nlp.data.entities import runs_of, words_of
from dal_nlp.data.examples import ExampleReader
from dal_nlp.session.config import RunConfig as Config
from dal_nlp.tasks import make_task
from dal_nlp.tasks.entities.ner import NER
from tests import tiny

IOB1 = "The tags are IOB1 or IO: an entity begins with I-, and with B- only right behind another one."
BERLIN = "I met Angela Merkel in Berlin ."


def read(path: Path, **settings: Any) -> tuple[list[Any], list[str], NER]:
    """Return (id, words, runs) of the rows of a file, what was remarked, and the task."""
    config = Config(task="ner", data=str(path), **settings)
    task = make_task(config)
    assert isinstance(task, NER)
    reader = ExampleReader(str(path), task, config)
    found = []
    for example in reader.examples():
        assert example.fields is not None
        target = None if example.target is None else json.loads(example.target)
        found.append((words_of(example.fields), None if target is None else [tuple(run) for run in runs_of(target)]))
    return found, [*reader.remarks, *task._mended.remarks()], task


def test_tags_of_every_scheme_mean_the_same(tmp_path: Path) -> None:
    tokens, wanted = BERLIN.split(), [(2, 4, "PER"), (5, 6, "LOC")]
    schemes = {
        "bio": "O O B-PER I-PER O B-LOC O",
        "bioes": "O O B-PER E-PER O S-LOC O",
        "bilou": "O O B-PER L-PER O U-LOC O",
        "iob1": "O O I-PER I-PER O I-LOC O",
        "io": "O O PER PER O LOC O",
    }
    for name, tags in schemes.items():
        tiny.write(tmp_path / f"{name}.jsonl", [{"tokens": tokens, "ner_tags": tags.split()}])
        ((words, runs),), remarks, _ = read(tmp_path / f"{name}.jsonl")
        assert (words, runs) == (tokens, wanted), name
        assert remarks == ([IOB1] if name == "iob1" else [])


def test_a_broken_sequence_is_mended_and_counted(tmp_path: Path) -> None:
    rows = [
        {"tokens": ["a", "b", "c", "d"], "ner_tags": ["B-X", "I-Y", "O", "I-Y"]},
        {"tokens": ["e"], "ner_tags": ["B-X"]},
    ]
    found, remarks, _ = read(Path(tiny.write(tmp_path / "a.jsonl", rows)))
    assert found[0][1] == [(0, 1, "X"), (1, 2, "Y"), (3, 4, "Y")]
    assert remarks == [
        "Tags that do not follow from the one before were mended in 1 text: 2 times an I- without an entity to go on "
        "opens one."
    ]


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_conll_files_of_two_to_four_columns(tmp_path: Path, columns: int) -> None:
    between = ["", " NNP", " NNP B-NP"][columns - 2]
    lines = ["-DOCSTART- -X- O O"[: None if columns == 4 else 10] + ("" if columns == 4 else " O"), ""]
    for word, tag in zip(BERLIN.split(), ["O", "O", "B-PER", "I-PER", "O", "B-LOC", "O"], strict=True):
        lines.append(f"{word}{between} {tag}")
    for name in ("eng.conll", "eng.txt"):
        (tmp_path / name).write_text("\n".join([*lines, "", f"# {between} O".replace("  ", " "), "", ""]))
        found, _, _ = read(tmp_path / name)
        assert found == [(BERLIN.split(), [(2, 4, "PER"), (5, 6, "LOC")]), (["#"], [])]
    (tmp_path / "broken.conll").write_text("a O\nb c d e f\n")
    with pytest.raises(UserError, match=r"broken.conll, line 2 has 5 columns, and a CoNLL file has 2 to 4"):
        read(tmp_path / "broken.conll")


@pytest.mark.parametrize("words", [["['Ann', 'went']", "['B-PER', 'O']"], ["['Ann' 'went']", "['B-PER' 'O']"]])
def test_lists_in_cells_as_python_and_numpy_write_them(tmp_path: Path, words: list[str]) -> None:
    file = tmp_path / "pool.csv"
    file.write_text("tokens,ner_tags\n" + ",".join(f'"{cell}"' for cell in words) + "\n")
    config = RunConfig(task="ner", data=str(file))
    (example,) = ExampleReader(str(file), make_task(config), config).examples()
    assert (example.fields or {})["text"] == "Ann went" and json.loads(example.target or "")["tags"] == ["B-PER", "O"]


def test_class_labels_in_lists_have_names(tmp_path: Path) -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=names))})
    data = Dataset.from_dict({"tokens": [BERLIN.split()], "ner_tags": [[0, 0, 1, 2, 0, 3, 0]]}, features=features)
    data.to_parquet(tmp_path / "a.parquet")
    data.save_to_disk(tmp_path / "folder")
    data.to_json(tmp_path / "a.jsonl")
    for name in ("a.parquet", "folder"):
        assert read(tmp_path / name)[0] == [(BERLIN.split(), [(2, 4, "PER"), (5, 6, "LOC")])], name
    with pytest.raises(UserError, match=r"a.jsonl, line 1 has the number 0 for a tag: .*task_options.tags"):
        read(tmp_path / "a.jsonl")
    found, _, _ = read(tmp_path / "a.jsonl", task_options={"tags": names})
    assert found == [(BERLIN.split(), [(2, 4, "PER"), (5, 6, "LOC")])]


TEXT = "I met Angela Merkel in Berlin."
PLACES = [(6, 19, "PER"), (23, 29, "LOC")]
FORMS: dict[str, Any] = {
    "doccano": [{"text": TEXT, "label": [list(place) for place in PLACES]}],
    "doccano, with relations": [
        {"text": TEXT, "entities": [{"id": 1, "label": x, "start_offset": i, "end_offset": j} for i, j, x in PLACES]}
    ],
    "spaCy": [[TEXT, {"entities": [list(place) for place in PLACES]}]],
    "Prodigy": [
        {
            "text": TEXT,
            "tokens": [{"text": w, "start": TEXT.index(w), "end": TEXT.index(w) + len(w)} for w in TEXT[:-1].split()]
            + [{"text": ".", "start": 29, "end": 30}],
            "spans": [{"start": i, "end": j, "label": x} for i, j, x in PLACES],
            "answer": "accept",
        }
    ],
    "Label Studio": [
        {
            "id": 1,
            "data": {"text": TEXT},
            "annotations": [
                {
                    "result": [
                        {"type": "labels", "value": {"start": i, "end": j, "text": TEXT[i:j], "labels": [x]}}
                        for i, j, x in PLACES
                    ]
                }
            ],
        }
    ],
    "plain": [{"text": TEXT, "spans": [{"start": i, "end": j, "label": x} for i, j, x in PLACES]}],
}


@pytest.mark.parametrize("form", FORMS)
def test_texts_with_marked_parts_of_every_tool(tmp_path: Path, form: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(FORMS[form]))
    found, remarks, _ = read(tmp_path / "a.json")
    assert found == [(["I", "met", "Angela", "Merkel", "in", "Berlin", "."], [(2, 4, "PER"), (5, 6, "LOC")])]
    assert remarks  # other columns, or a tool's form, were taken, and that is said


def test_what_was_rejected_in_prodigy_is_unlabeled(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([{**FORMS["Prodigy"][0], "answer": "reject"}]))
    assert read(tmp_path / "a.json")[0][0][1] is None


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        ([[6, 19, "PER"], [13, 19, "LOC"]], r"line 1 .*'Angela Merkel' \(PER\) and 'Merkel' \(LOC\) overlap"),
        ([[23, 26, "LOC"]], r"line 1 .*'Ber' \(LOC\) at 23 to 26 cuts the word 'Berlin'"),
        ([[0, 99, "LOC"]], "lies outside of the text"),
        ([[5, 6, "LOC"]], "holds no word"),
        ([{"start": 23, "end": 29}], "at 23 to 29 without a label"),
        (
            [{"start": 23, "end": 29, "text": "Bonn", "label": "LOC"}],
            "'Bonn' is not at its place, 23 to 29, .*'Berlin'",
        ),
        (["O"], "has 1 tags for 7 words"),
    ],
)
def test_what_does_not_fit_the_words_is_refused_with_its_row(tmp_path: Path, spans: Any, reason: str) -> None:
    path = Path(tiny.write(tmp_path / "a.jsonl", [{"text": TEXT, "spans": spans}]))
    with pytest.raises(UserError, match=reason):
        read(path)


def test_a_label_that_was_not_named_is_refused(tmp_path: Path) -> None:
    path = Path(tiny.write(tmp_path / "a.jsonl", [{"text": TEXT, "spans": [[23, 29, "LOK"]]}]))
    with pytest.raises(UserError, match=r"label 'LOK', which is not one of PER, LOC \(did you mean 'LOC'\?\)"):
        read(path, labels=["PER", "LOC"])


def test_without_data_it_asks_for_data() -> None:
    with pytest.raises(UserError, match="--data"):
        make_task(RunConfig.load(flags={"task": "ner"}))
