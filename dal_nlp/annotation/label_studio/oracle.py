"""The oracle of people who answer in Label Studio."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import uuid4

from dal_nlp.annotation.answers import Channel
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.annotation.label_studio.client import AT_ONCE, Annotation, Item, Project, SdkServer, Server, Unreachable
from dal_nlp.annotation.oracle import Answer, Label, Oracle, Origin, Query, Setting, Skip
from dal_nlp.annotation.parsing import REASONS, back_in_the_pool, read_answer, suggested
from dal_nlp.annotation.voting import conflicts, is_new, record, resolve, voters
from dal_nlp.core.distributed import is_main
from dal_nlp.core.errors import UserError
from dal_nlp.core.files import replace_file
from dal_nlp.core.guidelines import Guidelines
from dal_nlp.core.text import counted, harmless
from dal_nlp.data.examples import context_of
from dal_nlp.joins.tool_rows import OURS
from dal_nlp.ledger.events import RemovedEvent
from dal_nlp.ledger.state import State

NAME = "label-studio"
#: Seconds between looks at the answers, and the most between looks at a server that is away.
PAUSE, LONGEST_PAUSE = 2.0, 30.0
#: Most mistakes in annotations that are named at the end.
SHOWN = 20
#: What the server shows suggestions of: it shows those of one model, and ours all have their turn.
MODEL = "dal-nlp"
#: The file of the labeling interface in the run folder, for a project that has another one.
INTERFACE = "label-studio.xml"

T = TypeVar("T")


class LabelStudio(Oracle):
    """Asks in a project of Label Studio, and waits there until all is answered.

    A task is known by our id in its data, so that a batch is pushed once however often a run starts. Annotations of all
    rounds are read: what is new in an old one is a correction. ``voting`` says what several people's come to.

    Args:
        project: Its number; None for the one of the run, which is created the first time.
        connect: Returns the server.
        pause: Seconds between looks at the answers.
    """

    def __init__(
        self, project: int | None = None, connect: Callable[[], Server] = SdkServer, pause: float = PAUSE
    ) -> None:
        self._number, self._connect, self._pause = project, connect, pause

    def open(self, setting: Setting) -> None:
        """Find the server and, if there is one already, the project.

        Raises:
            UserError: The server cannot be asked, the project is not there or is another one, or somebody who is to
                answer has no account.
        """
        self._setting = setting
        self._problems: dict[tuple[int, int], str] = {}  # by task, and which of its annotations it is
        self._strangers = 0
        self._project: Project | None = None
        if not is_main():
            return
        self._server = self._connect()
        try:
            self._people = self._server.people()
            self._check_people()
            self._project = self._find_project()
        except Unreachable as error:
            raise UserError(
                f"Label Studio does not answer at {self._server.url} ({error}): start it, or set LABEL_STUDIO_URL."
            ) from None

    def _check_people(self) -> None:
        there = {address.casefold() for address in self._people.values()}
        missing = [name for name in self._setting.config.annotators or [] if name.casefold() not in there]
        if missing:
            raise UserError(
                f"--annotators {missing[0]} has no account in Label Studio at {self._server.url}: give the addresses "
                f"that people sign in with ({', '.join(sorted(there))})."
            )

    def _find_project(self) -> Project | None:
        """Return the project that was asked for, or that of the run; None where it is to be created."""
        known = self._setting.state.channel
        number = self._number or (known.project if known else None)
        if number is None:
            return None
        project, url = self._server.project(number), self._server.url
        if project is None:
            raise UserError(
                f"Label Studio at {url} has no project {number} that your account may see: name another one with "
                f"--oracle {NAME}:NUMBER."
            )
        if known and number == known.project and project.created != known.created:
            raise UserError(
                f"Project {number} at {url} is another one than the run has asked in, at {known.url}: set "
                "LABEL_STUDIO_URL to that server."
            )
        self._check_interface(project)
        return project

    def _interface(self) -> str:
        return label_studio.interface(self._setting.task, self._setting.config.context_columns or ())

    def _check_interface(self, project: Project) -> None:
        """Raise ``UserError`` where a project has another labeling interface than ours; it may still have none."""
        ours = self._interface()
        missing = label_studio.parts(ours) - label_studio.parts(project.interface)
        if missing and not label_studio.is_blank(project.interface):
            path = self._setting.folder / INTERFACE
            replace_file(path, ours.encode())
            tag, *values = min(missing)
            raise UserError(
                f"The labeling interface of project {project.number} has no {' '.join([tag, *filter(None, values)])}: "
                f"paste {path} into its settings, or have --oracle {NAME} create a project."
            )

    def label(self, queries: Sequence[Query]) -> Iterator[Answer | Channel]:
        """Yield what is new in the project; push what is asked, and yield the answers as they come until all are there.

        A server that goes away is waited for.
        """
        setting, state = self._setting, self._setting.state
        if not queries and self._project is None:
            return  # nothing was ever asked there
        yield from self._settle_project()
        there = self._patiently(self._tasks)
        self._strangers = len(there) - len(self._ours(there))
        yield from self._take(there)
        for query in queries:
            yield from resolve(setting.config, state, query.id)
        pending = [query for query in queries if state.pending([query.id])]
        if pending:
            numbers = self._patiently(lambda: self._deliver(pending))
            yield from self._await(numbers)
            # Somebody may have corrected an answer while others were still to come.
            yield from self._take(self._patiently(lambda: self._tasks(list(numbers.values()))))

    def _settle_project(self) -> Iterator[Channel]:
        """Create the project if need be, and yield which one it is before anything is asked there.

        Its mark is in the ledger before it is created, so that a crash in between leaves one that is found again.
        """
        state, url = self._setting.state, self._server.url
        if self._project is None:
            if state.channel is None:
                yield Channel(NAME, url, uuid4().hex)
            assert state.channel is not None
            mark = state.channel.mark
            self._project = self._patiently(lambda: self._server.find(mark) or self._create(mark))
        if label_studio.is_blank(self._project.interface):
            ours, number = self._interface(), self._project.number
            self._patiently(lambda: self._server.set_interface(number, ours))
        known = state.channel
        if known is None or known.project != self._project.number or known.url != url:
            mark = known.mark if known and self._number is None else ""
            yield Channel(NAME, url, mark, self._project.number, self._project.created)

    def _create(self, mark: str) -> Project:
        config, told = self._setting.config, Guidelines.of(self._setting.config, self._setting.task.labels)
        annotators = len(config.annotators or []) if config.overlap else 1
        return self._server.create(self._setting.folder.name, mark, self._interface(), annotators, told.page())

    def _patiently(self, ask: Callable[[], T]) -> T:
        """Return what the server says, however long it is away; ``ask`` may be called again."""
        pause, say = self._pause, self._setting.progress.say
        away = False
        while True:
            try:
                reply = ask()
            except Unreachable as error:
                if not away:
                    say(f"Label Studio does not answer at {self._server.url} ({error}): waiting until it does.")
                away = True
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            if away:
                say("Label Studio is back.")
            return reply

    def _tasks(self, numbers: Sequence[int] | None = None) -> list[Item]:
        """Return the tasks of the project, or those of them with these numbers."""
        assert self._project is not None
        return self._server.tasks(self._project.number, numbers)

    def _deliver(self, queries: Sequence[Query]) -> dict[str, int]:
        """Push those of the queries that are not there, and return the numbers of the tasks of all by id.

        It looks before it pushes, also where the server broke off before it could say that it took everything.
        """
        assert self._project is not None
        state, config = self._setting.state, self._setting.config
        wanted = {_question(state, query.id): query for query in queries}
        items = {label_studio.key(item): item for item in self._tasks()}
        missing = [query for key, query in wanted.items() if key not in items]
        for start in range(0, len(missing), AT_ONCE):
            pushed = [self._task(query) for query in missing[start : start + AT_ONCE]]
            numbers = self._server.push(self._project.number, pushed)
            items |= {label_studio.key(item): item for item in self._tasks(numbers)}
        for key, query in wanted.items():
            annotators = max(1, len(voters(config, state, query.id)))
            if items[key]["overlap"] != annotators:
                self._server.share_out(items[key]["id"], annotators)
        return {query.id: items[key]["id"] for key, query in wanted.items()}

    def _task(self, query: Query) -> dict[str, Any]:
        """Return a task as it is pushed."""
        task, example, state, ours = self._setting.task, self._setting.example(query.id), self._setting.state, OURS
        round = (state.audit or []) if query.round is None else state.queries[query.round].ids
        data = {
            **label_studio.data(task, example, context_of(example)),
            label_studio.TIMES: _question(state, query.id)[1],
            f"{ours}round": query.round,
            f"{ours}rank": round.index(query.id) + 1,
            f"{ours}score": query.score,
            f"{ours}why": query.why,
        }
        shown = (query.suggestion if self._setting.config.suggest else None) or {}
        predictions = label_studio.predictions(task, shown, example, shown.get("by", MODEL))
        return {"data": data, "predictions": predictions}

    def _await(self, numbers: Mapping[str, int]) -> Iterator[Answer]:
        """Yield the answers to tasks, by id, as they come."""
        state = self._setting.state
        told = ""
        while True:
            waiting = state.pending(list(numbers))
            disputed = set(conflicts(self._setting.config, state)) & set(waiting)
            stands = f"{len(numbers) - len(waiting):,} of {len(numbers):,} answered in Label Studio, {self._link()}"
            if disputed:
                stands += (
                    f" ({len(disputed):,} disputed: have one of the annotations changed, or interrupt the run and use "
                    f"`dal-nlp label {self._setting.folder} --conflicts`)"
                )
            if stands != told:
                self._setting.progress.say(stands)
                told = stands
            if not waiting:
                return
            items = self._patiently(lambda: self._tasks([numbers[id] for id in waiting]))  # noqa: B023 - called at once
            yield from self._take(items)
            if state.pending(waiting):
                time.sleep(self._pause)

    def _take(self, items: Sequence[Item]) -> Iterator[Answer]:
        """Yield what is new in the annotations of tasks, the oldest first."""
        annotations = list[tuple[Annotation, Item, int]]()
        for item in self._ours(items):
            entries = item["annotations"] if isinstance(item["annotations"], list) else []
            for nth in [nth for task, nth in self._problems if task == item["id"] and nth >= len(entries)]:
                del self._problems[item["id"], nth]  # it was deleted
            for nth, values in enumerate(entries):
                try:
                    annotations.append((Annotation.of(values), item, nth))
                except ValueError as error:
                    self._note(item, nth, str(error))
        for annotation, item, nth in sorted(annotations, key=lambda one: one[0].updated_at):
            yield from self._record(annotation, item, nth)

    def _ours(self, items: Sequence[Item]) -> list[Item]:
        """Return the tasks of which the run has asked."""
        asked_ids = self._setting.state.ever_asked
        return [item for item in items if label_studio.key(item)[0] in asked_ids]

    def _record(self, annotation: Annotation, item: Item, nth: int) -> Iterator[Answer]:
        """Yield what is to be written down of an annotation, if it says anything new."""
        state, wrong = self._setting.state, ""
        try:
            answer = self._answer(annotation, label_studio.key(item)[0])
        except ValueError as error:
            wrong = str(error).rstrip(".")
        else:
            if is_new(state, answer):
                if state.asks(answer.id):
                    yield from record(self._setting.config, state, answer)
                else:
                    wrong = back_in_the_pool(answer.id)
        self._note(item, nth, wrong)

    def _note(self, item: Item, nth: int, wrong: str) -> None:
        """Say what is wrong with an annotation of a task, once; nothing is, where it is ""."""
        remark = f"Label Studio, task {item['id']}: {wrong}."
        if wrong and self._problems.get((item["id"], nth)) != remark:
            self._setting.progress.say(harmless(remark))
        self._problems.pop((item["id"], nth), None)
        if wrong:
            self._problems[item["id"], nth] = remark

    def _answer(self, annotation: Annotation, id: str) -> Label | Skip:
        """Return an annotation as an answer; raises ``ValueError`` for one that is none."""
        setting = self._setting
        shown = setting.state.suggestion(id) if setting.config.suggest else None
        at = annotation.updated_at.isoformat(timespec="seconds")
        # Each annotation is a channel of its own: of two that one person made the later one counts, once.
        origin = Origin(self._name(annotation.completed_by), at, f"{NAME} {annotation.id}", suggested(shown))
        if annotation.was_cancelled:
            return Skip(id, REASONS["skip"], origin)
        example = setting.example(id)
        text = label_studio.read_results(setting.task, annotation.result, example)
        if not text.strip():
            raise ValueError("an annotation holds no answer: give one, or skip the task")
        return read_answer(setting.task, text, example, origin)

    def _name(self, by: int | Mapping[str, Any]) -> str:
        """Return who signs an annotation: an address, written as in ``config.annotators`` if it is there."""
        names = {name.casefold(): name for name in self._setting.config.annotators or []}
        if isinstance(by, Mapping):
            address = str(by.get("email") or f"account {by.get('id', 'unknown')}")
        else:
            if by not in self._people:
                self._people = {by: f"account {by}", **self._patiently(self._server.people)}
            address = self._people[by]
        return names.get(address.casefold(), address)

    def _link(self) -> str:
        """Return the address of the project."""
        known = self._setting.state.channel
        return f"{known.url}/projects/{known.project}" if known else ""

    def remarks(self, pending: Sequence[str]) -> list[str]:
        """Return what is wrong with annotations, what is not ours, and where things stand."""
        remarks = list(self._problems.values())[:SHOWN]
        if len(self._problems) > SHOWN:
            remarks.append(f"... and {len(self._problems) - SHOWN:,} more annotations like these.")
        if self._strangers:
            remarks.append(f"Left alone in {self._link()}, as not of this run: {counted(self._strangers, 'task')}.")
        config, state = self._setting.config, self._setting.state
        ids = set(conflicts(config, state)) - set(pending)
        if ids:
            remarks.append(f"Disputed: {len(ids):,}; `dal-nlp label {self._setting.folder} --conflicts` settles them.")
        return [*remarks, *super().remarks(pending)]


def _question(state: State, id: str) -> tuple[str, str]:
    """Return the ``_key`` of a task that puts a question now: anew each time that answers from here were removed.

    Who gave them would not be shown the old task again.
    """
    times, answered_here = 1, False
    for event in state.given.get(id, []):
        if isinstance(event, RemovedEvent):
            times, answered_here = times + answered_here, False
        else:
            answered_here = answered_here or event.via.startswith(f"{NAME} ")
    return id, str(times)
