"""The page on which people answer, over HTTP: one html file, and a few requests in JSON that carry the token.

The token is in the fragment of the page's address, which browsers send to nobody, and comes back in a header that no
other site can set: a request without it is refused, whatever cookies or forms a browser is made to send.
"""

import asyncio
import base64
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dal_nlp.core.errors import UserError
from dal_nlp.page.connections import Brake
from dal_nlp.page.given import PageAnswer
from dal_nlp.page.queue import AnnotationQueue
from dal_nlp.page.views import AT_ONCE, Json
from dal_nlp.page.words import WORDS, language_of
from dal_nlp.report.html import render

#: Bytes of the longest request: the longest answer (see ``answers.LONGEST_ANSWER``) as JSON, and some.
LARGEST = 700_000
#: Seconds in which a request is to be there.
SLOWEST = 30
#: Bytes of the token, and letters that it has at least.
_TOKEN, _LETTERS = 24, 32
_TOKEN_FILE = ".page-token"


class Asked(BaseModel):
    """Who asks: a name, and the tab, by a name that the page has made up for it."""

    model_config = ConfigDict(extra="forbid")

    who: str = Field(max_length=200)
    tab: str = Field(min_length=8, max_length=64)


class Undone(Asked):
    """A tab that takes an answer back; see ``PageAnswer``."""

    request: str = Field("", max_length=64)


class Opened(Asked):
    """A tab that wants one example."""

    id: str = Field(max_length=1000)


class Looked(Asked):
    """A tab that looks among this person's answers; see ``Views.earlier``."""

    find: str = Field("", max_length=200)
    label: str = Field("", max_length=1000)


class Accepted(Asked):
    """A tab that takes the suggestions of a list, each as an answer of its own."""

    ids: list[str] = Field(max_length=AT_ONCE)
    request: str = Field(min_length=8, max_length=56)


class Alive(Asked):
    """A tab that asks how things stand."""

    active: bool


class Answered(Opened):
    """A tab that sends an answer; see ``PageAnswer``."""

    text: str = ""
    refusal: str = Field("", pattern="^(|skip|unsure)$")
    note: str = Field("", max_length=2000)
    final: bool = False
    request: str = Field("", max_length=64)


def token_of(folder: Path) -> str:
    """Return the token of a run folder, which only its owner may read; it is made at first and kept for open pages."""
    path = folder / _TOKEN_FILE
    try:
        if path.is_file() and len(token := path.read_text(encoding="ascii")) >= _LETTERS:
            return token
        token = secrets.token_urlsafe(_TOKEN)
        draft = path.with_suffix(".part")
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(token)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}, which keeps the page's token, cannot be used ({error}): remove it.") from None
    return token


def make_app(queue: AnnotationQueue, token: str, hosts: list[str]) -> FastAPI:
    """Return the application.

    Args:
        queue: Gives and takes.
        token: Without it nothing is told.
        hosts: The names under which the server may be asked for; [] for any. A site can make its own name lead to this
            machine (DNS rebinding), so that a browser takes both for one.
    """
    pages = {name: render("annotate.html.j2", {"words": words, "lang": name}) for name, words in WORDS.items()}
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(UserError)
    async def mistaken(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        location = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"detail": f"The request is not as the page sends it ({location}: {first['msg']})."}, 422)

    @app.get("/")
    def show(request: Request) -> Response:
        page = pages[language_of(request.headers.get("accept-language", ""))]
        return Response(page, media_type="text/html; charset=utf-8", headers={"Vary": "Accept-Language"})

    @app.get("/api/about")
    def about() -> Json:
        return queue.views.about()

    @app.post("/api/next")
    def next_(body: Annotated[Asked, Body()]) -> Json:
        return {"item": queue.next(body.who, body.tab)}

    @app.post("/api/open")
    def open_(body: Annotated[Opened, Body()]) -> Json:
        return {"item": queue.open(body.who, body.tab, body.id)}

    @app.post("/api/answer")
    def answer(body: Annotated[Answered, Body()]) -> Json:
        values = body.model_dump(exclude={"who", "tab"})
        outcome = queue.answer(body.who, body.tab, PageAnswer(**values))
        return {**outcome, "item": queue.next(body.who, body.tab)}

    @app.post("/api/undo")
    def undo(body: Annotated[Undone, Body()]) -> Json:
        return {"item": queue.undo(body.who, body.tab, body.request)}

    @app.post("/api/leave")
    def leave(body: Annotated[Asked, Body()]) -> Json:
        queue.leave(body.tab)
        return {}

    @app.post("/api/mine")
    def mine(body: Annotated[Looked, Body()]) -> Json:
        return {"rows": queue.mine(body.who, body.find, body.label)}

    @app.post("/api/suggested")
    def suggested(body: Annotated[Looked, Body()]) -> Json:
        return queue.suggested(body.who, body.tab, body.label)

    @app.post("/api/accept")
    def accept(body: Annotated[Accepted, Body()]) -> Json:
        return queue.accept(body.who, body.tab, body.ids, body.request)

    @app.post("/api/disputes")
    def disputes(body: Annotated[Asked, Body()]) -> Json:
        return {"rows": queue.disputes()}

    @app.post("/api/progress")
    def progress(body: Annotated[Alive, Body()]) -> Json:
        return queue.progress(body.who, body.tab, body.active)

    app.add_middleware(_Gate, token=token, hosts=hosts, policy=_policy(list(pages.values())))
    return app


