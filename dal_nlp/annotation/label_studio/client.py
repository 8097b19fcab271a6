"""A Label Studio server, as far as we ask it anything: a thin layer over its SDK, which is imported nowhere else."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from dal_nlp.core.errors import UserError

#: Names of environment variables: the address of the server, and the token of the account that asks there.
URL, TOKEN = "LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8080"
#: Seconds after which a request is given up.
TIMEOUT = 60
#: How all titles of our projects begin, and the longest one that the server takes.
TITLE, LONGEST_TITLE = "dal-nlp", 50
#: Tasks of one request: the address of a request that names them all has to stay short.
AT_ONCE = 100
#: The SDK would repeat what failed, a push too, although the server may have done it: who asks us looks first.
_ONCE: Any = {"max_retries": 0}

#: A task, with "id", "data", "overlap" and its "annotations", as Label Studio's JSON has them.
Item = Mapping[str, Any]


class Annotation(BaseModel):
    """An annotation as Label Studio writes it: the part of it that we read.

    Attributes:
        completed_by: Who signs it: the number of an account, or what the server says of a person.
        updated_at: In UTC.
        result: See ``format.read_results``.
    """

    id: int
    completed_by: int | dict[str, Any]
    updated_at: datetime
    was_cancelled: bool
    result: list[dict[str, Any]]

    @classmethod
    def of(cls, values: object) -> "Annotation":
        """Read an annotation; raises ``ValueError`` for what is none, in words."""
        try:
            annotation = cls.model_validate(values)
            annotation.updated_at = annotation.updated_at.astimezone(UTC)
            return annotation
        except ValidationError as error:
            first = error.errors()[0]
            location = ".".join(map(str, first["loc"]))
            reason = f"{location}: {first['msg']}" if location else first["msg"]
        except (OverflowError, ValueError):
            reason = "updated_at is out of range"
        raise ValueError(f"an annotation is not as Label Studio writes it ({reason}), so it is not taken")


class Unreachable(Exception):
    """The server does not answer now; it may later."""


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes:
        number: Its id on the server.
        created: When it was created, in ISO 8601; no two projects of a number have the same.
        interface: Its labeling interface, as XML.
    """

    number: int
    created: str
    interface: str


