"""The seam of a strategy: numbers about a pool in, positions out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from dal_nlp.core.errors import UserError
from dal_nlp.core.task import Capability as Capability

if TYPE_CHECKING:
    from dal_nlp.models.pool import Pool


@dataclass(frozen=True)
class Selection:
    """The choice of a strategy.

    Attributes:
        positions: (k,) distinct positions in the pool, best first.
        scores: (k,) the strategy's score of each, in its own unit.
        notes: What the strategy has to say about this choice, as JSON values by name; kept in the run's ledger.

    Example:
        >>> import numpy as np
        >>> Selection(np.array([4, 1]), np.array([0.9, 0.7])).positions
        array([4, 1])
    """

    positions: NDArray[np.int64]
    scores: NDArray[np.floating[Any]]
    notes: Mapping[str, Any] = field(default_factory=dict)


class Strategy(ABC):
    """A way to choose examples; it knows no task, model or tokenizer.

    Attributes:
        requires: The capabilities that the task and the model must have; a strategy whose requirements are
            not met is refused before any model is loaded.
        reads_states: Whether it reads hidden states (``Forward.embedding``, ``Forward.hidden``), which some models do
            not have for each token; it is refused for these when the model is there.

    Example:
        >>> import numpy as np
        >>> from dal_nlp import Selection, Strategy
        >>> from dal_nlp.strategies import probes
        >>> from dal_nlp.strategies.selectors import top_k
        >>> class Surprised(Strategy):
        ...     def select(self, pool, k, rng):
        ...         (entropy,) = pool.collect(probes.entropy)
        ...         return top_k(entropy, k, rng)
        >>> from dal_nlp.testing import check_strategy, tiny_pool
        >>> len(Surprised().select(tiny_pool(12, batch_size=4), 3, np.random.default_rng(0)).positions)
        3
        >>> check_strategy(Surprised)
    """

    requires: ClassVar[frozenset[Capability]] = frozenset()
    reads_states: ClassVar[bool] = False

    @abstractmethod
    def select(self, pool: "Pool", k: int, rng: np.random.Generator) -> Selection:
        """Choose k distinct positions of the pool, best first.

        Args:
            pool: N candidates, measured with ``pool.collect(*probes)``.
            k: 1 <= k <= N.
            rng: The only source of chance; ties are broken by it.
        """


def checked(selection: Selection, n: int, k: int, name: str) -> Selection:
    """Return the selection if it holds k distinct positions of N with finite scores; raises ``UserError`` if not."""
    positions = np.asarray(selection.positions)
    scores = np.asarray(selection.scores, dtype=np.float64)
    right = positions.shape == scores.shape == (k,) and len(np.unique(positions)) == k
    if not right or positions.min() < 0 or positions.max() >= n or not np.isfinite(scores).all():
        raise UserError(
            f"The strategy {name!r} must choose {k} distinct positions below {n} with finite scores, and gave "
            f"{len(positions)} positions, {len(np.unique(positions))} of them distinct: mend its select()."
        )
    return Selection(positions.astype(np.int64), scores, selection.notes)
