"""Several labels a text: reading, measures, thresholds, and the task under a tiny model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, f1_score
from transformers import AutoModelForSequenceClassification, pipeline

from dal_nlp import RunConfig, UserError
from dal_nlp.answer_formats.labels import LabelsFormat
from dal_nlp.core.errors import RowError
from dal_nlp.core.targets import decode, readable
from dal_nlp.data.examples import Reader
from dal_nlp.tasks import make_task
from dal_nlp.tasks.multilabel import measures
from dal_nlp.tasks.multilabel.multilabel import THRESHOLDS, MultiLabel, MultiLabelOptions
from dal_nlp.tasks.multilabel.reading import listed_labels, of_several, one_hot_labels, seem_several
from dal_nlp.tasks.multilabel.thresholds import LEAST, best_threshold, fit_thresholds
from dal_nlp.testing import check_task
from tests import tiny

LABELS = ["anger", "fear", "joy"]
SETS = [["anger"], ["anger", "joy"], [], ["fear", "joy"], ["joy"]]
OTHERS = [["anger"], ["joy"], [], ["anger", "fear"], ["fear", "joy"]]


def read_all(source: str, **settings: Any) -> list[Any]:
    """The targets of a file's rows."""
    values = {"task": "multilabel", "data": source, "labels": None, **settings}
    config = RunConfig.load(flags={name: value for name, value in values.items() if value is not None})
    return [decode(example.target) for example in Reader(source, make_task(config), config).examples()]


def test_the_contract_of_tasks() -> None:
    task = tiny.multilabel_task()
    check_task(task, tiny.several_labels(14), tiny.classifier(3))


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
        reader = Reader(source, make_task(config), config, need_targets=True)
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


def test_measures_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        given, wanted = (rng.random((12, 4)) < 0.4 for _ in range(2))
        sets = [[[LABELS[0] + str(j) for j in np.flatnonzero(row)] for row in bits] for bits in (given, wanted)]
        there = (given | wanted).any(0)
        assert measures.micro_f1(*sets) == pytest.approx(f1_score(wanted, given, average="micro"))
        macro = f1_score(wanted[:, there], given[:, there], average="macro", zero_division=0)
        assert measures.macro_f1(*sets) == pytest.approx(macro)
        assert measures.subset_accuracy(*sets) == (given == wanted).all(1).mean()


def test_intervals_are_those_of_resampled_examples() -> None:
    rng = np.random.default_rng(0)
    wanted = [SETS[i % 5] for i in range(60)]
    given = [wanted[i] if i % 3 else OTHERS[i % 5] for i in range(60)]
    found = measures.bootstrap_scores(given, wanted, rng, n=2000)
    drawn = rng.integers(60, size=(2000, 60))
    for name, of in (("micro_f1", measures.micro_f1), ("macro_f1", measures.macro_f1)):
        values = [of([given[i] for i in rows], [wanted[i] for i in rows]) for rows in drawn[:400].tolist()]
        assert np.allclose(found[name], np.quantile(values, [0.025, 0.975]), atol=0.03)
    assert measures.jaccard(SETS, OTHERS) == pytest.approx((1 + 1 / 2 + 1 + 1 / 3 + 1 / 2) / 5)
    rows = measures.per_label(OTHERS, SETS, LABELS)
    assert rows[0] == {"label": "anger", "count": 2, "predicted": 2, "recall": 0.5, "precision": 0.5, "f1": 0.5}


def _f1(y: NDArray[np.int64], said: NDArray[np.bool_]) -> float:
    right = int((y * said).sum())
    return 2 * right / (int(y.sum()) + int(said.sum())) if right else 0.0


def test_a_threshold_has_the_best_f1_that_any_has() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        p, y = np.round(0.05 + 0.9 * rng.random(25), 1), (rng.random(25) < 0.3).astype(np.int64)
        cuts = np.linspace(-0.05, 1.05, 400)
        best = max(_f1(y, p > cut) for cut in cuts)
        assert f1_score(y, p > best_threshold(p, y), zero_division=0) == pytest.approx(best if y.any() else 0)
    assert best_threshold(np.array([0.9, 0.1]), np.array([1, 0])) == 0.5
    assert best_threshold(np.array([0.9]), np.array([0])) == 0.5


def test_a_rare_label_has_the_threshold_of_all() -> None:
    rng = np.random.default_rng(0)
    n = 3 * LEAST
    y = np.zeros((n, 3), dtype=np.int64)
    y[: 2 * LEAST, 0] = y[: LEAST - 1, 1] = y[:LEAST, 2] = 1
    p = np.clip(0.1 + 0.5 * y * [1, 0.2, 0.4] + 0.1 * rng.random((n, 3)), 0, 1)
    found = fit_thresholds(p, y)
    assert found[0] == best_threshold(p[:, 0], y[:, 0]) and found[1] == best_threshold(p, y)
    assert found[2] == best_threshold(p[:, 2], y[:, 2]) != found[1]
    there, few = 1 - y, fit_thresholds(1 - p, 1 - y)  # nearly all texts have the second label
    assert few[1] == best_threshold(1 - p, there) != best_threshold(1 - p[:, 1], there[:, 1])


