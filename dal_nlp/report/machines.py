"""How good machines were: their answers against those that people gave to the audit sample, which never saw them."""

from typing import Any

from scipy.stats import binomtest

from dal_nlp.core.targets import Target
from dal_nlp.core.text import counted
from dal_nlp.ledger.state import State


def machine_rows(state: State) -> list[dict[str, Any]]:
    """Return a row for each signal: {"name", "said" (in sentences), "by_label" [(label, right, answered)]}."""
    rows = []
    for (name, place), answers in state.signals.items():
        if place != "pool":
            continue
        by_id = {answer["id"]: answer["log_probs"] for answer in answers.values()}
        judged = [(state.answers[id], by_id[id]) for id in state.audit or [] if id in state.answers and id in by_id]
        right = [(target, answered(scores, state.labels) == target) for target, scores in judged]
        sentences = [_answered_line(name, list(by_id.values())), _accuracy_line(right), _weight_line(state, name)]
        money = sum(answer.get("cost", 0.0) for answer in answers.values())
        sentences += [f"It cost {money:.2f}."] if money else []
        rows.append({"name": name, "said": " ".join(filter(None, sentences)), "by_label": _by_label(right)})
    return rows


def answered(scores: list[float] | None, labels: list[str]) -> Target | None:
    """Return the label that log-probabilities (C,) give, None for no answer."""
    return None if scores is None else labels[max(range(len(scores)), key=scores.__getitem__)]


def _answered_line(name: str, said: list[list[float] | None]) -> str:
    silent = sum(scores is None for scores in said)
    line = f"{name} answered {counted(len(said) - silent, 'text')} of the pool"
    return f"{line}, and had no answer to {silent:,}." if silent else f"{line}."


def _accuracy_line(right: list[tuple[Target, bool]]) -> str:
    """Return the share that is right, with Wilson's interval; "no answer" counts as wrong."""
    if not right:
        return "It is unaudited: no answer of people to a random sample is there to compare with."
    hits = sum(hit for _, hit in right)
    interval = binomtest(hits, len(right)).proportion_ci(method="wilson")
    share, low, high = (100 * value for value in (hits / len(right), interval.low, interval.high))
    return f"It is right on {share:.0f} % [{low:.0f}, {high:.0f}] of the {len(right):,} audited texts."


def _weight_line(state: State, name: str) -> str:
    notes = state.metrics[-1].learner if state.metrics else {}
    if name in notes.get("off", []):
        return "It was left out of the last fit, as it made labels that did not train clearly less probable."
    weight = notes.get("signals", {}).get(name)
    return "" if weight is None else f"Its weight in the last fit is {weight:.2f}."


def _by_label(right: list[tuple[Target, bool]]) -> list[tuple[str, int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for target, hit in right:
        hits, seen = found.get(str(target), (0, 0))
        found[str(target)] = (hits + hit, seen + 1)
    return [(label, hits, seen) for label, (hits, seen) in sorted(found.items())]
