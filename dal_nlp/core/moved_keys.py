"""Keys of the configuration that earlier versions had elsewhere, and what their runs trained."""

import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("dal_nlp")

#: The strength of the labels in the layer of ``training.mode`` head before it depended on the number of classes.
FIRST_C = 0.13


def with_moved_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a configuration with the keys of earlier versions where they are now; it is logged."""
    training = values.get("training")
    if not isinstance(training, Mapping) or "head_c" not in training:
        return dict(values)
    logger.warning("The key training.head_c is head.c now, and is read as that.")
    rest = {key: value for key, value in training.items() if key != "head_c"}
    return {**values, "training": rest, "head": {"c": training["head_c"], **values.get("head", {})}}


def first_head(c: float | None) -> dict[str, Any]:
    """Return the section ``head`` of runs that began before there was one: the last layer, no prior."""
    return {"layers": [100], "c": c or FIRST_C, "prior": "none", "validate_from": 0}


def as_now(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as a ledger holds it with today's keys; what was not there does what was done then."""
    training = dict(dump["training"])
    head_c = training.pop("head_c", None)
    return {**dump, "training": training, "head": dump.get("head") or first_head(head_c)}