class Server(Protocol):
    """What we ask of a server; any request raises ``Unreachable``, and ``UserError`` for what will not pass."""

    url: str

    def people(self) -> dict[int, str]:
        """Return the addresses of the accounts, by the number that signs an annotation."""

    def project(self, number: int) -> Project | None:
        """Return a project; None where there is none, or none that this account may see."""

    def find(self, mark: str) -> Project | None:
        """Return the project that was created with a mark, if there is one."""

    def create(self, title: str, mark: str, interface: str, annotators: int, instruction: str) -> Project:
        """Create a project in which ``annotators`` people answer each task; the instruction is HTML, "" for none."""

    def set_interface(self, project: int, interface: str) -> None:
        """Give a project its labeling interface."""

    def tasks(self, project: int, numbers: Sequence[int] | None = None) -> list[Item]:
        """Return the tasks of a project, or those of them with these numbers."""

    def push(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add up to ``AT_ONCE`` tasks, all or none, and return their numbers."""

    def share_out(self, task: int, annotators: int) -> None:
        """Have a task answered by ``annotators`` people."""


class SdkServer:
    """A server behind label-studio-sdk; its address and token come from the environment.

    Raises:
        UserError: The SDK is not installed, or the environment does not say what it needs.
    """

    def __init__(self) -> None:
        try:
            from httpx import Client, Limits
            from label_studio_sdk import LabelStudio
        except ImportError:
            raise UserError(
                "--oracle label-studio needs label-studio-sdk: pip install 'dal-nlp[label-studio]'."
            ) from None
        self.url, token = _address(), os.environ.get(TOKEN, "").strip()
        if not token:
            raise UserError(f"{TOKEN} is not set: put the access token of your Label Studio account there.")
        with self._asking():
            # No connection outlives its request: the SDK would never close it.
            web = Client(timeout=TIMEOUT, follow_redirects=True, limits=Limits(max_keepalive_connections=0))
            self._client = LabelStudio(base_url=self.url, api_key=token, timeout=TIMEOUT, httpx_client=web)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Give what goes wrong with a request its meaning. An error's own text may hold headers, so it is not shown."""
        from httpx import TransportError
        from label_studio_sdk.core.api_error import ApiError

        try:
            yield
        except TransportError as error:
            raise Unreachable(str(error) or type(error).__name__) from None
        except ApiError as error:
            raise self._meaning(error.status_code or 0, error.body) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # the SDK looks at what it gets
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise UserError(f"{self.url} does not answer as Label Studio does ({reason}): check {URL}.") from error

    def _meaning(self, status: int, body: Any) -> Exception:
        details = body if isinstance(body, Mapping) else {}
        if status in (401, 403):
            return UserError(
                f"Label Studio at {self.url} does not accept the token in {TOKEN}: copy it from your account."
            )
        if status in (408, 429) or status >= 500:
            return Unreachable(f"it answered {status}")
        if "detail" not in details:
            return UserError(f"{self.url} does not answer as Label Studio does: check {URL}.")
        wrong = f"{details['detail']} {details.get('validation_errors') or ''}".strip()
        return UserError(f"Label Studio at {self.url} refused a request ({status}: {wrong[:300]}).")

    def people(self) -> dict[int, str]:
        """Return the addresses of the accounts, by the number that signs an annotation."""
        with self._asking():
            return {user.id: user.email for user in self._client.users.list(request_options=_ONCE)}

    def project(self, number: int) -> Project | None:
        """Return a project; None where there is none, or none that this account may see."""
        with self._asking():  # a list: where its request finds nothing that is no error
            projects = self._client.projects.list(ids=str(number), request_options=_ONCE)
            return next((_project(project) for project in projects), None)

    def find(self, mark: str) -> Project | None:
        """Return the project that was created with a mark, if there is one."""
        with self._asking():
            projects = self._client.projects.list(title=TITLE, request_options=_ONCE)
            return next((_project(project) for project in projects if mark in (project.description or "")), None)

    def create(self, title: str, mark: str, interface: str, annotators: int, instruction: str) -> Project:
        """Create a project in which ``annotators`` people answer each task; the instruction is HTML, "" for none."""
        with self._asking():
            made = self._client.projects.create(
                title=f"{TITLE} {title}"[:LONGEST_TITLE],
                description=f"The questions of a run of dal-nlp ({mark}).",
                label_config=interface,
                maximum_annotations=annotators,
                expert_instruction=instruction,
                show_instruction=bool(instruction),
                enable_empty_annotation=False,
                request_options=_ONCE,
            )
            return _project(made)

    def set_interface(self, project: int, interface: str) -> None:
        """Give a project its labeling interface."""
        with self._asking():
            self._client.projects.update(project, label_config=interface, request_options=_ONCE)

    def tasks(self, project: int, numbers: Sequence[int] | None = None) -> list[Item]:
        """Return the tasks of a project, or those of them with these numbers."""
        if numbers is None:
            return self._tasks(project, None)
        parts = (numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE))
        return [item for part in parts for item in self._tasks(project, _only(part))]

    def _tasks(self, project: int, query: str | None) -> list[Item]:
        with self._asking():
            tasks = self._client.tasks.list(project=project, query=query, page_size=AT_ONCE, request_options=_ONCE)
            # The SDK says that annotations are a text; what it hands over is the list that the server sent.
            return [
                {"id": task.id, "data": task.data, "overlap": task.overlap, "annotations": task.annotations or []}
                for task in tasks
            ]

    def push(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> list[int]:
        """Add up to ``AT_ONCE`` tasks, all or none, and return their numbers."""
        with self._asking():
            done = self._client.projects.import_tasks(
                project, request=[dict(task) for task in tasks], return_task_ids=True, request_options=_ONCE
            )
            return list(done.task_ids)

    def share_out(self, task: int, annotators: int) -> None:
        """Have a task answered by ``annotators`` people."""
        with self._asking():
            self._client.tasks.update(str(task), overlap=annotators, request_options=_ONCE)


def _address() -> str:
    """Return where the server is; raises ``UserError`` for what is no address, or holds a password."""
    url = os.environ.get(URL, DEFAULT_URL).strip().rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise UserError(f"{URL} is no address of a server: set it to one such as {DEFAULT_URL}.")
    return url


def _only(numbers: Sequence[int]) -> str:
    """Return the query for tasks with these numbers."""
    return json.dumps({"selectedItems": {"all": False, "included": list(numbers)}})


def _project(project: Any) -> Project:
    return Project(project.id, project.created_at.isoformat(), project.label_config or "")


def project_number(name: str) -> int:
    """Return the number of the project that ``label-studio:NUMBER`` names; raises ``UserError`` where that is none."""
    oracle, _, number = name.partition(":")
    if not (number.isascii() and number.isdecimal() and len(number) < 11 and 0 < int(number) < 2**31):
        raise UserError(f"--oracle {name} names no project: give its number, such as {oracle}:42, or {oracle} alone.")
    return int(number)
