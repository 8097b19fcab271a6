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
from dal_nlp.core.guidelines import Guidelines
from dal_nlp.core.text import harmless
from dal_nlp.data.examples import context_of
from dal_nlp.ledger.events import AnswerEvent
from dal_nlp_cli.choosing import COMMANDS, read_choice
from dal_nlp_cli.keys import forget, keys
from dal_nlp_cli.pages import columns, pages, wrapped, wrapped_with_offsets
from dal_nlp_cli.terminal import say

VIA = "terminal"
#: Bytes at which terminals cut a line off, without a word.
CUT = 4095
_WORDS = {name: name for name, _ in COMMANDS.values()} | {key: name for key, (name, _) in COMMANDS.items()}
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
        store: Of the run, open for writing.
        who: Signs the answers.
        suggest: Whether the model's suggestion is shown.
        final: Whether an answer settles the matter, whatever others have answered.
        keep: Whether a skip leaves what was decided as it is.
    """

    def __init__(self, store: AnswerStore, who: str, suggest: bool, final: bool, keep: bool = False) -> None:
        self._store, self._who, self._suggest, self._final, self._keep = store, who, suggest, final, keep
        self._task = store.task
        self._format = store.task.answer_format
        self._prompt = self._format.terminal(sys.stdin.isatty())
        self._told = Guidelines.of(store.config, store.task.labels)
        self._drafts: dict[str, str] = {}
        self._pages: list[list[str]] = [[]]
        self._page, self._helping = 0, False

    def work_through(self, queue: Sequence[str]) -> None:
        """Ask about each example until all are answered or the person stops."""
        if queue and not self._prompt.by_key:
            say(f"{self._prompt.how}, then Enter.")
        if self._prompt.by_key:
            with keys() as self._next_key:
                self._ask_all(queue)
        else:
            self._ask_all(queue)

    def _ask_all(self, queue: Sequence[str]) -> None:
        place, on_screen = 0, -1
        done, shown = list[_Step](), None
        while place < len(queue) or done:
            if place == len(queue):  # the last answer may have been a slip
                say(f"That was the last one: {self._command('u')} takes it back, anything else ends.")
            elif place != on_screen:  # an answer that is not taken leaves the text where it is
                shown, on_screen = self._show(queue[place], place, len(queue)), place
            typed = self._typed()
            if typed.command == "undo":
                place, on_screen = self._undo(queue, done, place), -1
            elif typed.command in ("help", "page") and place < len(queue):
                if typed.command == "help":
                    self._help()
                elif self._helping and self._page == len(self._pages) - 1:
                    on_screen = -1  # back to the text
                else:
                    self._turn()
            elif typed.command == "quit" or place == len(queue):
                return
            else:
                before, events = self._store.state.decision(queue[place]), self._events(queue[place])
                if self._answer(queue[place], typed, shown):
                    done.append(_Step(place, before, self._events(queue[place]) > events))
                    place += 1

    def _events(self, id: str) -> int:
        return len(self._store.state.given.get(id, []))

    def _help(self) -> None:
        """Print the guidelines, what is said of the labels, and how to answer; pages are turned as those of a text."""
        guidelines = [line for text in self._told.lines() for line in wrapped(text)] if self._told.given else []
        how = f"{self._prompt.how}." if not self._prompt.by_key else self._how_by_key()
        more = [how, "Every answer is saved before the next text is shown, so you may stop at any moment."]
        shown = [*guidelines, *([""] if guidelines else []), *(line for text in more for line in wrapped(text))]
        self._open(shown, 0, helping=True)

    def _how_by_key(self) -> str:
        longest = max(map(len, self._prompt.numbers), default=1)
        more = "; Enter ends one with which a longer one begins" if longest > 1 else ""
        return f"Type the number of a label{more}. A slash and a part of its name, then Enter, choose it too."

    def _open(self, shown: Sequence[str], below: int, helping: bool = False) -> None:
        """Print the first page of some lines, of a text or of the help."""
        self._pages, self._page, self._helping = pages(shown, below), 0, helping
        self._print_page()

    def _turn(self) -> None:
        """Print the next page; after the last one comes the first."""
        self._page = (self._page + 1) % len(self._pages)
        self._print_page()

    def _print_page(self) -> None:
        print("\n".join(self._pages[self._page]))
        if self._turns:
            last = self._page == len(self._pages) - 1
            follows = "the text again" if self._helping and last else "the first one again" if last else "the next one"
            print(f"-- page {self._page + 1} of {len(self._pages)}; {self._command(' ')} shows {follows} --")

    @property
    def _turns(self) -> bool:
        """Whether there is another page than the one that is shown."""
        return self._helping or len(self._pages) > 1

    def _command(self, key: str) -> str:
        """Return how a command is typed."""
        if key == " ":
            return "space" if self._prompt.by_key else "Enter"
        return key if self._plain_letters else f":{key}"

    @property
    def _plain_letters(self) -> bool:
        """Whether commands are letters alone, which can be no answers; elsewhere a colon is before them."""
        return self._prompt.by_key or bool(self._prompt.numbers)

    def _commands(self) -> str:
        """Return the line of all commands that do something now."""
        there = {" ": self._turns, "e": not self._prompt.by_key, "y": self._suggest}
        commands = [f"{self._command(key)} {does}" for key, (_, does) in COMMANDS.items() if there.get(key, True)]
        numbers = list(self._prompt.numbers)
        first = [f"{numbers[0]}-{numbers[-1]} label", "/ name"] if numbers and self._prompt.by_key else []
        return "  ".join([*first, *commands])

    def _show(self, id: str, place: int, count: int) -> dict[str, Any] | None:
        """Print one example with what is known of it; return the suggestion that is shown."""
        store, example = self._store, self._store.example(id)
        title = f"{place + 1} of {count} ({harmless(id)}; {store.why(id)})"
        rule = "-" * max(1, min(20, (get_terminal_size().columns - len(title) - 3) // 2))
        print("\n" + "\n".join(wrapped(f"{rule} {title} {rule}")))
        below = self._below()
        self._open(self._lines_of(example), len(below))
        print()
        if self._final:
            for by, event in store.state.opinions.get(id, {}).items():
                print(f"{harmless(by)} answered: {harmless(write_answer(self._task, event, example))}")
            if id in store.state.answers:
                label = self._format.format_answer(store.state.answers[id], example)
                print(f"The label is: {harmless(label)}")
        shown = store.suggestion(id) if self._suggest else None
        if shown:
            word = self._command("y")
            text = harmless(self._format.format_answer(shown["target"], example))
            who = harmless(shown.get("by", "The model"))
            print(f"{who} suggests ({shown['confidence']:.2f}; {word} takes it): {text}")
        if below:
            print("\n".join(below))
        if not self._prompt.numbers and sys.stdin.isatty() and forget():
            print("What was typed before is left out: :e takes several lines, :u takes the last answer back.")
        return shown

    def _below(self) -> list[str]:
        """Return what can be chosen."""
        if self._prompt.numbers:
            return columns(self._prompt.numbers)
        return [f"Another answer: {', '.join(map(harmless, self._format.choices))}"] if self._format.choices else []

    def _lines_of(self, example: dict[str, Any]) -> list[str]:
        """Return the lines of an example: its context, then its texts."""
        shown = [line for name, value in context_of(example).items() for line in wrapped(f"{name}: {value}")]
        shown += [""] if shown else []
        *above, last = self._task.texts(example)
        for text in above:
            shown += [*wrapped(text), ""]
        return shown + (wrapped_with_offsets(last) if self._prompt.offsets else wrapped(last))

    def _typed(self) -> _Typed:
        """Show the commands, then wait for keys, or for a line."""
        say(self._commands())
        return self._key() if self._prompt.by_key else self._line()

    def _line(self) -> _Typed:
        try:
            typed = input("> ")
        except EOFError:
            return _Typed("quit")
        except UnicodeDecodeError:
            typed = " " * CUT  # the cut went through a character, or it is no text at all
        if sys.stdin.isatty() and len(typed.encode(errors="replace")) >= CUT:
            say(f"Not taken: a terminal cuts lines off at {CUT:,} bytes; write it with :e, or in the sheet.")
            return _Typed("")
        word = typed.strip()
        if not word and self._turns:
            return _Typed("page")
        if word.startswith(":") and word[1:] in _WORDS:
            return _Typed(_WORDS[word[1:]])
        answer = self._prompt.answer(typed)
        if self._plain_letters and word in COMMANDS and answer.strip() == word and word not in self._format.choices:
            return _Typed(COMMANDS[word][0])
        return _Typed("", answer)

    def _key(self) -> _Typed:
        """Wait for a command's key, all digits of a number, or a slash and a name."""
        print("> ", end="", flush=True)
        return _Typed(*read_choice(self._next_key, self._prompt.numbers))

    def _edited(self, id: str, shown: dict[str, Any] | None) -> str:
        """Return what was written in an editor; the draft is what was not taken before, else the suggestion."""
        example = self._store.example(id)
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
            say("Not taken: nothing was changed; :y takes a suggestion as it is.")
        elif not ruler:
            say("Not taken: the line with ==== is gone, and what is below it may be in the answer; :e goes on.")
        else:
            return text.strip()
        return ""

    def _answer(self, id: str, typed: _Typed, shown: dict[str, Any] | None) -> bool:
        """Write an answer down; tell whether there was one."""
        store, origin = self._store, self._store.origin(self._who, VIA, shown, self._final)
        if typed.command == "skip" and self._keep:
            print("The label stays as it is.")
            return True
        if typed.command in REASONS:
            store.write(Skip(id, REASONS[typed.command], origin))
            return True
        text = self._edited(id, shown) if typed.command == "edit" else typed.answer
        if typed.command == "yes":
            text = self._format.format_answer(shown["target"], store.example(id)) if shown else ""
        if not text.strip():
            return False
        try:
            answer = store.read(id, text, origin)
        except ValueError as error:
            say(f"Not taken: {harmless(str(error))[:400].rstrip('.')}.")
            return False
        store.write(answer)
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
            self._store.remove(id, self._who, VIA, whose=self._who)
        else:
            self._store.restore(id, step.before)
        return step.place


def _edit(text: str) -> str:
    """Return what somebody makes of a text in the editor of VISUAL or EDITOR, vi where there is none."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with TemporaryDirectory(prefix="dal-nlp-") as folder:
        path = Path(folder) / "answer.txt"
        path.write_text(text, encoding="utf-8")
        subprocess.run([*shlex.split(editor), str(path)], check=True)
        return path.read_text(encoding="utf-8")
