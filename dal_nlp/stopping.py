"""Why a run stops."""

from collections.abc import Mapping
from dataclasses import dataclass

from dal_nlp.config import RunConfig
from dal_nlp.ledger import State


@dataclass(frozen=True)
class Stop:
    """The reason in a sentence, and whether test labels were read to find it."""

    why: str
    read_test: bool = False


def reason(config: RunConfig, state: State, candidates: int) -> Stop | None:
    """Return why no further round is to start, or None.

    Args:
        config: Budget, rounds and target.
        state: What has happened so far; no round is under way.
        candidates: Examples that could still be asked about.
    """
    if state.round == 0:
        return None
    target = _target_reached(config, state)
    if target:
        return target
    if state.round > (config.rounds or 0):
        done = f"all {config.rounds} rounds are done" if config.rounds != 1 else "the one round is done"
        left = (config.budget or 0) - state.spent
        return Stop(f"{done}, {left} labels of the budget are left: raise the rounds to use them" if left > 0 else done)
    if state.spent >= (config.budget or 0):
        return Stop(f"the budget of {config.budget} labels is spent")
    if candidates == 0:
        return Stop("every example of the pool has been asked about")
    return None


def _target_reached(config: RunConfig, state: State) -> Stop | None:
    last = state.metrics[-1]
    values: Mapping[str, float] = last["validation"] or last["values"]
    read_test = last["validation"] is None and last["on"] == "test"
    for metric, least in (config.target or {}).items():
        if values[metric] >= least:
            place = "the validation file" if last["validation"] else f"the {last['on']} set"
            return Stop(f"{metric} {values[metric]:.4g} on {place} reached the target of {least:g}", read_test)
    return None
