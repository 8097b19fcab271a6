"""The oracles by name."""

from collections.abc import Mapping

from dal_nlp.annotation.answers import Answer, Channel, Label, Opinion, Origin, Query, Skip
from dal_nlp.annotation.oracle import Oracle, Setting
from dal_nlp.core.errors import unknown
from dal_nlp.core.plugins import construct, import_class

ORACLES: Mapping[str, str] = {
    "labeled-file": "dal_nlp.annotation.simulated:LabeledFile",
    "file": "dal_nlp.annotation.sheet_oracle:Sheets",
    "label-studio": "dal_nlp.annotation.label_studio_oracle:LabelStudio",
}
#: What names an oracle that makes mistakes, before a share or a file, and a project of Label Studio, before its number.
NOISY, NUMBERED = "noisy:", "label-studio:"

__all__ = ["NOISY", "ORACLES", "Answer", "Channel", "Label", "Opinion", "Oracle", "Origin", "Query", "Setting", "Skip"]


def check_oracle(name: str) -> None:
    """Check the name of an oracle, without importing one of the table; raises ``UserError`` as ``make_oracle`` does."""
    if name not in ORACLES:
        make_oracle(name)


def make_oracle(name: str) -> Oracle:
    """Build an oracle by its name in the table or as ``module:Class``; a few names take something behind a colon.

    These are ``noisy:`` before a share or a file, and ``label-studio:`` before the number of a project.

    Raises:
        UserError: An unknown name (the nearest one is given), or nothing that ``Noisy`` or ``LabelStudio`` takes.
    """
    if name.startswith(NOISY):
        from dal_nlp.annotation.simulated import Noisy

        return Noisy(name.removeprefix(NOISY))
    if name.startswith(NUMBERED):
        from dal_nlp.annotation.label_studio_oracle import numbered

        return numbered(name)
    if name not in ORACLES and ":" not in name:
        raise unknown("oracle", name, [*ORACLES, f"{NOISY}0.1"])
    oracle: Oracle = construct("oracle", import_class("oracle", name, ORACLES, "dal_nlp.annotation.oracle:Oracle"), {})
    return oracle
