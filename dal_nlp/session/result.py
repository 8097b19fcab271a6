"""The outcome of a run, for Python."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dal_nlp.core.targets import Target


@dataclass(frozen=True)
class Result:
    """The outcome of a run.

    Attributes:
        folder: The run folder.
        curve: One ``metrics`` event a round: round, labels, values, intervals, seconds.
        labels: Every bought label by id, the audit sample included.
        model_dir: The last model, and a card that says how to load it; None while answers are pending.
        stopped: Why the run ended, or None where answers are pending.
        pending: Ids that still want an answer.
        finished: The numbers of the model in ``model_dir`` where ``finish`` trained it; see the ``finished`` event.
        remarks: What the oracle has to say about answers that are missing or wrong, in sentences.

    Example:
        >>> from pathlib import Path
        >>> from dal_nlp import Result
        >>> waiting = Result(Path("runs/first"), [], {"e1": "positive"}, None, None, pending=["e2"])
        >>> waiting.stopped is None, waiting.pending
        (True, ['e2'])
    """

    folder: Path
    curve: list[dict[str, Any]]
    labels: dict[str, Target]
    model_dir: Path | None
    stopped: str | None
    pending: list[str]
    finished: dict[str, Any] | None = None
    remarks: list[str] = field(default_factory=list)
