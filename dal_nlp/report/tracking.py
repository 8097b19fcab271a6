"""The rounds of a run as accelerate's trackers show them: TensorBoard, Weights & Biases, MLflow and the others."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dal_nlp.core.config import Settings
from dal_nlp.core.errors import UserError
from dal_nlp.ledger.events import MetricsEvent

#: What MLflow refuses in the name of a metric.
_REFUSED = re.compile(r"[^\w\-. :/]+")

#: The project in a tracker, and the folder under ``tracking/`` of one that writes files.
PROJECT = "dal-nlp"


class Tracking:
    """What a tracker is told of a run: one step a round, at the number of labels bought so far.

    A tracker may have missed the last round of a run that was killed, and some open a new record at every start. So
    all rounds that the ledger holds are told again when a run goes on.

    Args:
        name: The tracker's name in accelerate, checked by ``check_tracker``; None tracks nothing.
        folder: The run folder; trackers that write files do so in its ``tracking/``.
        config: Kept by the tracker as the run's settings.
        rounds: The ``metrics`` events of the ledger so far.
    """

    def __init__(self, name: str | None, folder: Path, config: Settings, rounds: Iterable[MetricsEvent]) -> None:
        self._accelerator = None
        if name is None:
            return
        from accelerate import Accelerator
        from accelerate.utils import ProjectConfiguration

        project = ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder / "tracking"))
        self._accelerator = Accelerator(log_with=name, project_config=project)
        rounds = list(rounds)
        # TensorBoard would list the same settings once more for every start.
        self._accelerator.init_trackers(PROJECT, None if rounds else settings(config))
        for event in rounds:
            self.log(event)

    def log(self, event: MetricsEvent) -> None:
        """Tell the tracker of a round."""
        if self._accelerator is not None:
            self._accelerator.log(scalars(event), step=event.labels)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._accelerator is not None:
            for tracker in self._accelerator.trackers:  # end_training would wait for processes that an error has ended
                tracker.finish()


def check_tracker(name: str) -> None:
    """Raise ``UserError`` where accelerate does not know a tracker, or lacks its package."""
    from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

    known = sorted(str(tracker) for tracker in LOGGER_TYPE_TO_CLASS)
    if name not in known:
        raise UserError(f"Accelerate knows no tracker {name!r}: --track takes {', '.join(known)}.")
    if name not in [str(tracker) for tracker in get_available_trackers()]:
        raise UserError(f"The package of --track {name} is not installed: `pip install {name.replace('_', '-')}`.")


def scalars(event: MetricsEvent) -> dict[str, float]:
    """Return the numbers of a ``metrics`` event by the names that a tracker groups at their slashes."""
    values = {f"{event.on}/{metric}": value for metric, value in event.values.items()}
    if event.on != "validation":
        values |= {f"validation/{metric}": value for metric, value in (event.validation or {}).items()}
    values |= {"train/loss": event.loss, "train/steps": event.steps}
    values |= {"seconds/train": event.train_seconds, "seconds/eval": event.eval_seconds}
    return {_REFUSED.sub("_", name).rstrip("_"): value for name, value in values.items()}


def settings(config: Settings) -> dict[str, str | int | float | bool]:
    """Return a configuration with one key, such as ``training.epochs``, for each value; lists and nulls as JSON."""
    return _flat(config.model_dump(mode="json"), "")


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, str | int | float | bool]:
    flat: dict[str, str | int | float | bool] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, str | int | float) else json.dumps(value)
    return flat
