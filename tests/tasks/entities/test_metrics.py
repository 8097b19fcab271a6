"""Whole entities counted as the CoNLL tasks count them: equal to seqeval in its strict mode."""

import warnings

import numpy as np
import pytest

from dal_nlp.core.targets import Target
from dal_nlp.readers.entities.tags import OUTSIDE, decode_tags, encode_tags
from dal_nlp.tasks.entities import metrics
from dal_nlp.tasks.metrics import wilson

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from seqeval.metrics import classification_report
    from seqeval.scheme import IOB2

TAGS = [OUTSIDE, OUTSIDE, "B-PER", "I-PER", "B-LOC", "I-LOC", "B-X", "I-X"]


def target(tags: list[str]) -> Target:
    """An answer of which only the tags are read."""
    return {"tags": tags}


def pairs(n: int, seed: int, broken: bool = False) -> tuple[list[Target], list[Target]]:
    """Random predictions and targets, about alike; all of them are BIO unless they may be broken."""
    rng = np.random.default_rng(seed)
    found: tuple[list[Target], list[Target]] = ([], [])
    for _ in range(n):
        wanted = rng.choice(TAGS, int(rng.integers(1, 12)))
        given = np.where(rng.random(len(wanted)) < 0.3, rng.choice(TAGS, len(wanted)), wanted)
        for place, tags in zip(found, (given, wanted), strict=True):
            plain = [str(tag) for tag in tags]
            place.append(target(plain if broken else encode_tags(decode_tags(plain).runs, len(plain))))
    return found


@pytest.mark.filterwarnings("ignore")
def test_500_random_pairs_are_counted_as_seqeval_counts_them() -> None:
    predictions, targets = pairs(500, 0)
    given, wanted = ([one["tags"] for one in answers] for answers in (predictions, targets))
    report = classification_report(wanted, given, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    found = metrics.evaluate(predictions, targets)
    for name, other in (("f1", "f1-score"), ("precision", "precision"), ("recall", "recall")):
        assert found[name] == pytest.approx(report["micro avg"][other], abs=1e-12)
    assert found["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"], abs=1e-12)
    right = np.mean([a == b for one, other in zip(given, wanted, strict=True) for a, b in zip(one, other, strict=True)])
    assert found["token_accuracy"] == pytest.approx(right)
    for row in metrics.per_label(predictions, targets, ["PER", "LOC", "X"]):
        of = report[row["label"]]
        assert (row["precision"], row["recall"], row["f1"], row["count"]) == pytest.approx(
            (of["precision"], of["recall"], of["f1-score"], of["support"])
        )
    each = [
        classification_report([b], [a], mode="strict", scheme=IOB2, output_dict=True, zero_division=0)["micro avg"]
        for a, b in zip(given, wanted, strict=True)
        if {*a, *b} != {OUTSIDE}
    ]
    some = [(a, b) for a, b in zip(predictions, targets, strict=True) if {*a["tags"], *b["tags"]} != {OUTSIDE}]
    assert metrics.f1_of_texts(*zip(*some, strict=True)) == pytest.approx([one["f1-score"] for one in each])


def test_intervals_hold_the_value_and_shrink_with_the_number_of_texts() -> None:
    widths = []
    for n in (40, 400):
        predictions, targets = pairs(n, 1)
        values, found = (
            metrics.evaluate(predictions, targets),
            metrics.intervals(predictions, targets, np.random.default_rng(0)),
        )
        assert all(low <= values[name] <= high for name, (low, high) in found.items())
        widths.append(found["f1"][1] - found["f1"][0])
    assert widths[1] < widths[0] / 2


def test_where_all_is_right_the_intervals_have_a_width() -> None:
    targets = [target([OUTSIDE, "B-PER"])] * 40
    found = metrics.intervals(targets, targets, np.random.default_rng(0))
    assert {tuple(interval) for interval in found.values()} == {wilson(40, 40)}


def test_where_nobody_finds_an_entity_all_is_right() -> None:
    none, one = target([OUTSIDE, OUTSIDE]), target([OUTSIDE, "B-PER"])
    assert metrics.evaluate([none], [none]) == dict.fromkeys(metrics.METRICS, 1.0)
    assert metrics.evaluate([none], [one])["f1"] == 0.0
    assert metrics.entity_f1([none, one], [none, one]) == 1.0