def _policy(pages: Sequence[bytes]) -> str:
    """Return the policy under which a browser runs what the pages themselves hold and nothing else."""
    scripts, styles = (
        " ".join(sorted({f"'{_digest(page, element)}'" for page in pages})) for element in ("script", "style")
    )
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {scripts}",
            f"style-src {styles}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _digest(page: bytes, element: str) -> str:
    """Return what a policy calls the one element of a kind in a page."""
    (inside,) = re.findall(rf"<{element}>(.*?)</{element}>".encode(), page, re.DOTALL)
    return f"sha256-{base64.b64encode(hashlib.sha256(inside).digest()).decode()}"


class _Gate:
    """Lets requests in: from the page, with the token, and not too large; all replies carry the policy.

    Who may not come in is told so before anything of the body is read.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: list[str], policy: str) -> None:
        self._app, self._bearer, self._hosts = app, f"Bearer {token}".encode(), hosts
        self._brake = Brake()
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        status, wrong = self._wrong(scope)
        body = b""
        if not wrong:
            try:
                data = await asyncio.wait_for(_body(receive), SLOWEST)
            except TimeoutError:
                data, status, wrong = b"", 408, f"The request was not there within {SLOWEST} seconds: send it again."
            except asyncio.CancelledError:  # the server ends
                return
            if data is None:  # it went away
                return
            body = data
            if len(body) > LARGEST:
                status, wrong = 413, f"A request has at most {LARGEST:,} bytes: shorten the answer."
        if status == 401:
            await self._brake.wait(scope)
        if wrong:
            await JSONResponse({"detail": wrong}, status)(scope, receive, told)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def read() -> Message:
            return whole.pop() if whole else await receive()

        await self._app(scope, read, told)

    def _wrong(self, scope: Scope) -> tuple[int, str]:
        """Return the status and the reason with which a request is refused, "" where it is not."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._hosts and _name(host) not in self._hosts:
            return 403, f"This server is not called {host[:100]!r}: open the address that `dal-nlp annotate` printed."
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "Requests of other sites are refused."
        bearer = headers.get("authorization", "").encode()
        if scope["path"].startswith("/api/") and not secrets.compare_digest(bearer, self._bearer):
            return 401, "The token is missing or wrong: open the address that `dal-nlp annotate` printed."
        return 200, ""


def _name(host: str) -> str | None:
    """Return the name in a Host header, without its port; None where it is no name of a host."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+))(?::\d*)?", host, re.ASCII)
    return (match[1] or match[2]).lower() if match else None


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request, or as much of it as is too much; None where the client went away."""
    parts: list[bytes] = []
    size, more = 0, True
    while more and size <= LARGEST:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size, more = size + len(parts[-1]), message.get("more_body", False)
    return b"".join(parts)
