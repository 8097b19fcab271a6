"""A person at a terminal: one question after the other, each answer on the disk before the next one is shown.

It is imported when somebody sits down: what reads answers takes seconds to load.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import get_terminal_size
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.answers import Skip
from dal_nlp.annotation.parsing import REASONS, write_answer
from dal_nlp.core.text import harmless, with_offsets
from dal_nlp.data.examples import context_of
from dal_nlp.ledger.events import AnswerEvent
from dal_nlp_cli.keys import forget, keys
from dal_nlp_cli.terminal import say

VIA = "terminal"
#: Bytes at which terminals cut a line off, without a word.
CUT = 4095
#: What a key, or a word after a colon, does in place of an answer.
_KEYS = {"s": "skip", "?": "unsure", "u": "undo", "q": "quit", "y": "yes", "\x04": "quit"}
_WORDS = ("skip", "unsure", "undo", "quit", "yes", "edit")
#: What is below this line in an editor is for reading.
_RULER = "==== What it is about is below; this line and all after it are left out. ===="


class _Step(NamedTuple):
    """An answer that was given: where in the queue, what was decided before, and whether anything was written down."""

    place: int
    before: AnswerEvent | None
    written: bool


class _Typed(NamedTuple):
    """What was typed: a command, or else an answer."""

    command: str
    answer: str = ""


class LabelingSession:
    """Puts a queue of examples to one person.

    Args:
        desk: Of the run, open for writing.
        who: Signs the answers.
        suggest: Whether the model's suggestion is shown.
        final: Whether an answer settles the matter, whatever others have answered.
        keep: Whether a skip leaves what was decided as it is.
    """

    def __init__(self, desk: AnswerStore, who: str, suggest: bool, final: bool, keep: bool = False) -> None:
        self._desk, self._who, self._suggest, self._final, self._keep = desk, who, suggest, final, keep
        self._task = desk.task
        self._format = desk.task.answer_format
        self._prompt = self._format.terminal(sys.stdin.isatty())
        self._drafts: dict[str, str] = {}

    def work_through(self, queue: Sequence[str]) -> None:
        """Ask about each example until all are answered or the person stops."""
        if queue:
            say(self._help())
        if self._prompt.one_key:
            with keys() as self._next_key:
                self._ask_all(queue)
        else:
            self._ask_all(queue)

    def _ask_all(self, queue: Sequence[str]) -> None:
        place, on_screen = 0, -1
        done, shown = list[_Step](), None
        while place < len(queue) or done:
            if place == len(queue):  # the last answer may have been a slip
                undo = "u" if self._prompt.one_key else ":undo"
                say(f"That was the last one: {undo} takes it back, anything else ends.")
            elif place != on_screen:  # an answer that is not taken leaves the text where it is
                shown, on_screen = self._show(queue[place], place, len(queue)), place
            said = self._typed()
            if said.command == "undo":
                place, on_screen = self._undo(queue, done, place), -1
            elif said.command == "quit" or place == len(queue):
                return
            else:
                before, events = self._desk.state.decision(queue[place]), self._events(queue[place])
                if self._answer(queue[place], said, shown):
                    done.append(_Step(place, before, self._events(queue[place]) > events))
                    place += 1

    def _events(self, id: str) -> int:
        return len(self._desk.state.given.get(id, []))

    def _help(self) -> str:
        if self._prompt.one_key:
            return "Keys: a number for a label, s skip, ? unsure, u undo the last answer, q quit."
        return f"{self._prompt.how}, then Enter. :skip, :unsure, :undo the last answer, :quit."

    def _show(self, id: str, place: int, count: int) -> dict[str, Any] | None:
        """Print one example with what is known of it; return the suggestion that is shown."""
        desk, example = self._desk, self._desk.example(id)
        rule = "-" * 20
        print(f"\n{rule} {place + 1} of {count} ({harmless(id)}; {desk.why(id)}) {rule}")
        self._print_text(example)
        print()
        if self._final:
            for by, event in desk.state.opinions.get(id, {}).items():
                print(f"{harmless(by)} answered: {harmless(write_answer(self._task, event, example))}")
            if id in desk.state.answers:
                label = self._format.format_answer(desk.state.answers[id], example)
                print(f"The label is: {harmless(label)}")
        shown = desk.suggestion(id) if self._suggest else None
        if shown:
            word = "y" if self._prompt.one_key else ":yes"
            text = harmless(self._format.format_answer(shown["target"], example))
            print(f"The model suggests ({shown['confidence']:.2f}; {word} takes it): {text}")
        if self._prompt.numbers:
            print("  ".join(_choice(number, label) for number, label in self._prompt.numbers.items()))
        elif self._format.choices:
            print(f"Another answer: {', '.join(map(harmless, self._format.choices))}")
        if not self._prompt.numbers and sys.stdin.isatty() and forget():
            print("What was typed before is left out: :edit takes several lines, :undo takes the last answer back.")
        return shown

    def _print_text(self, example: dict[str, Any]) -> None:
        for name, value in context_of(example).items():
            print(f"{harmless(name)}: {harmless(value)}")
        if context_of(example):
            print()
        *above, last = self._task.texts(example)
        for text in above:
            print(f"{harmless(text)}\n")
        print(with_offsets(last, get_terminal_size().columns) if self._prompt.offsets else harmless(last))

    def _typed(self) -> _Typed:
        """Wait for a key, or for a line."""
        return self._key() if self._prompt.one_key else self._line()

    def _line(self) -> _Typed:
        try:
            typed = input("> ")
        except EOFError:
            return _Typed("quit")
        except UnicodeDecodeError:
            typed = " " * CUT  # the cut went through a character, or it is no text at all
        if sys.stdin.isatty() and len(typed.encode(errors="replace")) >= CUT:
            print(f"Not taken: a terminal cuts lines off at {CUT:,} bytes; write it with :edit, or in the sheet.")
            return _Typed("")
        word = typed.strip()
        if word.startswith(":") and word[1:] in _WORDS:
            return _Typed(word[1:])
        return _Typed("", self._prompt.answer(typed))

    def _key(self) -> _Typed:
        print("> ", end="", flush=True)
        typed = self._next_key()
        if typed == "\x03":  # where the system does not make a signal of it
            raise KeyboardInterrupt
        label = self._prompt.numbers.get(typed, "")
        print(harmless(label or _KEYS.get(typed, typed)))
        return _Typed("", label) if label else _Typed(_KEYS.get(typed, ""), typed)

    def _edited(self, id: str, shown: dict[str, Any] | None) -> str:
        """Return what was written in an editor; the draft is what was not taken before, else the suggestion."""
        example = self._desk.example(id)
        draft = self._drafts.get(id) or (self._format.format_answer(shown["target"], example) if shown else "")
        before = f"{draft}\n{_RULER}\n{self._task.show(example)}\n"
        try:
            after = _edit(before)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            print(f"The editor failed ({error}): set EDITOR to another one, or type the answer here.")
            return ""
        text, ruler, _ = after.partition(_RULER)
        self._drafts[id] = text.strip()
        if after.rstrip() == before.rstrip():
            print("Not taken: nothing was changed; :yes takes a suggestion as it is.")
        elif not ruler:
            print("Not taken: the line with ==== is gone, and what is below it may be in the answer; :edit goes on.")
        else:
            return text.strip()
        return ""

    def _answer(self, id: str, said: _Typed, shown: dict[str, Any] | None) -> bool:
        """Write an answer down; tell whether there was one."""
        desk, origin = self._desk, self._desk.origin(self._who, VIA, shown, self._final)
        if said.command == "skip" and self._keep:
            print("The label stays as it is.")
            return True
        if said.command in REASONS:
            desk.write(Skip(id, REASONS[said.command], origin))
            return True
        text = self._edited(id, shown) if said.command == "edit" else said.answer
        if said.command == "yes":
            text = self._format.format_answer(shown["target"], desk.example(id)) if shown else ""
        if not text.strip():
            return False
        try:
            answer = desk.read(id, text, origin)
        except ValueError as error:
            print(f"Not taken: {harmless(str(error))[:400].rstrip('.')}.")
            return False
        desk.write(answer)
        return True

    def _undo(self, queue: Sequence[str], done: list[_Step], place: int) -> int:
        """Take the last answer back; return its place in the queue."""
        if not done:
            print("There is no answer of this sitting to undo; `dal-nlp relabel` corrects earlier ones.")
            return place
        step = done.pop()
        id = queue[step.place]
        if not step.written:
            return step.place
        if step.before is None:
            self._desk.remove(id, self._who, VIA, whose=self._who)
        else:
            self._desk.restore(id, step.before)
        return step.place


def _choice(number: str, label: str) -> str:
    return f"[{number}]" if number == label else f"[{number}] {harmless(label)}"


def _edit(text: str) -> str:
    """Return what somebody makes of a text in the editor of VISUAL or EDITOR, vi where there is none."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with TemporaryDirectory(prefix="dal-nlp-") as folder:
        path = Path(folder) / "answer.txt"
        path.write_text(text, encoding="utf-8")
        subprocess.run([*shlex.split(editor), str(path)], check=True)
        return path.read_text(encoding="utf-8")
