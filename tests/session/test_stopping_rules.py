"""Stopping rules: each formula by hand and against scipy, and the language that combines them."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dal_nlp.core.errors import UserError
from dal_nlp.session.stopping_language import AllOf, AnyOf, leaves, parse
from dal_nlp.session.stopping_rules import (
    RULES,
    AtLeast,
    Budget,
    Change,
    CharacterBudget,
    History,
    LabelBudget,
    Plateau,
    Round,
    Rounds,
    Rule,
    Stable,
    TargetScore,
    Uncertainty,
)
from dal_nlp.tasks.metrics import cohen_kappa
from dal_nlp.tasks.squad_metrics import token_f1

NOTHING = History(())


def growing(rounds: int) -> History:
    """A run that buys 10 answers of 50 characters a round, 5 of which were an audit sample."""
    return History(tuple(Round(10 * (r + 1), 10 * (r + 1) + 5, 500 * (r + 1)) for r in range(rounds)))


def predicting(*stop_sets: str) -> History:
    return History(tuple(Round(10, 10, 10, stop_set=tuple(each)) for each in stop_sets))


def scoring(*examples: list[float]) -> History:
    return History(tuple(Round(10, 10, 10, examples=tuple(each)) for each in examples))


labels = st.lists(st.tuples(*[st.sampled_from("abc")] * 2), min_size=1, max_size=20)


@given(labels)
def test_kappa_is_the_agreement_beyond_chance(pairs: list[tuple[str, str]]) -> None:
    first, second = zip(*pairs, strict=True)
    observed = sum(a == b for a, b in pairs) / len(pairs)
    by_chance = sum(first.count(label) * second.count(label) for label in "abc") / len(pairs) ** 2
    expected = (observed - by_chance) / (1 - by_chance) if by_chance < 1 else 1.0
    assert cohen_kappa(first, second) == pytest.approx(expected)


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_kappa_is_one_at_full_agreement_even_where_there_is_one_label(predictions: list[str]) -> None:
    assert cohen_kappa(predictions, predictions) == 1.0


def test_kappa_by_hand() -> None:
    # p_o = 3/4; p_e = (2/4)(3/4) + (2/4)(1/4) = 1/2
    assert cohen_kappa([*"aabb"], [*"aaab"]) == pytest.approx((0.75 - 0.5) / 0.5)
    assert cohen_kappa([*"aaaa"], [*"bbbb"]) == 0.0
    for second in ("abc", "aaa"):
        with pytest.raises(ValueError, match="inconsistent numbers"):
            cohen_kappa([*"aa"], [*second])


@pytest.mark.parametrize(
    ("rule", "below", "at"),
    [(Budget(35), 2, 3), (LabelBudget(30), 2, 3), (CharacterBudget(1500), 2, 3), (Rounds(2), 2, 3), (Rounds(0), 0, 1)],
)
def test_counts_fire_from_their_limit_on(rule: Rule, below: int, at: int) -> None:
    assert not rule.fires(growing(below))
    assert rule.fires(growing(at)) and rule.fires(growing(at + 1))
    assert rule.value(growing(at)) == rule.limit


def test_target_reads_the_headline_or_the_metric_that_is_named() -> None:
    history = History((Round(10, 10, 10, metrics={"accuracy": 0.9, "macro_f1": 0.7}),))
    assert TargetScore(0.9).fires(history) and not TargetScore(0.91).fires(history)
    assert TargetScore(0.7, "macro_f1").fires(history) and not TargetScore(0.71, "macro_f1").fires(history)
    assert TargetScore(0.1, "macro_f1").value(growing(1)) is None
    with pytest.raises(UserError, match=r"no metric 'macro-f1' \(did you mean 'macro_f1'\?\)"):
        TargetScore(0.5, "macro-f1").fires(history)


def test_uncertainty_fires_below_its_limit_only() -> None:
    for value, fires in ((0.06, False), (0.05, False), (0.049, True), (None, False)):
        assert Uncertainty().fires(History((Round(10, 10, 10, uncertainty=value),))) == fires


def test_change_counts_predictions_that_differ_from_the_round_before() -> None:
    assert Change().value(predicting("aabb", "abbb")) == 0.25
    assert not Change().fires(predicting("aabb", "abbb")) and Change(0.25).fires(predicting("aabb", "abbb"))
    assert Change().fires(predicting("abbb", "aabb", "aabb"))
    assert Change().value(predicting("aabb")) is None and Change().value(predicting("", "aabb")) is None


def test_stable_is_the_mean_agreement_over_the_window() -> None:
    history = predicting("bbaa", "aabb", "aaab", "aabb", "aabb")
    # kappas: -1, 0.5, 0.5, 1
    assert Stable(window=1).value(history) == 1.0
    assert Stable(window=3).value(history) == pytest.approx(2 / 3)
    assert Stable(window=4).value(history) == pytest.approx(0.25)
    assert Stable(window=5).value(history) is None
    assert Stable(0.66).fires(history) and not Stable(0.67).fires(history)
    assert Stable().fires(predicting(*["aaaa"] * 4)) and not Stable().fires(predicting(*["aaaa"] * 3))


def test_stable_takes_the_agreement_of_the_task() -> None:
    def agreement(first: Sequence[str], second: Sequence[str]) -> float:
        return float(np.mean([token_f1(a, b) for a, b in zip(first, second, strict=True)]))

    answers = (Round(10, 10, 10, stop_set=("red car",)), Round(20, 20, 20, stop_set=("red bus",)))
    assert Stable(window=1).value(History(answers, agreement)) == 0.5
    assert Stable(window=1).value(History(answers)) == 0.0


def test_plateau_is_the_paired_interval_of_the_improvement() -> None:
    rng = np.random.default_rng(0)
    before, now = rng.random(50), rng.random(50) + 0.2
    history = scoring(before.tolist(), rng.random(50).tolist(), now.tolist())
    wanted = stats.ttest_rel(now, before).confidence_interval(0.95).low
    assert Plateau(window=2).value(history) == pytest.approx(wanted)
    assert not Plateau(window=2).fires(history) and Plateau(float(wanted) + 0.01, window=2).fires(history)


def test_plateau_fires_where_nothing_is_gained_and_needs_the_whole_window() -> None:
    same = [[0.0, 1.0, 1.0]] * 4
    assert Plateau().value(scoring(*same)) == 0.0 and Plateau().fires(scoring(*same))
    assert Plateau().value(scoring(*same[:3])) is None
    assert Plateau().value(growing(4)) is None and Plateau().value(scoring(*[[1.0]] * 4)) is None
    assert Plateau().fires(scoring([1.0] * 9, [], [], [0.0] * 9))  # worse is no improvement


@pytest.mark.parametrize("name", RULES)
def test_no_rule_fires_before_anything_happened(name: str) -> None:
    rule = parse(f"{name}=1")
    assert rule.value(NOTHING) is None and not rule.fires(NOTHING)
    assert rule.limit == 1


def test_and_binds_tighter_than_or() -> None:
    rule = parse("stable or plateau(window=2) and labels=200")
    assert rule == AnyOf((Stable(), AllOf((Plateau(window=2), LabelBudget(200)))))
    assert parse("(stable or plateau) and labels=200") == AllOf((AnyOf((Stable(), Plateau())), LabelBudget(200)))
    assert [type(leaf) for leaf in leaves(rule)] == [Stable, Plateau, LabelBudget]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("budget=500", Budget(500)),
        (" budget = 500 ", Budget(500)),
        ("stable", Stable()),
        ("stable=0.95", Stable(0.95)),
        ("stable()", Stable()),
        ("stable(window=5,agreement=.9)", Stable(0.9, 5)),
        ("target(score=0.9, metric=macro_f1)", TargetScore(0.9, "macro_f1")),
        ("target=0.9", TargetScore(0.9)),
        ("plateau(least=-1e-3)", Plateau(-0.001)),
        ("((rounds=0))", Rounds(0)),
        ("stable or budget=500", AnyOf((Stable(), Budget(500)))),
        ("change or stable or budget=5", AnyOf((Change(), Stable(), Budget(5)))),
    ],
)
def test_rules_in_words(text: str, rule: Rule) -> None:
    assert parse(text) == rule


single = st.sampled_from(
    [Budget(5), LabelBudget(7), Stable(0.9, 2), TargetScore(0.5, "f1"), TargetScore(0.5), Plateau(), Change()]
)
combined = st.recursive(
    single,
    lambda inner: st.builds(
        lambda kind, rules: kind(tuple(rules)), st.sampled_from([AnyOf, AllOf]), st.lists(inner, min_size=2, max_size=3)
    ),
    max_leaves=6,
)


@given(combined)
def test_what_is_written_reads_back_as_a_rule_that_fires_alike(rule: Rule) -> None:
    again = parse(str(rule))
    assert list(leaves(again)) == list(leaves(rule))
    for rounds in range(4):
        assert again.fires(growing(rounds)) == rule.fires(growing(rounds))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("stabel", "did you mean 'stable'"),
        ("stable or bugdet=5", "did you mean 'budget'"),
        ("stable(windw=3)", "did you mean 'window'"),
        ("budget", r"'budget' has no limit: write budget=NUMBER"),
        ("target(metric=f1)", "write target=NUMBER"),
        ("stable or", "it ends where a rule should be"),
        ("", "it ends where a rule should be"),
        ("and stable", "there is 'and' where a rule"),
        ("stable budget=5", "there is 'budget' where 'and', 'or' or the end"),
        ("(stable", r"it ends where '\)'"),
        ("stable)", r"there is '\)' where 'and'"),
        ("stable(window 3)", "there is '3' where '='"),
        ("stable(window=1 agreement=1)", "there is 'agreement' where ',' or"),
        ("stable(window=)", r"there is '\)' where a value"),
        ("stable=", "it ends where a value"),
        ("stable(", "it ends where an option"),
        ("budget=many", "answers = 'many' is not right"),
        ("budget=0", "answers = '0' is not right"),
        ("uncertainty=5", "below = '5' is not right"),
        ("target=nan", "score = 'nan' is not right"),
        ("stable(window=1.5)", "window = '1.5' is not right"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_mend(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        parse(text)


@given(st.text("abel stornd=(),0123.", max_size=30))
def test_any_text_is_a_rule_or_a_users_error(text: str) -> None:
    with contextlib.suppress(UserError):
        assert isinstance(parse(text), Rule)


def test_combinations_count_what_fires() -> None:
    either, both = parse("labels=20 or rounds=3"), parse("labels=20 and rounds=3")
    assert [either.fires(growing(rounds)) for rounds in range(5)] == [False, False, True, True, True]
    assert [both.fires(growing(rounds)) for rounds in range(5)] == [False, False, False, False, True]
    assert (either.value(growing(2)), both.value(growing(2)), both.value(growing(4))) == (1, 1, 2)


@pytest.mark.parametrize("text", ["(" * 500 + "stable" + ")" * 500, "(" * 60, " and ".join(["stable"] * 20_000)])
def test_a_rule_too_deep_or_too_long_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(text)
    assert len(str(caught.value)) < 500


@dataclass(frozen=True)
class Enough(AtLeast):
    """A rule of a user's own: so many labels for each round."""

    limit_per_round: float

    def value(self, history: History) -> float | None:
        return history.rounds[-1].labels / len(history.rounds) if history.rounds else None


def test_a_rule_of_the_users_own_is_read_and_written_by_its_place() -> None:
    rule = parse(f"labels=1000 or {__name__}:Enough=10")
    assert str(rule) == f"labels(count=1000) or {__name__}:Enough(limit_per_round=10.0)"
    assert parse(str(rule)) == rule
    assert rule.fires(growing(3)) and not parse(f"{__name__}:Enough=11").fires(growing(3))
    with pytest.raises(UserError, match=r"is no stopping rule: derive the class from dal_nlp\.session"):
        parse(f"{__name__}:History")
    with pytest.raises(UserError, match="has no limit"):
        parse(f"{__name__}:Enough")
