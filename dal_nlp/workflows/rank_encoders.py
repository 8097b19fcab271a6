"""Which encoder suits the texts of a run: on the labels that are there, or by what is known of the labels."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from dal_nlp.core.errors import UserError
from dal_nlp.core.progress import Progress, Silent
from dal_nlp.core.rng import rng_for
from dal_nlp.learners.head_learner import HeadLearner
from dal_nlp.learners.prior import neighbour_agreement
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.session.config import RunConfig
from dal_nlp.session.context import Context
from dal_nlp.strategies import probes

#: Most texts on which encoders are compared, and texts that are timed.
MOST, TIMED = 300, 64


@dataclass(frozen=True)
class RankedEncoder:
    """What an encoder is worth.

    Attributes:
        name: As it was named.
        accuracy: Of layers on labels that did not train; None where there are none.
        agreement: Without labels, how far near texts get the same label from the descriptions (or names) of the labels,
            beyond chance (see ``neighbour_agreement``); None where these say nothing, or where there are labels.
        labels: How many labels, or texts without one, there were.
        seconds: What 1,000 texts take to encode here.
    """

    name: str
    accuracy: float | None
    agreement: float | None
    labels: int
    seconds: float

    def __str__(self) -> str:
        """Return it in one line."""
        took = f"{self.seconds:.0f} s for 1,000 texts"
        if self.agreement is not None:
            return (
                f"{self.name}: no label is there; by what is known of labels {self.labels} texts and their neighbours "
                f"agree {self.agreement:.2f} beyond chance (the larger the better); {took}."
            )
        if self.accuracy is None:
            return f"{self.name}: {took}; no label is there to judge it by, and nothing is known of the labels."
        return f"{self.name}: accuracy {self.accuracy:.3f} on {self.labels} labels, in four folds; {took}."


def rank_encoders(config: RunConfig, names: list[str], progress: Progress | None = None) -> list[RankedEncoder]:
    """Return encoders, the best first; those that nothing judges, the fastest first.

    Args:
        config: Of the run that would use them.
        names: Aliases, folders or Hub ids.
        progress: Where it is shown; nowhere if left out.

    Raises:
        UserError: No encoder is named, or one cannot be had.
    """
    if not names:
        raise UserError("--encoders names no encoder: give some, such as minilm,mpnet.")
    encoders = [_judge(config, name, Silent() if progress is None else progress) for name in names]
    return sorted(encoders, key=lambda one: (-(one.accuracy or one.agreement or 0.0), one.seconds))


def _judge(config: RunConfig, name: str, progress: Progress) -> RankedEncoder:
    """Encode a sample with one encoder, in a cache of its own, and fit layers to it."""
    with TemporaryDirectory(prefix="dal-nlp-encoders-") as temporary:
        values = config.model_dump(exclude={"out", "training", "draws"})
        training = {**config.training.model_dump(), "mode": "head", "warm_start": False}
        own = {"model": name, "cache": temporary, "training": training, "draws": {"kind": "head"}, "signals": []}
        folder = Path(temporary) / "run"
        folder.mkdir()
        with Ledger(folder) as ledger:
            work = Context(RunConfig.of({**values, **own}), folder, ledger, None, None, None, None, progress)
            learner = work.learner
            assert isinstance(learner, HeadLearner)
            data = work.evaluation.known_labels()
            sample = np.sort(rng_for(config.seed, 0, "encoders").permutation(len(work.corpus))[:TIMED])
            learner.require(work.evaluation.data, sample[:1])  # loads the encoder
            stages = learner.stages
            loaded = stages.encode_seconds, stages.encoded
            learner.require(work.evaluation.data, sample[1:])
            if stages.encoded == loaded[1]:  # where labels are described a larger sample was read before, with loading
                loaded = 0.0, 0
            seconds = (stages.encode_seconds - loaded[0]) / max(1, stages.encoded - loaded[1]) * 1000
            rows = rng_for(config.seed, 0, "judged").permutation(len(data))[:MOST]
            if len(rows) < 2 * len(work.task.labels):
                agreement, texts = _agreement(work, learner)
                return RankedEncoder(name, None, agreement, texts, seconds)
            p, y = learner.held_out(data.select(np.sort(rows)))
            right = p.argmax(1) == y if y.ndim == 1 else (p > 0.5) == (y == 1)  # of several labels: of the decisions
            return RankedEncoder(name, float(right.mean()), None, len(rows), seconds)


def _agreement(work: Context, learner: HeadLearner) -> tuple[float | None, int]:
    """Return the agreement of neighbours by the descriptions of the labels, and on how many texts."""
    if learner.described is None or not learner.ready:
        return None, 0
    rows = np.sort(rng_for(work.config.seed, 0, "judged").permutation(len(work.corpus))[:MOST])
    (embeddings,) = work.pool(rows, 0).collect(probes.embedding)
    return neighbour_agreement(learner.described.source(embeddings).scores, embeddings), len(rows)
