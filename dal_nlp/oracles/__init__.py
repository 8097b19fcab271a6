"""The oracles by name."""

from collections.abc import Mapping

from dal_nlp.oracles.base import Label, Oracle, Query, Skip
from dal_nlp.oracles.labeled_file import LabeledFile
from dal_nlp.plugins import import_class

ORACLES: Mapping[str, type[Oracle]] = {
    "labeled-file": LabeledFile,
}

__all__ = ["ORACLES", "Label", "Oracle", "Query", "Skip", "oracle_class"]


def oracle_class(name: str) -> type[Oracle]:
    """Return the class of an oracle by its name in the table or as ``module:Class``; raises ``UserError``."""
    return import_class("oracle", name, ORACLES)
