"""Several labels a text as files hold them: lists, cells with separators, columns of zeros and ones, and none."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from dal_nlp import RunConfig, UserError
from dal_nlp.core.errors import RowError
from dal_nlp.core.targets import decode
from dal_nlp.data.examples import ExampleReader
from dal_nlp.tasks import make_task
from dal_nlp.tasks.multilabel.multilabel import MultiLabel, MultiLabelOptions
from dal_nlp.tasks.multilabel.reading import listed_labels, of_several, one_hot_labels, seem_several
from tests import tiny


def read_all(source: str, **settings: Any) -> list[Any]:
    """The targets of a file's rows."""
    values = {"task": "multilabel", "data": source, "labels": None, **settings}
    config = RunConfig.load(flags={name: value for name, value in values.items() if value is not None})
    return [decode(example.target) for example in ExampleReader(source, make_task(config), config).examples()]


def test_lists_of_labels_are_read_and_an_empty_one_is_an_answer(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "labels": labels} for i, labels in enumerate([["b", "a"], [], None, ["a"]])]
    assert read_all(tiny.write(tmp_path / "a.jsonl", rows)) == [["a", "b"], [], None, ["a"]]
    cells = ['"[""a"", ""b""]"', "[]", "", "a", "b | a"]
    (tmp_path / "a.csv").write_text("text,labels\n" + "".join(f"text {i},{c}\n" for i, c in enumerate(cells)))
    assert read_all(str(tmp_path / "a.csv")) == [["a", "b"], [], None, ["a"], ["a", "b"]]
    (tmp_path / "b.csv").write_text('text,labels\none,"a; b"\ntwo,b\n')
    assert read_all(str(tmp_path / "b.csv"), task_options={"label_separator": ";"}) == [["a", "b"], ["b"]]


def test_numbers_in_lists_are_classes_where_the_file_names_them(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "labels": List(ClassLabel(names=["joy", "fear"]))})
    data = Dataset.from_dict({"text": ["one", "two", "three"], "labels": [[1, 0], [], [1]]}, features=features)
    data.save_to_disk(tmp_path / "arrow")
    data.to_parquet(tmp_path / "a.parquet")
    wanted = [["fear", "joy"], [], ["fear"]]
    assert read_all(str(tmp_path / "arrow")) == wanted and read_all(str(tmp_path / "a.parquet")) == wanted


def test_one_hot_columns_are_read_and_other_values_are_errors_with_the_row(tmp_path: Path) -> None:
    columns = ["joy", "anger"]
    assert one_hot_labels({"joy": 1, "anger": "0"}, columns) == ["joy"]
    assert one_hot_labels({"joy": 1.0, "anger": True}, columns) == columns
    assert one_hot_labels({"joy": "no", "anger": False}, columns) == []
    assert one_hot_labels({"joy": None, "anger": -1}, columns) is None
    table = pa.table({"text": ["one", "two"], "joy": [1, 0], "anger": [0, 0]})
    pq.write_table(table, tmp_path / "a.parquet")
    options = {"label_columns": columns}
    assert read_all(str(tmp_path / "a.parquet"), task_options=options) == [["joy"], []]
    (tmp_path / "a.csv").write_text("text,joy,anger\none,1,0\ntwo,1,maybe\n")
    with pytest.raises(UserError, match=r"a\.csv.*3.*'maybe' in column 'anger', which is neither 1 nor 0"):
        read_all(str(tmp_path / "a.csv"), task_options=options)
    with pytest.raises(RowError, match="nothing in column 'anger'"):
        one_hot_labels({"joy": 1, "anger": ""}, columns)


def test_what_is_no_label_is_refused() -> None:
    for cell in ([["a"]], [None], [{"label": "a"}]):
        with pytest.raises(RowError, match="label"):
            listed_labels(cell, "|")
    task = MultiLabel(label_column="labels")
    with pytest.raises(UserError, match=r"'a, b' is several labels.*--label-separator ','"):
        task.learn_labels([["a, b"], ["a"], ["b"]])
    assert of_several(["a, c", "a", "b"]) is None
    with pytest.raises(UserError, match="1 labels"):
        MultiLabel().learn_labels([["a"]])


