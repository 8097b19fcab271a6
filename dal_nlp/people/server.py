"""The page on which people answer, over HTTP: one html file, and a few requests in JSON that carry the token.

The token is in the fragment of the page's address, which browsers send to nobody, and comes back in a header that no
other site can set: a request without it is refused, whatever cookies or forms a browser is made to send.
"""

import base64
import hashlib
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dal_nlp.errors import UserError
from dal_nlp.pages import render
from dal_nlp.people.room import Given, Json, Room

#: Bytes of the longest request: the longest answer (see ``answers.LONGEST_ANSWER``) as JSON, and some.
LARGEST = 700_000
#: Bytes of the token.
_TOKEN = 24
_TOKEN_FILE = ".page-token"


class Asked(BaseModel):
    """Who asks: a name, and the tab, by a name that the page has made up for it."""

    model_config = ConfigDict(extra="forbid")

    who: str = Field(max_length=200)
    tab: str = Field(min_length=8, max_length=64)


class Opened(Asked):
    """A tab that wants one example."""

    id: str = Field(max_length=1000)


class Alive(Asked):
    """A tab that asks how things stand."""

    active: bool


class Answered(Opened):
    """A tab that sends an answer; see ``Given``."""

    text: str = ""
    refusal: str = Field("", pattern="^(|skip|unsure)$")
    note: str = Field("", max_length=2000)
    final: bool = False
    request: str = Field("", max_length=64)


def token_of(folder: Path) -> str:
    """Return the token of a run folder, which only its owner may read; it is made at first and kept for open pages."""
    path = folder / _TOKEN_FILE
    if not path.is_file():
        draft = path.with_suffix(".part")
        draft.unlink(missing_ok=True)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(_TOKEN))
        draft.replace(path)
    return path.read_text(encoding="ascii")


def make_app(room: Room, token: str, hosts: list[str]) -> FastAPI:
    """Return the application.

    Args:
        room: Gives and takes.
        token: Without it nothing is told.
        hosts: The names under which the server may be asked for; [] for any. (A site whose name leads here is none.)
    """
    page = render("annotate.html.j2", {})
    # Nothing but what the page itself holds is run or loaded, whatever a text may contain.
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_digest(page, 'script')}'",
            f"style-src '{_digest(page, 'style')}'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )

    def allowed(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "The token is missing or wrong: open the address that `dal-nlp annotate` printed.")

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    guarded = [Depends(allowed)]

    @app.middleware("http")
    async def guard(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        wrong = _wrong_place(request, hosts)
        response = JSONResponse({"detail": wrong}, 403) if wrong else await call(request)
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.exception_handler(UserError)
    async def mistaken(_: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(RequestValidationError)
    async def unreadable(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"detail": f"The request is not as the page sends it ({place}: {first['msg']})."}, 422)

    @app.get("/")
    def show() -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    @app.get("/api/about", dependencies=guarded)
    def about() -> Json:
        return room.about()

    @app.post("/api/next", dependencies=guarded)
    def next_(asked: Annotated[Asked, Body()]) -> Json:
        return {"item": room.next(asked.who, asked.tab)}

    @app.post("/api/open", dependencies=guarded)
    def open_(asked: Annotated[Opened, Body()]) -> Json:
        return {"item": room.open(asked.who, asked.tab, asked.id)}

    @app.post("/api/answer", dependencies=guarded)
    def answer(asked: Annotated[Answered, Body()]) -> Json:
        values = asked.model_dump(exclude={"who", "tab"})
        written = room.answer(asked.who, asked.tab, Given(**values))
        return {**written, "item": room.next(asked.who, asked.tab)}

    @app.post("/api/undo", dependencies=guarded)
    def undo(asked: Annotated[Asked, Body()]) -> Json:
        return {"item": room.undo(asked.who, asked.tab)}

    @app.post("/api/mine", dependencies=guarded)
    def mine(asked: Annotated[Asked, Body()]) -> Json:
        return {"rows": room.mine(asked.who)}

    @app.post("/api/disputes", dependencies=guarded)
    def disputes(asked: Annotated[Asked, Body()]) -> Json:
        return {"rows": room.disputes()}

    @app.post("/api/progress", dependencies=guarded)
    def progress(asked: Annotated[Alive, Body()]) -> Json:
        return room.progress(asked.who, asked.tab, asked.active)

    app.add_middleware(_Limited)
    return app


def _wrong_place(request: Request, hosts: list[str]) -> str:
    """Return why a request is refused for where it comes from or goes to, "" where it is not."""
    host = request.headers.get("host", "")
    if hosts and urlsplit(f"//{host}").hostname not in hosts:
        return f"This server is not called {host[:100]!r}: open the address that `dal-nlp annotate` printed."
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return "Requests of other sites are refused."
    return ""


def _digest(page: bytes, element: str) -> str:
    """Return what a policy calls the one element of a kind in a page."""
    (inside,) = re.findall(rf"<{element}>(.*?)</{element}>".encode(), page, re.DOTALL)
    return f"sha256-{base64.b64encode(hashlib.sha256(inside).digest()).decode()}"


class _Limited:
    """Refuses requests whose body is too large before it is all there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":  # it went away
                return
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > LARGEST:
                reply = JSONResponse({"detail": f"A request has at most {LARGEST:,} bytes: shorten the answer."}, 413)
                await reply(scope, receive, send)
                return
        body: list[Message] = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

        async def whole() -> Any:
            return body.pop() if body else await receive()

        await self._app(scope, whole, send)
