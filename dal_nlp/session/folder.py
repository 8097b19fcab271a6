"""Which folder a run lives in, and what may not change there."""

import shutil
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from dal_nlp.core.distributed import is_main
from dal_nlp.core.errors import RunFolderError, UserError
from dal_nlp.core.files import replace_file, sweep
from dal_nlp.data.hashing import comparable
from dal_nlp.downloads.demo import PREFIX
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.settings import as_now, fingerprint, first_head, identity
from dal_nlp.ledger.state import State
from dal_nlp.session.config import AUTO_MODEL, RunConfig

#: What a run has chosen itself, and how it is written where that is still open.
_OPEN = {"model": AUTO_MODEL, "max_length": "pool"}


def choose_folder(config: RunConfig) -> Path:
    """Return ``--out``, or ``runs/TASK-N``: the same configuration's unfinished run, else the first free N.

    The same command finds its own interrupted run again, and never one of another configuration.
    """
    if config.out:
        return Path(config.out)
    name = config.task.rpartition(":")[2].lower()
    for n in count(1):
        folder = Path("runs") / f"{name}-{n}"
        if not folder.exists():
            return folder
        if not (folder / "ledger.jsonl").is_file():
            continue
        try:
            state = read_state(folder)
        except UserError:  # a damaged ledger is nothing that this run could go on from
            continue
        if state.config is None:  # a start that failed its checks
            return folder
        if not state.stopped and fingerprint(state.config) == with_chosen(config, state.config).fingerprint():
            return folder
    raise AssertionError("count() does not end")


def with_chosen(config: RunConfig, dump: Mapping[str, Any] | None) -> RunConfig:
    """Return a configuration with what a run has chosen itself: its model and its length, where these are open.

    Where nobody names what chooses the first batch, what did so in that run stays: the default was another one once.
    """
    if dump is None:
        return config
    chosen = {name: dump[name] for name, left in _OPEN.items() if getattr(config, name) == left and name in dump}
    if "initial_strategy" not in config.model_fields_set and "initial_strategy" in dump:
        chosen["initial_strategy"] = dump["initial_strategy"]
    return config.model_copy(update=chosen)


def continued(config: RunConfig, state: State, say: Callable[[str], object]) -> RunConfig:
    """Return the configuration of a run that goes on with the model, the head, the mode and the cut it began with.

    What it begins with is not settled before something was asked. The head and the mode are those of runs that began
    before there was a section ``head``: their defaults were others.

    Args:
        config: As it was given.
        state: Of the run.
        say: Takes a sentence on what stays though the default is another one today.

    Raises:
        RunFolderError: It is the demonstration, which is meant where no data is named, and the run is another's.
    """
    dump = state.config
    there, out = (dump or {}).get("data"), config.out
    if there and out and config.data != there and (config.data or "").startswith(PREFIX):
        raise RunFolderError(
            f"{out} is a run on {there}, and this is the demonstration, as without --data: go on with "
            f"`dal-nlp run --config {out}/config.yaml --out {out}`, or choose another --out."
        )
    chosen = with_chosen(config, dump)
    has_asked = state.audit is not None or bool(state.queries)
    if has_asked and chosen.initial_strategy != config.initial_strategy:
        say(
            f"This run has its first batch by {chosen.initial_strategy}, as it began, and keeps that; the default is "
            f"{config.initial_strategy}."
        )
    config = chosen if has_asked else config.model_copy(update={"model": chosen.model})
    now = None if dump is None or "training" not in dump else as_now(dump)
    if now is None or now["head"] != first_head(now["head"]["c"]):
        return config
    kept = {name: now[name] for name in ("model", "max_length", "draws", "strategy", "training", "head")}
    return RunConfig.of({**config.model_dump(), **kept, "descriptions": None})


def sweep_folder(folder: Path) -> None:
    """Remove what killed starts of a run have left half made; the caller holds the folder."""
    if is_main():
        sweep(folder, ("model.part",))
        sweep(folder / "cache", ("tmp*", "*.part"))
        for subfolder in (folder / "checkpoints", folder / "finish" / "checkpoints", folder / "queries"):
            sweep(subfolder, ("*.part",))


def remove_unbegun(folder: Path) -> None:
    """Remove the folder that a start has made which failed before anything was asked."""
    begun = (folder / "ledger.jsonl").is_file() and read_state(folder)
    if not begun or (begun.audit is None and not begun.queries):
        shutil.rmtree(folder, ignore_errors=True)


def refuse_differences(folder: Path, state: State, config: RunConfig, digests: dict[str, str]) -> None:
    """Raise ``UserError`` where what identifies a run is not what it was, with every difference.

    Of another mode of training only the mode is named, and not the model and the length that are its defaults.
    """
    old, new = identity(state.config or {}), config.identity()
    if old["training"]["mode"] != new["training"]["mode"]:
        old |= {name: new[name] for name in ("model", "max_length")}
    old |= {f"training.{key}": value for key, value in old.pop("training").items()}
    new |= {f"training.{key}": value for key, value in new.pop("training").items()}
    changes = [f"{key} was {old.get(key)!r} and is {new[key]!r}" for key in new if old.get(key) != new[key]]
    for name in sorted(state.digests.keys() | digests.keys()):
        before, now = state.digests.get(name), digests.get(name)
        if before != now and comparable(before, now):
            changed = [f"there was no {name} file", f"the {name} file is gone", f"the {name} file has other rows"]
            changes.append(changed[0 if name not in state.digests else 1 if name not in digests else 2])
    if changes:
        raise RunFolderError(
            f"{folder} holds another run ({'; '.join(changes)}): choose another --out, or set these back."
        )


def write_config(folder: Path, config: RunConfig) -> None:
    """Write config.yaml, if it is not there or not so: the configuration, for ``--config``, and its fingerprint."""
    if not is_main():
        return
    path = folder / "config.yaml"
    text = yaml.safe_dump(config.model_dump(mode="json", exclude={"out"}), sort_keys=False, allow_unicode=True)
    whole = f"# fingerprint: {config.fingerprint()}\n{text}".encode()
    if not path.is_file() or path.read_bytes() != whole:
        replace_file(path, whole)
