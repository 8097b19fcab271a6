"""Zero-shot scores of texts by descriptions of labels, against loops; and which names say anything."""

import numpy as np
import pytest

from dal_nlp.learners.distillation import scaled
from dal_nlp.learners.prior import label_directions, names_that_speak, neighbour_agreement, words_of, zero_shot_scores


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_scores_are_those_of_the_recipe_step_by_step() -> None:
    rng = np.random.default_rng(0)
    texts, sentences = rng.normal(size=(7, 4)) + 1, [rng.normal(size=(m, 4)) for m in (1, 3, 2)]
    means = [sum(unit(s) for s in group) / len(group) for group in sentences]
    centre = sum(means) / 3
    directions = [unit(mean - centre) for mean in means]
    of_pool = sum(unit(text) for text in texts) / 7
    raw = np.array([[unit(unit(text) - of_pool) @ d for d in directions] for text in texts])
    for label in range(3):
        raw[:, label] -= raw[:, label].mean()
    want = raw / raw.std()
    ours = zero_shot_scores(texts.astype(np.float32), label_directions([s.astype(np.float32) for s in sentences]))
    assert np.allclose(ours, want, atol=1e-5)


def test_scores_that_do_not_differ_stay_zero() -> None:
    assert not scaled(np.ones((3, 2))).any()


@pytest.mark.parametrize(
    ("name", "words"),
    [("creditCard_lost", "credit Card lost"), ("Sci/Tech", "Sci Tech"), ("NUM", "NUM"), ("a  b", "a b")],
)
def test_names_become_words(name: str, words: str) -> None:
    assert words_of(name) == words


def test_names_speak_where_the_tokenizer_knows_half_of_them() -> None:
    assert names_that_speak(["good", "bad film"], [["good"], ["bad", "##fi", "##lm"]])
    assert not names_that_speak(["ENTY", "DESC", "good"], [["en", "##ty"], ["des", "##c"], ["good"]])
    assert not names_that_speak(["0", "1"], [["0"], ["1"]])
    assert names_that_speak(["world"], [["Ġworld"]])


def test_neighbours_agree_as_counted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    x, scores = rng.normal(size=(30, 6)).astype(np.float32), rng.normal(size=(30, 3))
    given, centred = scores.argmax(1), x - x.mean(0)
    agree = []
    for i in range(30):
        cosines = [centred[i] @ v / (np.linalg.norm(centred[i]) * np.linalg.norm(v)) for v in centred]
        others = sorted((j for j in range(30) if j != i), key=lambda j: -cosines[j])[:5]
        agree += [given[j] == given[i] for j in others]
    chance = sum((given == label).mean() ** 2 for label in range(3))
    assert neighbour_agreement(scores, x) == pytest.approx((np.mean(agree) - chance) / (1 - chance), abs=1e-12)
    assert neighbour_agreement(np.eye(3)[[0] * 30], x) == 0.0
    apart = np.concatenate([x[:15] + 50, x[15:] - 50])
    assert neighbour_agreement(np.eye(2)[[0] * 15 + [1] * 15], apart) == 1.0
