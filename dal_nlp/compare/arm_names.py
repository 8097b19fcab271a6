"""Names of arms: a strategy, and after an @ what learns from the labels that it buys.

``margin`` is a strategy with the learner of the configuration, ``margin@head`` one with ``--train head``,
``random@head:last+noprior`` random labels with a head that reads the last layer and starts from nothing,
``random@head:nosignals`` one that hears no machine, ``random@head:kept`` one that hears machines at prediction too, and
``random@tfidf`` the same labels with TF-IDF and logistic regression. ``human`` and ``stack`` are the strategy of the
configuration with the learners ``head:nosignals`` and ``head:kept``; ``llm`` is each machine alone, without any label.
"""

from collections.abc import Sequence
from typing import Any

from dal_nlp.core.config import merge
from dal_nlp.core.errors import ConfigError, nearest

#: Takes part in every comparison.
RANDOM = "random"
#: The learner that is no model of the package.
WORDS = "tfidf"
#: It in words, where it learns from the labels of another arm.
BASELINE = "TF-IDF + logistic regression"

#: Machines alone.
LLM = "llm"
_SHORT = {"human": "head:nosignals", "stack": "head:kept"}
_MODES = ("head", "full", "lora", WORDS)
_OF_HEAD: dict[str, dict[str, Any]] = {
    "last": {"head": {"layers": [100]}},
    "top-half": {"head": {"layers": [50, 75, 100]}},
    "noprior": {"head": {"prior": "none"}},
    "novalidation": {"head": {"validate_from": 0}},
    "nosignals": {"signals": []},
    "kept": {"keep_witness": True},
}


def spelled_out(arms: Sequence[str], strategy: str) -> list[str]:
    """Return arms that buy labels, ``human`` and ``stack`` as arms of a strategy."""
    return [f"{strategy}@{_SHORT[arm]}" if arm in _SHORT else arm for arm in arms if arm != LLM]


def parts(arm: str) -> tuple[str, str]:
    """Return an arm's strategy and its learner, "" for that of the configuration."""
    strategy, _, learner = arm.partition("@")
    return strategy, learner


def random_of(arm: str) -> str:
    """Return the arm of random labels with an arm's learner."""
    learner = parts(arm)[1]
    return f"{RANDOM}@{learner}" if learner else RANDOM


def settings_of(arm: str) -> dict[str, Any]:
    """Return what an arm's learner sets in the configuration; raises ``UserError`` for one that there is not."""
    learner = parts(arm)[1]
    mode, _, rest = learner.partition(":")
    if not mode:
        return {}
    if mode not in _MODES:
        raise ConfigError(f"There is no learner {mode!r}{nearest(mode, _MODES)}: --arms knows @{', @'.join(_MODES)}.")
    settings: dict[str, Any] = {"training": {"mode": mode}}
    for option in filter(None, rest.split("+")):
        if mode != "head" or option not in _OF_HEAD:
            raise ConfigError(f"The learner {learner!r} of an arm is not known: @head takes {', '.join(_OF_HEAD)}.")
        settings = merge(settings, _OF_HEAD[option])
    return settings


def planned(arms: list[str]) -> list[str]:
    """Return the arms of a comparison, the random one of the first arm's learner first, and those of all others.

    Raises:
        UserError: There is nothing to compare, or a strategy is to learn by TF-IDF.
    """
    chosen = [arm for arm in dict.fromkeys(arms) if parts(arm)[0] != RANDOM]
    if not chosen:
        raise ConfigError(
            "There is nothing to compare random with: name strategies with --strategies margin,badge, or --arms."
        )
    for arm in arms:
        settings_of(arm)
        if parts(arm)[1] == WORDS and parts(arm)[0] != RANDOM:
            raise ConfigError(f"{arm}: TF-IDF chooses nothing, so its only arm is {RANDOM}@{WORDS}.")
    return list(dict.fromkeys([random_of(chosen[0]), *map(random_of, chosen), *arms]))
