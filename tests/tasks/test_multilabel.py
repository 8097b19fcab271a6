"""Several labels a text: measures, thresholds, the loss, answers that are typed, and the task under a tiny model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, f1_score
from transformers import AutoModelForSequenceClassification, pipeline

from dal_nlp import UserError
from dal_nlp.answer_formats.labels import LabelsFormat
from dal_nlp.core.targets import readable
from dal_nlp.tasks.multilabel import measures
from dal_nlp.tasks.multilabel.multilabel import THRESHOLDS, MultiLabel
from dal_nlp.tasks.multilabel.thresholds import LEAST, best_threshold, fit_thresholds
from dal_nlp.testing import check_task
from tests import tiny

LABELS = ["anger", "fear", "joy"]
SETS = [["anger"], ["anger", "joy"], [], ["fear", "joy"], ["joy"]]
OTHERS = [["anger"], ["joy"], [], ["anger", "fear"], ["fear", "joy"]]


def test_the_contract_of_tasks() -> None:
    task = tiny.multilabel_task()
    check_task(task, tiny.several_labels(14), tiny.classifier(3))


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
