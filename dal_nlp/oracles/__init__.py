"""The oracles by name."""

from collections.abc import Mapping

from dal_nlp.errors import unknown
from dal_nlp.oracles.base import Answer, Label, Opinion, Oracle, Origin, Query, Setting, Skip
from dal_nlp.oracles.calling import Answerer, Calling
from dal_nlp.oracles.labeled_file import LabeledFile
from dal_nlp.oracles.noisy import PREFIX, Noisy
from dal_nlp.oracles.sheets import Sheets
from dal_nlp.plugins import import_class

ORACLES: Mapping[str, type[Oracle]] = {
    "labeled-file": LabeledFile,
    "file": Sheets,
}

__all__ = [
    "ORACLES",
    "Answer",
    "Answerer",
    "Calling",
    "Label",
    "Opinion",
    "Oracle",
    "Origin",
    "Query",
    "Setting",
    "Skip",
    "make_oracle",
]


def make_oracle(name: str) -> Oracle:
    """Build an oracle by its name in the table, as ``module:Class``, or as ``noisy:`` before a share or a file.

    Raises:
        UserError: An unknown name (the nearest one is given), or nothing that ``Noisy`` takes.
    """
    if name.startswith(PREFIX):
        return Noisy(name.removeprefix(PREFIX))
    if name not in ORACLES and ":" not in name:
        raise unknown("oracle", name, [*ORACLES, f"{PREFIX}0.1"])
    return import_class("oracle", name, ORACLES)()
