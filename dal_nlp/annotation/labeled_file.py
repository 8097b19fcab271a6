"""The oracle of simulations: a file in which every example has its label."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from dal_nlp.annotation.oracle import Label, Oracle, Query, Setting


class LabeledFile(Oracle):
    """Answers from the label column of the pool, or from the file of ``--answers``."""

    from_file: ClassVar[bool] = True

    def open(self, setting: Setting) -> None:
        """Keep the file's answers."""
        self._answers = setting.answers

    def label(self, queries: Sequence[Query]) -> Iterator[Label]:
        """Yield the file's label for each query."""
        for query in queries:
            yield Label(query.id, self._answers[query.id])
