"""What a run knew before its first label, in sentences: how good that was, and how long it counted."""

from typing import Any

from dal_nlp.core.text import counted
from dal_nlp.ledger.state import State
from dal_nlp.report.summary import metric_names, spoken

#: A weight below this share of what it was before any label: the labels alone decide.
SPENT = 0.1


def starting_line(state: State) -> str:
    """Say what the sources of a run reached without a label and what their weights became; "" where there were none."""
    events = state.metrics
    start: dict[str, Any] | None = events[0].start if events else None
    if start is None:
        return ""
    name = metric_names(events)[0]
    low, high = start["intervals"].get(name, (None, None))
    between = f" [{low:.2f}, {high:.2f}]" if low is not None else ""
    fits = [(event.labels, event.learner) for event in events if event.learner]
    weights = [(labels, notes["signals"]) for labels, notes in fits]
    means = fits[0][1].get("means", {}) if fits else {}
    sources = list(weights[0][1]) if weights else []
    later = dict.fromkeys(source for _, by_source in weights for source in by_source if source not in sources)
    sentence = f"Before any label, {' and '.join(map(_spoken_source, sources))} alone: "
    sentence += f"{spoken(name)} {start['values'][name]:.2f}{between}."
    return " ".join(
        [sentence, *(_weight_line(source, weights, means.get(source, 1.0)) for source in [*sources, *later])]
    )


def _spoken_source(source: str) -> str:
    return {"descriptions": "the descriptions of the labels", "names": "the names of the labels"}.get(source, source)


def _weight_line(source: str, weights: list[tuple[int, dict[str, float]]], mean: float) -> str:
    """Return what the weight of a source was at the first and the last number of labels, and from when it was spent."""
    values = [(labels, by_source[source]) for labels, by_source in weights if source in by_source]
    (first, begun), (last, ended) = values[0], values[-1]
    whose = "Their" if source in ("descriptions", "names") else f"{source}'s"
    sentence = f"{whose} weight in the model is {begun:.2f} at {first} and {ended:.2f} at {counted(last, 'label')}"
    sentence += f"; it began as {mean:g}." if first == weights[0][0] else "."
    late = [labels for labels, value in values if abs(value) >= SPENT]
    spent = next((labels for labels, _ in values if not late or labels > late[-1]), None)
    what = "they count" if whose == "Their" else "it counts"
    return sentence if spent is None else f"{sentence} From {counted(spent, 'label')} on {what} for nothing."