@pytest.mark.parametrize("separator", ["/", "+", "&", "#", ":", "\t", "\n", " "])
def test_labels_with_a_seldom_separator_between_are_said(separator: str) -> None:
    assert seem_several(["a", f"a{separator}b", "b"]) == (f"a{separator}b", separator)
    assert seem_several(["a", f"a{separator}c", "b"]) is None


@pytest.mark.parametrize("separator", ["|", ";", ","])
def test_labels_of_texts_that_all_have_several_are_said(separator: str) -> None:
    assert seem_several([f"a{separator} b", f"b{separator}c", f"a{separator}c"]) == (f"a{separator} b", separator)
    assert seem_several([f"food{separator} hot", f"drinks{separator} cold"]) is None


@pytest.mark.parametrize("separator", ["|", ";", ","])
def test_labels_of_texts_that_mostly_have_several_are_said(separator: str) -> None:
    """One part that is there once hides the others no longer."""
    assert seem_several(["a", f"a{separator}b", f"b{separator} c"]) == (f"a{separator}b", separator)
    assert seem_several([f"a{separator}b", f"c{separator}d", f"e{separator}a"]) is None


def test_a_wrong_separator_is_said_once_and_not_where_labels_are_named() -> None:
    task, columns = tiny.multilabel_task(), {"text": ["one"], "pair": [None]}
    pool = Dataset.from_dict({**columns, **task.encode(columns)})
    task.labels = ["a", "a/b", "b"]
    (said,) = task.remarks({"pool": pool})
    assert "'a/b' looks like several labels with '/' between: --label-separator '/'" in said
    task._fixed = True
    (said,) = task.remarks({"pool": pool})
    assert "looks like" not in said


@pytest.mark.parametrize("cell", [{"a", "b"}, "{'a', 'b'}", {"choices": ["a", "b"]}, '{"choices": ["a", "b"]}', b"a|b"])
def test_further_forms_of_several_labels(cell: Any) -> None:
    assert sorted(listed_labels(cell, "|") or []) == ["a", "b"]


def test_minus_one_is_a_label_where_it_is_named(tmp_path: Path) -> None:
    rows = [{"text": "one", "labels": -1}, {"text": "two", "labels": "0|1"}, {"text": "three", "labels": [1]}]
    source = tiny.write(tmp_path / "a.jsonl", rows)
    assert read_all(source) == [None, ["0", "1"], ["1"]]
    assert read_all(source, labels=["-1", "0", "1"]) == [["-1"], ["0", "1"], ["1"]]
    both = tiny.write(tmp_path / "b.jsonl", [{"text": "one", "labels": "-1|1"}, *rows[1:]])
    assert read_all(both, labels=["-1", "0", "1"])[0] == ["-1", "1"]


@pytest.mark.parametrize("typed", ["\\t", "\t"])
def test_a_tab_may_be_typed_and_is_advised_as_it_is_typed(tmp_path: Path, typed: str) -> None:
    (tmp_path / "a.csv").write_text('text,labels\none,"a\tb"\ntwo,b\n')
    assert read_all(str(tmp_path / "a.csv"), task_options={"label_separator": typed}) == [["a", "b"], ["b"]]
    with pytest.raises(UserError, match=r"line 2 has 'a\\tb', which is several labels .*--label-separator '\\t'"):
        read_all(str(tmp_path / "a.csv"), labels=["a", "b"])


def test_two_zeros_and_ones_in_every_row_are_no_names() -> None:
    with pytest.raises(UserError, match="labels 0 and 1, as zeros and ones are"):
        MultiLabel().learn_labels([["0", "1"], ["0", "1"]])
    task = MultiLabel(label_column="labels")
    task.learn_labels([["0", "1"], ["1"]])
    assert task.labels == ["0", "1"]


def test_lists_without_quotation_marks_are_refused_and_an_empty_set_is_no_label() -> None:
    with pytest.raises(RowError, match=r"'\[a, b\]', a list without quotation marks"):
        listed_labels("[a, b]", "|")
    assert listed_labels("set()", "|") == [] and listed_labels("[a]|[b]", "|") == ["[a]", "[b]"]


