"""A Label Studio in memory, and a person who labels there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dal_nlp import RunConfig, Session
from dal_nlp.annotation.label_studio import format as label_studio
from dal_nlp.annotation.label_studio.client import AT_ONCE, Item, Project, Unreachable
from dal_nlp.annotation.label_studio.oracle import LabelStudio
from dal_nlp.session.loop import Result
from tests import waiting_runs as asking
from tests.listening import Listening

ANNA, BEN = "anna@example.org", "ben@example.org"


class Interrupted(BaseException):
    """The process is gone, at once."""


def nothing(server: "FakeServer") -> None:
    """Do nothing."""


@dataclass
class FakeServer:
    """Keeps what is pushed; before each look at the answers that are awaited, ``person`` may do something.

    ``down`` is what is still to fail: before a request is served, or, with "after", once it was.
    """

    person: Callable[["FakeServer"], None] = nothing
    url: str = "http://studio:8080"
    accounts: dict[int, str] = field(default_factory=lambda: {1: ANNA, 2: BEN})
    projects: dict[int, dict[str, Any]] = field(default_factory=dict)
    down: list[str] = field(default_factory=list)
    looks: int = 0
    clock: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def people(self) -> dict[int, str]:
        self._fail("people")
        return dict(self.accounts)

    def project(self, number: int) -> Project | None:
        found = self.projects.get(number)
        return Project(number, found["created"], found["interface"]) if found else None

    def find(self, mark: str) -> Project | None:
        return next((self.project(n) for n, there in self.projects.items() if mark and mark in there["mark"]), None)

    def create(self, title: str, mark: str, interface: str, annotators: int, instruction: str) -> Project:
        number = len(self.projects) + 42
        created, asks = (
            self._now(),
            {"title": title, "mark": mark, "annotators": annotators, "instruction": instruction},
        )
        self.projects[number] = {"created": created, "interface": interface, "tasks": [], **asks}
        self._fail("after create")
        return Project(number, created, interface)

    def set_interface(self, project: int, interface: str) -> None:
        self.projects[project]["interface"] = interface

    def tasks(self, project: int, numbers: Sequence[int] | None = None) -> list[Item]:
        self._fail("tasks")
        awaited = numbers is not None and not any(task["new"] for task in self.there if task["id"] in numbers)
        if awaited:
            self.looks += 1
            assert self.looks < 100, "the run waits for an answer that does not come"
            self.person(self)
        found = [task for task in self.projects[project]["tasks"] if numbers is None or task["id"] in numbers]
        for task in found:
            task["new"] = False
        return [{**task, "annotations": [dict(one) for one in task["annotations"]]} for task in found]

    def push(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        assert 0 < len(tasks) <= AT_ONCE
        self._fail("push")
        there = self.projects[project]
        new = [
            {**task, "id": len(there["tasks"]) + i, "overlap": there["annotators"], "annotations": [], "new": True}
            for i, task in enumerate(tasks, start=1)
        ]
        there["tasks"] += new
        self._fail("after push")
        return [task["id"] for task in new]

    def share_out(self, task: int, annotators: int) -> None:
        self._fail("share out")
        next(one for one in self.there if one["id"] == task)["overlap"] = annotators

    @property
    def there(self) -> list[dict[str, Any]]:
        """The tasks of the first project."""
        return next(iter(self.projects.values()))["tasks"]

    def ids(self) -> list[str]:
        """What the tasks are of, in the order in which they were pushed."""
        return [task["data"]["dal_nlp_id"] for task in self.there]

    def annotate(self, task: Mapping[str, Any], result: Any, by: int = 1, cancelled: bool = False) -> dict[str, Any]:
        """Have a person answer a task."""
        number = 1 + max((one["id"] for other in self.there for one in other["annotations"]), default=0)
        made = {"id": number, "result": result, "completed_by": by, "was_cancelled": cancelled}
        made["updated_at"] = self._now()
        task["annotations"].append(made)
        return made

    def change(self, annotation: dict[str, Any], result: Any) -> None:
        """Have a person change an answer."""
        annotation.update(result=result, updated_at=self._now(), was_cancelled=False)

    def _now(self) -> str:
        self.clock += timedelta(seconds=1)
        return self.clock.isoformat()

    def _fail(self, where: str) -> None:
        if self.down and self.down[0] in (where, f"dead {where}"):
            if self.down.pop(0) != where:
                raise Interrupted
            raise Unreachable("connection refused")


def results(task: str, id: str, answers: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """The right answer to an example of the pool, or another, as Label Studio has it."""
    row = next(row for row in asking.rows_of(task, 24) if row["id"] == id)
    target = (answers or asking.gold(task))[id]
    return label_studio.results(asking.task_of(task), target, asking.shown(task, row))


def answering(task: str, number: int = 1, by: int = 1) -> Callable[[FakeServer], None]:
    """A person who answers ``number`` tasks, the first ones that they have not answered, each time they look."""

    def person(server: FakeServer) -> None:
        mine = [t for t in server.there if not any(one["completed_by"] == by for one in t["annotations"])]
        for one in mine[:number]:
            server.annotate(one, results(task, one["data"]["dal_nlp_id"]), by)

    return person


def run(
    server: FakeServer,
    task: str,
    folder: Path,
    project: int | None = None,
    heard: Listening | None = None,
    **changes: Any,
) -> Result:
    """Run with the server, as the same command does each time."""
    config = RunConfig.load(flags={**asking.flags(task, folder), "oracle": "label-studio", **changes})
    return Session(config, oracle=LabelStudio(project, lambda: server, pause=0), progress=heard).run()
