"""A service that hands out the queries of a run and takes answers, while models train in a thread of it.

    python examples/label_service.py POOL MODEL OUT

`GET /query` gives a text that waits for its label (204 while there is none), `POST /answer` takes {"id", "label"},
`GET /result` tells what came out. Run it behind whatever knows your users: it has no login of its own.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

import dal_nlp


class Answer(BaseModel):
    """A label for a text."""

    id: str
    label: str


def service(config: dal_nlp.RunConfig) -> FastAPI:
    """Return the service of a run."""
    session, waiting = dal_nlp.AsyncSession(config), {}

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        async def listen() -> None:
            async for query in session.queries():
                waiting[query.id] = asdict(query)

        task = asyncio.create_task(listen())
        yield
        task.cancel()  # the same configuration goes on at the next start
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(lifespan=running)

    @app.get("/query", response_model=None)
    async def query() -> dict[str, Any] | Response:
        return next(iter(waiting.values()), None) or Response(status_code=204)

    @app.post("/answer")
    async def answer(given: Answer) -> None:
        if given.id in waiting:
            try:
                session.answer(given.id, given.label)
            except dal_nlp.UserError as error:  # the query waits for another answer
                raise HTTPException(422, str(error)) from None
            del waiting[given.id]

    @app.get("/result")
    async def result() -> str:
        return str(session.result)

    return app


if __name__ == "__main__":
    import uvicorn

    pool, model, out = sys.argv[1:]
    uvicorn.run(service(dal_nlp.RunConfig(task="sentiment", data=pool, model=model, out=out)))
