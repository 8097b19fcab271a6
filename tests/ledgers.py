"""Events and ledgers as tests make them and change them."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.ledger.events import Event, read_event
from dal_nlp.ledger.ledger import Ledger, read_events
from dal_nlp.ledger.lines import write_lines


def event(name: str, values: Mapping[str, Any]) -> Event:
    return read_event({"event": name, **values})


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """What the lines of a ledger hold."""
    return [json.loads(line) for line in (folder / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]


def change(folder: Path, edit: Callable[[list[Event]], Sequence[Event]]) -> None:
    """Write a ledger anew, as if other things had happened."""
    path = folder / "ledger.jsonl"
    path.write_bytes(write_lines(edit(list(read_events(path)))))


def copies_after_every_write(patch: pytest.MonkeyPatch, folder: Path) -> list[tuple[str, Path]]:
    """Copy a run's folder whenever its ledger was written to, as a killed process would leave it; the list grows.

    Each copy comes with the name of the last event.
    """
    copies: list[tuple[str, Path]] = []
    extend = Ledger.extend

    def extend_and_copy(ledger: Ledger, events: Sequence[Event]) -> None:
        extend(ledger, events)
        if events:
            copies.append((events[-1].name, folder / f"died-{len(copies)}"))
            shutil.copytree(ledger.folder, copies[-1][1])

    patch.setattr(Ledger, "extend", extend_and_copy)
    return copies
