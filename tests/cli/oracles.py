"""Oracles that do not answer everything at once, for runs in the tests."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from dal_nlp.annotation import Label, Oracle, Query


class Absent(Oracle):
    """Never asked."""

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        raise AssertionError("nobody is to be asked")


class Half(Oracle):
    """Answers one query a start; the others stay pending."""

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        for query in queries[:1]:
            yield Label(query.id, "negative")


class Interrupted(Oracle):
    """Answers one query, then the user presses Ctrl-C; at the next start it answers everything."""

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        mark = Path("interrupted")
        for number, query in enumerate(queries):
            if number == 1 and not mark.exists():
                mark.touch()
                signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
                os.kill(os.getpid(), signal.SIGINT)
            yield Label(query.id, ("negative", "positive")[number % 2])
