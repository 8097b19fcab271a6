"""What identifies a run, and the keys that earlier versions of the configuration had elsewhere."""

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("dal_nlp")

#: Fields that make two runs the same run. The rest may change between two starts of one run.
IDENTITY = (
    "task",
    "task_options",
    "text_column",
    "label_column",
    "id_column",
    "model",
    "revision",
    "max_length",
    "seed",
    "audit_design",
    "initial",
    "initial_strategy",
)

#: The strength of the labels in the layer of ``training.mode`` head before it depended on the number of classes.
FIRST_C = 0.13


def with_moved_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a configuration with the keys of earlier versions where they are now; it is logged."""
    training, llm = values.get("training"), values.get("llm")
    moved = _with_guidelines(values)
    if isinstance(llm, Mapping) and llm.get("guidelines"):
        logger.warning("The key llm.guidelines is guidelines now, and is read as that.")
    if not isinstance(training, Mapping) or "head_c" not in training:
        return moved
    logger.warning("The key training.head_c is head.c now, and is read as that.")
    rest = {key: value for key, value in training.items() if key != "head_c"}
    return {**moved, "training": rest, "head": {"c": training["head_c"], **values.get("head", {})}}


def _with_guidelines(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with the guidelines where people read them too: they were told to language models alone."""
    llm = values.get("llm")
    if not isinstance(llm, Mapping) or "guidelines" not in llm:
        return dict(values)
    rest = {key: value for key, value in llm.items() if key != "guidelines"}
    return {**values, "llm": rest, "guidelines": values.get("guidelines") or llm["guidelines"]}


def first_head(c: float | None) -> dict[str, Any]:
    """Return the section ``head`` of runs that began before there was one: the last layer, no prior."""
    return {"layers": [100], "c": c or FIRST_C, "prior": "none", "validate_from": 0}


def as_now(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as a ledger holds it with today's keys; what was not there does what was done then."""
    dump = _with_guidelines(dump)
    if "training" not in dump:  # it trains as the defaults have it
        return dict(dump)
    training = dict(dump["training"])
    head_c = training.pop("head_c", None)
    return {**dump, "training": training, "head": dump.get("head") or first_head(head_c)}


def identity(dump: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may not change, of a configuration as a ledger holds it; classes that it names need not be there."""
    dump = as_now(dump)
    training = dict(dump["training"])
    for name in ("start", "soft_labels"):
        training.pop(name, None)  # as `finish`, whose parts they are, they may change
    if training["mode"] == "head":  # of other modes they do nothing
        head = {**dump["head"], "descriptions": dump.get("descriptions")}
        training |= {f"head.{key}": value for key, value in head.items()}
    training["effective_batch"] = training.pop("batch_size") * training.pop("accumulation")
    design = dump.get("audit_design", "uniform")  # which earlier versions did not have
    return {**{name: dump.get(name) for name in IDENTITY}, "audit_design": design, "training": training}


def fingerprint(dump: Mapping[str, Any]) -> str:
    """Return 16 hex digits that stand for a configuration as a ledger holds it."""
    return hashlib.sha256(json.dumps(dump, sort_keys=True).encode()).hexdigest()[:16]