def test_thresholds_of_the_model_decide_and_new_labels_have_a_half() -> None:
    pool = tiny.multilabel_pool(12)
    task, model = pool._task, pool._model
    (p,) = pool.collect(lambda forward: forward.log_probs[..., 1].exp())
    before = [prediction.target for prediction in pool.predict()]
    assert before == [[LABELS[j] for j in np.flatnonzero(row > 0.5)] for row in p]
    task.calibrate(model, None, None)
    assert model.config.problem_type == "multi_label_classification"
    model.config.update({THRESHOLDS: [0.0, 1.0]})
    after = pool.predict()
    for prediction, row in zip(after, np.asarray(p), strict=True):
        assert prediction.target == ["anger", *(["joy"] if row[2] > 0.5 else [])]
        right = row[0] * (1 - row[1]) * max(row[2], 1 - row[2])
        assert prediction.confidence == pytest.approx(right, abs=1e-5)


def test_the_loss_is_that_of_transformers() -> None:
    task, model = tiny.multilabel_task(), tiny.classifier(3)
    rows = tiny.several_labels(6)
    fields = {"text": [row["text"] for row in rows], "pair": [None] * 6}
    encoded = task.encode(fields)
    names = list(encoded)
    examples = [{name: encoded[name][i] for name in names} | {"target": rows[i]["labels"]} for i in range(6)]
    batch = task.collate(examples)
    assert batch.labels is not None and batch.labels.shape == (6, 3)
    model.config.problem_type = "multi_label_classification"
    theirs = model(**batch.inputs, labels=batch.labels.float())
    assert task.loss(theirs.logits, batch).mean().item() == pytest.approx(theirs.loss.item())
    with torch.no_grad():
        c = task.categoricals(theirs.logits, batch)
    assert torch.allclose(c.log_probs[..., 1].exp(), theirs.logits.sigmoid(), atol=1e-6)


def test_weights_lift_texts_with_rare_labels() -> None:
    weights = MultiLabel().weights([["a"]] * 8 + [["b"]] * 2 + [[]] * 2)
    assert np.mean(weights) == pytest.approx(1) and weights[8] == pytest.approx(4 * weights[0])
    assert weights[0] < weights[10] < weights[8]


def test_answers_are_read_as_people_type_them() -> None:
    kind = LabelsFormat(["anger", "joy", "so so, la la"], measures.JACCARD)
    for typed, target in {
        "joy|Anger": ["anger", "joy"],
        " joy ": ["joy"],
        "none": [],
        "[]": [],
        '["joy"]': ["joy"],
        "so so, la la|joy": ["joy", "so so, la la"],
        '["none"]': [],
        '{"joy": 1.0, "anger": 0.0}': ["joy"],
        '{"joy": false, "anger": "0"}': [],
    }.items():
        assert kind.parse_answer(typed, {}) == target
    assert LabelsFormat(["anger", "joy"], measures.JACCARD).parse_answer("joy, anger", {}) == ["anger", "joy"]
    with pytest.raises(ValueError, match="'hope' is none of the labels"):
        kind.parse_answer("joy|hope", {})
    with pytest.raises(ValueError, match="something else than yes or no"):
        kind.parse_answer('{"joy": 0.5}', {})
    odd = LabelsFormat(["None", "a|b", "skip"], measures.JACCARD)
    for target in ([], ["None"], ["a|b"], ["skip"], ["None", "a|b"]):
        assert odd.parse_answer(odd.format_answer(target, {}), {}) == target
    prompt = kind.terminal(True)
    assert [prompt.answer(typed) for typed in ("1 2", "21", "1|2", "joy", "none")] == [
        "anger|joy",
        "joy|anger",
        "anger|joy",
        "joy",
        "none",
    ]
    assert readable(["anger", "joy"]) == "anger | joy" and readable([]) == "none"


def test_agreement_by_label_is_cohens_kappa() -> None:
    bits = [[LABELS[0] in labels for labels in sets] for sets in (SETS, OTHERS)]
    from dal_nlp.tasks.metrics import cohen_kappa

    assert cohen_kappa(*bits) == pytest.approx(cohen_kappa_score(*bits))


def test_a_users_model_is_taken_by_its_problem_type() -> None:
    model = tiny.classifier(3)
    model.config.id2label = dict(enumerate(LABELS))
    with pytest.raises(UserError, match="no model of several labels"):
        MultiLabel.for_model(model, tiny.tokenizer(), 24, {})
    model.config.problem_type = "multi_label_classification"
    task = MultiLabel.for_model(model, tiny.tokenizer(), 24, {})
    assert task.target(["joy", 0], {}) == ["anger", "joy"] and task.labels == LABELS
    with pytest.raises(UserError, match="no list of labels"):
        task.target("joy", {})


def test_a_saved_model_answers_the_same(tmp_path: Path) -> None:
    task = tiny.multilabel_task()
    source = tiny.save_model(tmp_path / "model")
    model: Any = task.load(source)
    task.calibrate(model, np.array([[0.2, 0.6, 0.9]] * 24), [["anger"]] * 24)
    model.save_pretrained(tmp_path / "saved")
    again: Any = task.load(str(tmp_path / "saved"))
    assert again.config.to_dict()[THRESHOLDS] == model.config.to_dict()[THRESHOLDS] != [0.5] * 3
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    ask = pipeline("text-classification", model=theirs.eval(), tokenizer=tiny.tokenizer(), top_k=None)
    scores = {row["label"]: row["score"] for row in ask("the film was good")[0]}
    logits = model(**tiny.tokenizer()("the film was good", return_tensors="pt")).logits[0].sigmoid()
    assert [scores[label] for label in LABELS] == pytest.approx(logits.tolist(), abs=1e-5)
    assert json.loads((tmp_path / "saved" / "config.json").read_text())["problem_type"] == "multi_label_classification"


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
