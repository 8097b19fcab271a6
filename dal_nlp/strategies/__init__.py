"""The strategies by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dal_nlp.core.errors import ConfigError, Unsupported, unknown
from dal_nlp.core.plugins import construct, import_class
from dal_nlp.core.task import Capability

if TYPE_CHECKING:
    from dal_nlp.strategies.base import Strategy

#: What names the stochastic form of a strategy, before the strategy's own name.
PREFIX = "stochastic:"

STRATEGIES: Mapping[str, str] = {
    "random": "dal_nlp.strategies.random:Random",
    "least_confidence": "dal_nlp.strategies.uncertainty:LeastConfidence",
    "margin": "dal_nlp.strategies.uncertainty:Margin",
    "entropy": "dal_nlp.strategies.uncertainty:Entropy",
    "normalized_entropy": "dal_nlp.strategies.normalized_entropy:NormalizedEntropy",
    "binmin": "dal_nlp.strategies.several_labels:BinMin",
    "mmu_lci": "dal_nlp.strategies.several_labels:MmuLci",
    "entity_entropy": "dal_nlp.strategies.entity_entropy:EntityEntropy",
    "span_disagreement": "dal_nlp.strategies.span_disagreement:SpanDisagreement",
    "disagreement": "dal_nlp.strategies.disagreement:Disagreement",
    "kmeans": "dal_nlp.strategies.kmeans:KMeans",
    "variation_ratio": "dal_nlp.strategies.bayesian:VariationRatio",
    "mean_std": "dal_nlp.strategies.bayesian:MeanStd",
    "bald": "dal_nlp.strategies.bayesian:Bald",
    "power_bald": "dal_nlp.strategies.stochastic:PowerBald",
    "batchbald": "dal_nlp.strategies.batchbald:BatchBald",
    "epig": "dal_nlp.strategies.epig:Epig",
    "badge": "dal_nlp.strategies.badge:Badge",
    "egl": "dal_nlp.strategies.egl:EGL",
    "bait": "dal_nlp.strategies.bait:Bait",
    "variance_reduction": "dal_nlp.strategies.variance_reduction:VarianceReduction",
    "coreset": "dal_nlp.strategies.coreset:Coreset",
    "typiclust": "dal_nlp.strategies.typiclust:TypiClust",
    "probcover": "dal_nlp.strategies.probcover:ProbCover",
    "cal": "dal_nlp.strategies.cal:Cal",
    "discriminative": "dal_nlp.strategies.discriminative:Discriminative",
    "suggestive": "dal_nlp.strategies.suggestive:Suggestive",
    "cluster_margin": "dal_nlp.strategies.cluster_margin:ClusterMargin",
    "weighted_kmeans": "dal_nlp.strategies.weighted_kmeans:WeightedKMeans",
    "alps": "dal_nlp.strategies.alps:Alps",
    "learning_loss": "dal_nlp.strategies.learning_loss:LearningLoss",
    "nsp": "dal_nlp.strategies.sequences:NSP",
    "ensp": "dal_nlp.strategies.sequences:ENSP",
    "ensv": "dal_nlp.strategies.sequences:ENSV",
    "bleuvar": "dal_nlp.strategies.bleuvar:BleuVariance",
    "idds": "dal_nlp.strategies.idds:IDDS",
    "dual": "dal_nlp.strategies.dual:Dual",
    "lobster": "dal_nlp.strategies.lobster:Lobster",
}

#: Why what a strategy requires may not be there; where nothing else is said, it is the task that lacks it.
_LACKING: Mapping[Capability, str] = {
    Capability.PREDICTED_LOSS: "which only the models that a run has trained for it have (the first choice, and "
    "dal_nlp.select(), have none)",
    Capability.MASKED_LM: "which this model has no head for (sentence encoders have none, and dal_nlp.select() has the "
    "classifier alone: try a run with --model bert)",
    Capability.WITNESSES: "which only runs with --signal have (of texts with labels, those of --train head)",
}

#: Names that stand for a strategy and for other settings; the configuration puts these in their place.
ALIASES: Mapping[str, Mapping[str, Any]] = {"ceal": {"strategy": "entropy", "pseudo_labels": {"policy": "ceal"}}}


def strategy_class(name: str) -> "type[Strategy]":
    """Return the class of a strategy by its name in the table or as ``module:Class``; raises ``UserError``."""
    return import_class("strategy", name, STRATEGIES, "dal_nlp.strategies.base:Strategy")


def check_strategy(name: str, options: Mapping[str, Any]) -> None:
    """Check the name and the options of a strategy; raises ``UserError`` as ``make_strategy`` does.

    A name of the table without options is looked up in the table alone, so that a configuration loads no torch.
    """
    if name not in STRATEGIES or options:
        make_strategy(name, options)


def make_strategy(name: str, options: Mapping[str, Any]) -> "Strategy":
    """Build a strategy by its name in the table, as ``module:Class``, or as ``stochastic:`` before one that has scores.

    Raises:
        UserError: An unknown name or option (the nearest one is given), or a class that is no ``Strategy``.
    """
    if name in ALIASES:
        choice = ALIASES[name]["strategy"]
        raise ConfigError(f"{name} is more than a choice and works as the --strategy of a run only: use {choice} here.")
    if name.startswith(PREFIX):
        from dal_nlp.strategies.stochastic import make_stochastic

        return construct("strategy", make_stochastic(name.removeprefix(PREFIX), STRATEGIES), options)
    if name not in STRATEGIES and ":" not in name:
        raise unknown("strategy", name, [*STRATEGIES, *ALIASES])
    return construct("strategy", strategy_class(name), options)


def check_fit(name: str, strategy: "Strategy", capabilities: frozenset[Capability]) -> None:
    """Raise ``Unsupported`` where a strategy requires a capability that is not there, with those that do fit.

    Args:
        name: The strategy's name, for the message.
        strategy: What is checked.
        capabilities: Those of the task, and of the run and its model beside it.
    """
    missing = strategy.requires - capabilities
    if missing:
        fitting = sorted(key for key in STRATEGIES if strategy_class(key).requires <= capabilities)
        needs = [f"{need}, {_LACKING.get(need, 'which this task does not have')}" for need in sorted(missing)]
        raise Unsupported(f"The strategy {name!r} needs {'; and '.join(needs)}; these fit: {', '.join(fitting)}.")


def check_states(name: str, strategy: "Strategy", capabilities: frozenset[str], model: str, other: str = "") -> None:
    """Raise ``Unsupported`` where a strategy reads hidden states that a model does not have, with those that fit.

    Args:
        name: The strategy's name, for the message.
        strategy: What is checked.
        capabilities: See ``check_fit``.
        model: Of which class the model is.
        other: What else may be named in place of a strategy.
    """
    if strategy.reads_states:
        classes = {key: strategy_class(key) for key in STRATEGIES}
        fitting = sorted(key for key, cls in classes.items() if cls.requires <= capabilities and not cls.reads_states)
        raise Unsupported(
            f"The strategy {name!r} reads hidden states, and {model} does not give one for each token: name {other}"
            f"one of these strategies: {', '.join(fitting)}."
        )