def test_a_missing_column_of_labels_is_named_with_its_flag(tmp_path: Path) -> None:
    source = tiny.write(tmp_path / "a.jsonl", [{"text": "one", "joy": 1, "fear": 0}])
    for options, flag in (
        ({}, "--label-column, or a column of 0 and 1 for each"),
        ({"label_columns": ["joy", "anger"]}, ""),
    ):
        config = RunConfig(task="multilabel", data=source, task_options=options)
        reader = ExampleReader(source, make_task(config), config, need_targets=True)
        with pytest.raises(UserError, match=flag or "no column 'anger' .*name the columns with --label-columns"):
            reader.check_columns()


@pytest.mark.parametrize(
    "cell", [[0, 1, 1], [0.0, 0.0], "[1 0 0]", [True, False, True], [True], [True, False], b"\xff"]
)
def test_zeros_and_ones_are_no_names(cell: Any) -> None:
    with pytest.raises(RowError, match=r"zeros and ones|no UTF-8"):
        listed_labels(cell, "|")
    assert listed_labels([0, 2], "|") == ["0", "2"] and listed_labels(["a", "a"], "|") == ["a", "a"]


def test_labels_of_columns_keep_their_order() -> None:
    task = MultiLabel(label_column="labels")
    task.options = MultiLabelOptions(label_columns=["joy", "anger"])
    task.learn_labels([["joy"]])
    assert task.labels == ["joy", "anger"]


@pytest.mark.parametrize("cell", ["none", ["None"]])
def test_the_word_for_no_label_is_one_only_where_it_is_named(tmp_path: Path, cell: Any) -> None:
    source = tiny.write(tmp_path / "a.jsonl", [{"text": "a", "labels": cell}, {"text": "b", "labels": ["x", "y"]}])
    targets = read_all(source)
    with pytest.raises(UserError, match=r"is the word by which people say that no label applies: write \[\]"):
        MultiLabel().learn_labels(targets)
    names = ["none", "None", "x", "y"]
    assert read_all(source, labels=names)[0] == [cell if isinstance(cell, str) else cell[0]]


def test_minus_one_is_a_row_that_nobody_has_labeled() -> None:
    task = MultiLabel(label_column="labels")
    for cell in (-1, "-1", [-1], "[-1]"):
        assert task.read_target({"text": "a", "labels": cell}) is None
    with pytest.raises(RowError, match="holds -1, which says that a row is not labeled, beside other labels"):
        task.read_target({"text": "a", "labels": [-1, 2]})


@pytest.mark.parametrize(
    ("cell", "labels"), [({"x": 1, "y": 0}, ["x"]), ({"x": 0.0, "y": 0.0}, []), ({"x": -1, "y": -1}, None)]
)
def test_objects_say_yes_or_no_of_each_label(cell: Any, labels: Any) -> None:
    assert listed_labels(cell, "|") == labels


def test_objects_and_columns_that_say_half_are_refused_with_what_is_there() -> None:
    with pytest.raises(RowError, match=r"has '0\.5' in its object of labels for 'x', which is neither 1 nor 0"):
        listed_labels({"x": 0.5, "y": 0}, "|")
    with pytest.raises(RowError, match=r"has 'joy' in its object of labels for 'label', .* or give a list of labels"):
        listed_labels({"label": "joy"}, "|")
    with pytest.raises(RowError, match="holds an empty object, which says nothing"):
        listed_labels({}, "|")
    with pytest.raises(RowError, match="has -1 in column 'y' and something in others of --label-columns"):
        one_hot_labels({"x": 1, "y": -1}, ["x", "y"])
    with pytest.raises(RowError, match="has nothing in its object of labels for 'y' and something in others of"):
        listed_labels({"x": 1, "y": None}, "|")
    with pytest.raises(RowError, match="an object where a label is expected"):
        listed_labels({"text": ["a"], "answer_start": [0]}, "|")
