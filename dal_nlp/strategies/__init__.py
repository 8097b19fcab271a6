"""The strategies by name."""

from collections.abc import Mapping
from typing import Any

from dal_nlp.core.errors import Unsupported, UserError, unknown
from dal_nlp.core.plugins import construct, import_class
from dal_nlp.strategies.alps import Alps
from dal_nlp.strategies.badge import Badge
from dal_nlp.strategies.bait import Bait
from dal_nlp.strategies.base import MASKED_LM, PREDICTED_LOSS, Selection, Strategy
from dal_nlp.strategies.batchbald import BatchBald
from dal_nlp.strategies.bayesian import Bald, MeanStd, VariationRatio
from dal_nlp.strategies.bleuvar import BleuVariance
from dal_nlp.strategies.cal import Cal
from dal_nlp.strategies.cluster_margin import ClusterMargin
from dal_nlp.strategies.coreset import Coreset
from dal_nlp.strategies.discriminative import Discriminative
from dal_nlp.strategies.dual import Dual
from dal_nlp.strategies.egl import EGL
from dal_nlp.strategies.epig import Epig
from dal_nlp.strategies.idds import IDDS
from dal_nlp.strategies.kmeans import KMeans
from dal_nlp.strategies.learning_loss import LearningLoss
from dal_nlp.strategies.lobster import Lobster
from dal_nlp.strategies.normalized_entropy import NormalizedEntropy
from dal_nlp.strategies.probcover import ProbCover
from dal_nlp.strategies.random import Random
from dal_nlp.strategies.sequences import ENSP, ENSV, NSP
from dal_nlp.strategies.span_disagreement import SpanDisagreement
from dal_nlp.strategies.stochastic import PREFIX, PowerBald, make_stochastic
from dal_nlp.strategies.suggestive import Suggestive
from dal_nlp.strategies.typiclust import TypiClust
from dal_nlp.strategies.uncertainty import Entropy, LeastConfidence, Margin
from dal_nlp.strategies.weighted_kmeans import WeightedKMeans

STRATEGIES: Mapping[str, type[Strategy]] = {
    "random": Random,
    "least_confidence": LeastConfidence,
    "margin": Margin,
    "entropy": Entropy,
    "normalized_entropy": NormalizedEntropy,
    "span_disagreement": SpanDisagreement,
    "kmeans": KMeans,
    "variation_ratio": VariationRatio,
    "mean_std": MeanStd,
    "bald": Bald,
    "power_bald": PowerBald,
    "batchbald": BatchBald,
    "epig": Epig,
    "badge": Badge,
    "egl": EGL,
    "bait": Bait,
    "coreset": Coreset,
    "typiclust": TypiClust,
    "probcover": ProbCover,
    "cal": Cal,
    "discriminative": Discriminative,
    "suggestive": Suggestive,
    "cluster_margin": ClusterMargin,
    "weighted_kmeans": WeightedKMeans,
    "alps": Alps,
    "learning_loss": LearningLoss,
    "nsp": NSP,
    "ensp": ENSP,
    "ensv": ENSV,
    "bleuvar": BleuVariance,
    "idds": IDDS,
    "dual": Dual,
    "lobster": Lobster,
}

#: Why what a strategy requires may not be there; where nothing else is said, it is the task that lacks it.
_LACKING: Mapping[str, str] = {
    PREDICTED_LOSS: "which only the models that a run has trained for it have (the first choice, and dal_nlp.select(), "
    "have none)",
    MASKED_LM: "which this model has no head for (sentence encoders have none, and dal_nlp.select() has the classifier "
    "alone: try a run with --model bert)",
}

#: Names that stand for a strategy and for other settings; the configuration puts these in their place.
ALIASES: Mapping[str, Mapping[str, Any]] = {"ceal": {"strategy": "entropy", "pseudo_labels": {"policy": "ceal"}}}

__all__ = ["ALIASES", "STRATEGIES", "Selection", "Strategy", "check_fit", "check_states", "make_strategy"]


def make_strategy(name: str, options: Mapping[str, Any]) -> Strategy:
    """Build a strategy by its name in the table, as ``module:Class``, or as ``stochastic:`` before one that has scores.

    Raises:
        UserError: An unknown name or option (the nearest one is given), or a class that is no ``Strategy``.
    """
    if name in ALIASES:
        choice = ALIASES[name]["strategy"]
        raise UserError(f"{name} is more than a choice and works as the --strategy of a run only: use {choice} here.")
    if name.startswith(PREFIX):
        return construct("strategy", make_stochastic(name.removeprefix(PREFIX), STRATEGIES), options)
    if name not in STRATEGIES and ":" not in name:
        raise unknown("strategy", name, [*STRATEGIES, *ALIASES])
    return construct("strategy", import_class("strategy", name, STRATEGIES), options)


def check_fit(name: str, strategy: Strategy, offers: frozenset[str]) -> None:
    """Raise ``Unsupported`` where a strategy requires what is not offered, with those that do fit.

    Args:
        name: The strategy's name, for the message.
        strategy: What is checked.
        offers: What the task offers, and what the run and its model do beside it.
    """
    missing = strategy.requires - offers
    if missing:
        fitting = sorted(key for key, cls in STRATEGIES.items() if cls.requires <= offers)
        needs = [f"{need}, {_LACKING.get(need, 'which this task does not have')}" for need in sorted(missing)]
        raise Unsupported(f"The strategy {name!r} needs {'; and '.join(needs)}; these fit: {', '.join(fitting)}.")


def check_states(name: str, strategy: Strategy, offers: frozenset[str], model: str) -> None:
    """Raise ``Unsupported`` where a strategy reads hidden states that a model does not have, with those that fit.

    Args:
        name: The strategy's name, for the message.
        strategy: What is checked.
        offers: See ``check_fit``.
        model: Of which class the model is.
    """
    if strategy.reads_states:
        fitting = sorted(key for key, cls in STRATEGIES.items() if cls.requires <= offers and not cls.reads_states)
        raise Unsupported(
            f"The strategy {name!r} reads hidden states, and {model} does not give one for each token: name a "
            f"query.embedding_model to read in their place, or one of these strategies: {', '.join(fitting)}."
        )
