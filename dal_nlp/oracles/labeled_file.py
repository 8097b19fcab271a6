"""The oracle of simulations: a file in which every example has its label."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from dal_nlp.ledger import Target
from dal_nlp.oracles.base import Label, Oracle, Query, Skip


class LabeledFile(Oracle):
    """Answers from the label column of the pool, or from the file of ``--answers``."""

    from_file: ClassVar[bool] = True

    def open(self, answers: Mapping[str, Target]) -> None:
        """Keep the file's answers."""
        self._answers = answers

    def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
        """Yield the file's label for each query."""
        for query in queries:
            yield Label(query.id, self._answers[query.id])
