"""The repair of a damaged ledger: what can be proved is kept, and the rest is set aside in a file."""

import shutil
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from dal_nlp.core.errors import RunFolderError
from dal_nlp.core.files import replace_file
from dal_nlp.core.text import counted
from dal_nlp.ledger.events import Event, FinishedEvent, NoteEvent, StoppedEvent
from dal_nlp.ledger.ledger import FILE, Ledger, check_order
from dal_nlp.ledger.lines import LaterFormat, LedgerLine, checksum, read_line, write_lines
from dal_nlp.ledger.state import State


@dataclass(frozen=True)
class Repair:
    """The outcome of a repair.

    Attributes:
        kept: Lines that are kept.
        lost: What is wrong with the others, a sentence for each; empty where the ledger is whole.
        aside: The file that holds them, None where there are none.
    """

    kept: int
    lost: list[str]
    aside: Path | None


def repair(folder: Path) -> Repair:
    """Keep what can be proved of the ledger of a run folder, and set the rest aside in ``ledger-set-aside-N.jsonl``.

    A line is kept if its checksum is right and what it builds on is kept; lines that were moved go back to their
    places, and line ends are again as they were. Lines of format 1 have no checksums: those that can be read are kept.
    Where anything is lost the run is no longer finished, and models of rounds that are lost are fitted again.

    Raises:
        UserError: There is no ledger, a later version has written it, or its settings are lost.
        Locked: The run is going.
    """
    path = folder / FILE
    if not path.is_file():
        raise RunFolderError(f"{folder} is not a run folder: it has no {FILE}.")
    with Ledger(folder).locked():
        return _repair(folder, path)


def _repair(folder: Path, path: Path) -> Repair:
    data = path.read_bytes()
    content = data.removeprefix(BOM_UTF8).replace(b"\r\n", b"\n")  # a line that was written holds neither
    *raws, torn = content.split(b"\n")
    sorter = _Sorter(path, raws)
    kept, aside, lost = sorter.kept, sorter.aside, sorter.lost
    if content != data:
        lost.insert(0, "Another program has saved the file with other line ends or a byte order mark: they are gone.")
    if not lost:
        return Repair(len(kept), [], None)
    if not kept:
        raise RunFolderError(
            f"{path} has lost its first line, the settings, and no later one holds them: use a copy of it."
        )
    aside_path = None
    if torn:
        aside.append(torn)
    if aside:
        aside_path = next(p for n in count(1) if not (p := folder / f"ledger-set-aside-{n}.jsonl").exists())
        replace_file(aside_path, b"".join(raw + b"\n" for raw in aside))
    note = f"The ledger was damaged and repaired: {counted(len(kept), 'line')} kept; {' '.join(lost)}"
    replace_file(path, write_lines([*kept, NoteEvent(text=note)]))
    _forget_models(folder, sorter.state.round)
    return Repair(len(kept), lost, aside_path)


def _forget_models(folder: Path, round: int) -> None:
    """Let models of rounds whose numbers are lost be fitted again."""
    for checkpoint in folder.glob("checkpoints/round-*"):
        if checkpoint.name.removeprefix("round-").isdecimal() and int(checkpoint.name.removeprefix("round-")) >= round:
            shutil.rmtree(checkpoint, ignore_errors=True)
    (folder / "model" / "fit.json").unlink(missing_ok=True)
    shutil.rmtree(folder / "finish", ignore_errors=True)


class _Sorter:
    """The lines of a damaged ledger, sorted into those that are kept and those that are set aside.

    Attributes:
        kept: The events that are kept.
        aside: The other lines.
        lost: A sentence for each of them, and for each that is gone.
        state: Of the events that are kept.
    """

    def __init__(self, path: Path, raws: list[bytes]) -> None:
        self.kept: list[Event] = []
        self.aside: list[bytes] = []
        self.lost: list[str] = []
        self.state = State()
        self._incomplete = False
        whole = list(self._whole(path, raws))
        self._find_gaps(whole)
        for number, raw, line in self._in_order(whole):
            self._keep(number, raw, line.event)
        if self._incomplete:  # the run goes on from what is left
            ends = [event for event in self.kept if isinstance(event, StoppedEvent | FinishedEvent)]
            self.kept = [event for event in self.kept if event not in ends]

    def _whole(self, path: Path, raws: list[bytes]) -> Iterator[tuple[int, bytes, LedgerLine]]:
        """Yield the lines that are what was written, each with its place in the file."""
        for number, raw in enumerate(raws, start=1):
            try:
                yield number, raw, read_line(raw)
            except LaterFormat as error:
                raise RunFolderError(f"{path}, line {number} cannot be read: {error}.") from None
            except ValueError as error:
                self._set_aside(number, raw, str(error))

    def _in_order(self, whole: list[tuple[int, bytes, LedgerLine]]) -> Iterator[tuple[int, bytes, LedgerLine]]:
        """Yield the lines in the order in which they were written, each once."""
        by_number: dict[int, list[tuple[int, bytes]]] = {}
        highest = 0
        for number, raw, line in whole:
            if line.number is not None:
                by_number.setdefault(line.number, []).append((number, raw))
                if line.number < highest and len(by_number[line.number]) == 1:
                    self.lost.append(f"Line {number} was written as line {line.number}: it goes back there.")
                highest = max(highest, line.number)
        for number, raw, line in sorted(whole, key=lambda one: one[2].number or 0):
            same = by_number.get(line.number, [(number, raw)]) if line.number is not None else [(number, raw)]
            if len({other for _, other in same}) > 1:
                self._set_aside(number, raw, f"another line also says that it is line {line.number}")
            elif number == same[0][0]:
                yield number, raw, line
            else:
                self.lost.append(f"Line {number} is line {line.number} once more: it is dropped.")

    def _find_gaps(self, whole: list[tuple[int, bytes, LedgerLine]]) -> None:
        """Say how many lines are gone, and whether lines without a checksum were changed."""
        old = [raw for _, raw, line in whole if line.number is None]
        for _, _, line in whole:
            if line.before and line.before != checksum(b"".join(raw + b"\n" for raw in old)):
                first = counted((line.number or 1) - 1, "line")
                self._lose(
                    f"Of the first {first}, which have no checksums of their own, one or more were changed, removed or "
                    "added: look through the answers there with `dal-nlp log`."
                )
        numbers = {line.number for _, _, line in whole if line.number is not None}
        first_number = min(numbers, default=1) if old else 1
        gone = max(numbers, default=0) - first_number + 1 - len(numbers) if numbers else 0
        if gone > len(self.aside):  # those that are set aside are among them
            self._lose(f"Gone without a trace: {counted(gone - len(self.aside), 'line')}.")

    def _keep(self, number: int, raw: bytes, event: Event) -> None:
        try:
            check_order(self.state, event)
            self.state.apply(event)
        except ValueError as error:
            self._set_aside(number, raw, str(error))
        else:
            self.kept.append(event)

    def _set_aside(self, number: int, raw: bytes, why: str) -> None:
        self.aside.append(raw)
        self._lose(f"Line {number} is set aside: {why}.")

    def _lose(self, what: str) -> None:
        self.lost.append(what)
        self._incomplete = True
