"""The oracles by name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from dal_nlp.annotation.answers import Answer, Channel, Label, Opinion, Origin, Query, Skip
from dal_nlp.annotation.oracle import Oracle, Setting
from dal_nlp.core.errors import ConfigError, unknown
from dal_nlp.core.plugins import construct, import_class

ORACLES: Mapping[str, str] = {
    "labeled-file": "dal_nlp.annotation.simulated:LabeledFile",
    "file": "dal_nlp.annotation.sheet_oracle:Sheets",
    "label-studio": "dal_nlp.annotation.label_studio.oracle:LabelStudio",
}
#: What names an oracle that makes mistakes, before a share or a file, and a project of Label Studio, before its number.
NOISY, NUMBERED = "noisy:", "label-studio:"
#: What names a language model as an oracle, before a folder, a Hub id or the model of an endpoint.
MACHINES = "llm:"

__all__ = ["NOISY", "ORACLES", "Answer", "Channel", "Label", "Opinion", "Oracle", "Origin", "Query", "Setting", "Skip"]


def check_oracle(name: str, options: Mapping[str, Any]) -> None:
    """Check the name and the options of an oracle, one of the table without importing it; raises as ``make_oracle``."""
    if name not in ORACLES or options:
        make_oracle(name, options)


def make_oracle(name: str, options: Mapping[str, Any] = MappingProxyType({})) -> Oracle:
    """Build an oracle by its name in the table or as ``module:Class``; a few names take something behind a colon.

    These are ``noisy:`` before a share or a file, ``label-studio:`` before the number of a project, and ``llm:`` before
    a language model.

    Raises:
        UserError: An unknown name (the nearest one is given), nothing that ``Noisy`` or ``LabelStudio`` takes, or an
            option that the class does not have.
    """
    if options and name.startswith((NOISY, NUMBERED, MACHINES)):
        raise ConfigError(f"The oracle {name!r} has no options but what its name says: leave oracle_options out.")
    if name.startswith(NOISY):
        from dal_nlp.annotation.simulated import Noisy

        return Noisy(name.removeprefix(NOISY))
    if name.startswith(NUMBERED):
        from dal_nlp.annotation.label_studio.client import project_number
        from dal_nlp.annotation.label_studio.oracle import LabelStudio

        return LabelStudio(project_number(name))
    if name.startswith(MACHINES):
        from dal_nlp.annotation.simulated import MachineOracle

        return MachineOracle(name)
    if name not in ORACLES and ":" not in name:
        raise unknown("oracle", name, [*ORACLES, f"{NOISY}0.1"])
    cls = import_class("oracle", name, ORACLES, "dal_nlp.annotation.oracle:Oracle")
    oracle: Oracle = construct("oracle", cls, options)
    return oracle
