"""``dal-nlp annotate``: a page on which people answer, while a model trains."""

import os
import socket
from typing import Annotated

import typer

from dal_nlp.core.errors import UserError
from dal_nlp_cli.command import PENDING, Debug, Folder, Trust
from dal_nlp_cli.terminal import complain, say

LOCAL, EVERYWHERE = ("127.0.0.1", "localhost", "::1"), ("0.0.0.0", "::")


def annotate(
    folder: Folder,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port of the page; 0: any free one.")] = 8765,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on. Another one lets other machines in.")
    ] = LOCAL[0],
    ahead: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Texts to go on with while a model trains. Default: five rounds' worth."),
    ] = None,
    trust: Trust = False,
    debug: Debug = False,
) -> None:
    """Serve a page on which people answer what a run waits for; the run goes on beside it.

    Every answer is in the ledger before the next text is shown. Ctrl-C ends the page, and the same command goes on.
    """
    say(f"Opening {folder}")  # the libraries take seconds to load
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError:
        raise UserError("The page needs FastAPI and uvicorn: pip install 'dal-nlp[page]'.") from None
    from dal_nlp.annotation.answer_store import AnswerStore
    from dal_nlp.core.distributed import GONE
    from dal_nlp.core.text import counted
    from dal_nlp.ledger.ledger import Ledger
    from dal_nlp.page.connections import settings
    from dal_nlp.page.queue import AnnotationQueue
    from dal_nlp.page.server import make_app, token_of
    from dal_nlp.session.config import RunConfig
    from dal_nlp.workflows.annotate_live import Training

    if not (folder / "ledger.jsonl").is_file():
        raise UserError(f"{folder} is not a run folder: start one with `dal-nlp run --oracle file --out {folder}`.")
    with Ledger(folder, GONE) as ledger, _listen(host, port) as listening:
        asks_only = ledger.state.inquiry is not None  # about a file: nothing is trained there
        config = None if asks_only else RunConfig.load(folder / "config.yaml", {"out": str(folder)})
        if config is not None and config.oracle != "file":
            raise UserError(
                f"{folder} is answered by {config.oracle}: let people answer with `dal-nlp run --config "
                f"{folder / 'config.yaml'} --out {folder} --oracle file` first."
            )
        queue = AnnotationQueue(AnswerStore(folder, ledger.state, ledger), ledger)
        token, here = token_of(folder), listening.getsockname()[1]
        app = make_app(queue, token, list(LOCAL) if host in LOCAL else [])
        if host not in LOCAL:
            complain(
                f"Warning: whoever can reach {host}:{here} and has the link can read the texts and answer, and the "
                "connection is not encrypted."
            )
        training = None
        if config is not None:
            training = Training(queue, config, config.query_size * 5 if ahead is None else ahead)
        try:
            name = socket.gethostname() if host in EVERYWHERE else host
            shown = f"[{name}]" if ":" in name else name
            say(f"Answer at http://{shown}:{here}/#{token} (Ctrl-C ends; every answer is kept)")
            uvicorn.Server(settings(app)).run(sockets=[listening])
        except KeyboardInterrupt:
            pass  # how a page ends
        finally:
            if training is not None:
                training.stop()
        waiting, stopped, late = len(ledger.state.waiting), ledger.state.stopped, len(ledger.state.late)
    if stopped:
        say(f"Finished: {stopped}. The report: {folder / 'report.html'}")
        if late:
            answers = counted(late, "answer")
            say(f"Changed after the last fit: {answers}; `dal-nlp run` with more --rounds trains with that.")
    else:
        say(f"Answers still missing: {waiting:,}. The same command goes on.")
        raise typer.Exit(PENDING)


def _listen(host: str, port: int) -> socket.socket:
    """Take the address before anything slow begins; raises ``UserError`` where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise UserError(
            f"Cannot listen on {host}:{port} ({reason}): give another --port (0 for any), or --host."
        ) from None
