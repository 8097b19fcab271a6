"""The powered estimates beside the plain ones: columns of the table of rounds, and what they saved in a sentence."""

from collections.abc import Callable

from dal_nlp.core.text import counted
from dal_nlp.ledger.state import State


def powered_columns(state: State, name: str) -> dict[str, list[str]]:
    """Return the columns of the powered estimates of one metric, {} where no round has any."""
    if not any(name in event.powered for event in state.metrics):
        return {}
    estimates = [event.powered.get(name) for event in state.metrics]
    return {
        f"powered {name}": [f"{of['value']:.3f}" if of else "" for of in estimates],
        "powered 95 %": [f"[{of['interval'][0]:.2f}, {of['interval'][1]:.2f}]" if of else "" for of in estimates],
        "worth": [f"{of['worth']:.0f}" if of else "" for of in estimates],
    }


def powered_sentence(state: State, spoken: Callable[[str], str]) -> str:
    """Say what the judge adds to the plain estimate of the last round; "" where it was not asked."""
    if not state.metrics or not state.metrics[-1].powered:
        return ""
    last = state.metrics[-1]
    name, of = next(iter(last.powered.items()))
    (low, high), size = of["interval"], last.size
    saved = round(of["worth"]) - size
    gain = f", so {counted(saved, 'label')} {'was' if saved == 1 else 'were'} saved" if saved > 0 else ""
    return (
        f"With a judge that has seen no label of the audit sample, {spoken(name)} is {of['value']:.2f} "
        f"[{low:.2f}, {high:.2f}]: the {counted(size, 'label')} are worth {of['worth']:.0f} plain ones{gain}."
    )
