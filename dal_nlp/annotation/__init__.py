"""The oracles by name."""

from collections.abc import Mapping

from dal_nlp.annotation.calling import Answerer, Calling
from dal_nlp.annotation.label_studio_oracle import LabelStudio, numbered
from dal_nlp.annotation.labeled_file import LabeledFile
from dal_nlp.annotation.noisy import PREFIX, Noisy
from dal_nlp.annotation.oracle import Answer, Channel, Label, Opinion, Oracle, Origin, Query, Setting, Skip
from dal_nlp.annotation.sheet_oracle import Sheets
from dal_nlp.core.errors import unknown
from dal_nlp.core.plugins import import_class

ORACLES: Mapping[str, type[Oracle]] = {
    "labeled-file": LabeledFile,
    "file": Sheets,
    "label-studio": LabelStudio,
}

__all__ = [
    "ORACLES",
    "Answer",
    "Answerer",
    "Calling",
    "Channel",
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
    """Build an oracle by its name in the table or as ``module:Class``; a few names take something behind a colon.

    These are ``noisy:`` before a share or a file, and ``label-studio:`` before the number of a project.

    Raises:
        UserError: An unknown name (the nearest one is given), or nothing that ``Noisy`` or ``LabelStudio`` takes.
    """
    if name.startswith(PREFIX):
        return Noisy(name.removeprefix(PREFIX))
    if name.startswith("label-studio:"):
        return numbered(name)
    if name not in ORACLES and ":" not in name:
        raise unknown("oracle", name, [*ORACLES, f"{PREFIX}0.1"])
    return import_class("oracle", name, ORACLES)()
