"""What crashes, power cuts and other programs leave in a run folder: it is said, and the run ends as without it."""

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from dal_nlp import RunConfig, Session, UserError
from dal_nlp.data.hashing import PoolCopy
from dal_nlp.ledger.events import Event
from dal_nlp.ledger.ledger import read_state
from dal_nlp.session.loop import Result
from tests import tiny, waiting_runs
from tests.ledgers import copies_after_every_write
from tests.listening import Listening
from tests.session.test_loop import timeless
from tests.tiny import write


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damage")
    write(folder / "pool.jsonl", tiny.sentences(40))
    write(folder / "test.jsonl", tiny.sentences(12, seed=1))
    tiny.save_model(folder / "model")
    return folder


def run(base: Path, out: Path, **changes: Any) -> tuple[Result, str]:
    """Run; return the result and what was said."""
    values = {
        "task": "sentiment",
        "data": str(base / "pool.jsonl"),
        "test": str(base / "test.jsonl"),
        "model": str(base / "model"),
        "out": str(out),
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "training": {"mode": "full", "min_steps": 3, "epochs": 1, "learning_rate": 1e-3},
    }
    progress = Listening()
    result = Session(RunConfig.load(flags={**values, **changes}), progress=progress).run()
    return result, "\n".join(progress.said)


Died = dict[str, Path]


@pytest.fixture(scope="module")
def died(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Died:
    """Copies of a run after its last event of each kind, and the finished run as "end"."""
    folder = tmp_path_factory.mktemp("died")
    with pytest.MonkeyPatch.context() as patch:
        copies = copies_after_every_write(patch, folder)
        run(base, folder / "run")
    first = next(place for name, place in copies if name == "metrics")
    return {**dict(copies), "first metrics": first, "end": folder / "run"}


@pytest.fixture
def copy(died: Died, tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str) -> Path:
        shutil.copytree(died[name], tmp_path / "run")
        return tmp_path / "run"

    return make


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def without_a_weight(path: Path) -> None:
    tensors = load_file(path)
    del tensors["bert.encoder.layer.0.attention.self.query.weight"]
    save_file(tensors, path, {"format": "pt"})


DAMAGES = [empty, cut, garbage, Path.unlink]


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "harm"),
    [
        ("fit.json", empty),
        ("fit.json", cut),
        ("model.safetensors", empty),
        ("model.safetensors", cut),
        ("model.safetensors", Path.unlink),
        ("config.json", garbage),
    ],
)
def test_a_damaged_checkpoint_is_named_and_fitted_again(
    base: Path, died: Died, copy: Callable[[str], Path], name: str, harm: Callable[[Path], None]
) -> None:
    folder = copy("first metrics")
    weights = (folder / "checkpoints" / "round-0" / "model.safetensors").read_bytes()
    harm(folder / "checkpoints" / "round-0" / name)
    (folder / "checkpoints" / ".DS_Store").touch()
    _, said = run(base, folder)
    assert f"checkpoints/round-0 cannot be used ({name}" in said or f"(it has no {name[:5]}" in said
    assert timeless(folder) == timeless(died["end"]) and weights
    assert (folder / "model" / "model.safetensors").read_bytes() == (
        died["end"] / "model" / "model.safetensors"
    ).read_bytes()


def test_a_checkpoint_that_lacks_a_weight_is_refused_by_its_name(base: Path, copy: Callable[[str], Path]) -> None:
    folder = copy("first metrics")
    without_a_weight(folder / "checkpoints" / "round-0" / "model.safetensors")
    with pytest.raises(UserError, match=r"1 are missing .*layer\.0\.attention\.self\.query\.weight"):
        run(base, folder)


def test_a_checkpoint_that_has_gone_is_fitted_again_with_the_labels_of_its_round(
    base: Path, died: Died, copy: Callable[[str], Path]
) -> None:
    folder = copy("metrics")  # of round 1: labels of both rounds are there, and the checkpoint is of round 1
    shutil.rmtree(folder / "checkpoints")
    _, said = run(base, folder)
    assert "The model of round 1 is not there any more" in said
    assert timeless(folder) == timeless(died["end"])
    same = [(place / "model" / "model.safetensors").read_bytes() for place in (folder, died["end"])]
    assert same[0] == same[1]


@pytest.mark.long
@pytest.mark.parametrize("warm", [False, True])
def test_the_rounds_before_are_fitted_again_where_one_trains_on_from_the_other(
    base: Path, tmp_path: Path, warm: bool
) -> None:
    training = {"mode": "full", "min_steps": 3, "epochs": 1, "learning_rate": 1e-3, "warm_start": warm}
    with pytest.MonkeyPatch.context() as patch:
        copies = copies_after_every_write(patch, tmp_path)
        run(base, tmp_path / "run", rounds=2, training=training)
    place = [place for name, place in copies if name == "label"][-1]  # before the fit of round 2
    shutil.rmtree(place / "checkpoints")
    _, said = run(base, place, rounds=2, training=training)
    assert ("The model of round 0 is not there" in said) == warm
    assert timeless(place) == timeless(tmp_path / "run")


@pytest.mark.parametrize("harm", [shutil.rmtree, lambda place: cut(place / "model.safetensors")])
def test_a_finished_run_is_finished_only_where_its_model_is(
    base: Path, died: Died, copy: Callable[[str], Path], harm: Callable[[Path], None]
) -> None:
    folder = copy("end")
    before = (folder / "ledger.jsonl").read_bytes()
    harm(folder / "model")
    result, said = run(base, folder)
    assert "fitted again" in said and result.stopped and result.model_dir == folder / "model"
    AutoModelForSequenceClassification.from_pretrained(result.model_dir)
    assert (folder / "model" / "model.safetensors").read_bytes() == (
        died["end"] / "model" / "model.safetensors"
    ).read_bytes()
    assert (folder / "ledger.jsonl").read_bytes() == before and not (folder / "checkpoints").exists()


@pytest.mark.long
def test_a_finished_run_with_a_frozen_encoder_gets_its_model_back(base: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"training": {"mode": "head"}, "cache": str(tmp_path / "cache"), "finish": "full"}
    run(base, tmp_path / "run", **changes)
    before = (tmp_path / "run" / "model" / "model.safetensors").read_bytes()
    shutil.rmtree(tmp_path / "run" / "model")
    result, _ = run(base, tmp_path / "run", **changes)
    assert result.model_dir is not None and (result.model_dir / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize("harm", DAMAGES)
def test_arrow_files_that_cannot_be_read_are_made_again(
    base: Path,
    died: Died,
    copy: Callable[[str], Path],
    caplog: pytest.LogCaptureFixture,
    harm: Callable[[Path], None],
) -> None:
    folder = copy("query")
    encoded = next((folder / "cache").glob("pool-encoded-*.arrow"))
    for path in (folder / "cache" / "pool.arrow", encoded):
        harm(path)
    if harm is not Path.unlink:
        with pytest.raises(UserError, match=r"pool.arrow cannot be read .* makes it again"):
            PoolCopy(folder)
    run(base, folder)
    if harm is not Path.unlink:
        assert "pool.arrow cannot be read" in caplog.text and f"{encoded.name} cannot be read" in caplog.text
    assert timeless(folder) == timeless(died["end"])


def test_files_that_are_made_from_the_ledger_are_there_after_every_start(
    base: Path, died: Died, copy: Callable[[str], Path]
) -> None:
    folder = copy("end")
    names = ("config.yaml", "metrics.csv", "queries.csv", "rejected.csv", "report.html", "curve.svg")
    whole = {name: (folder / name).read_bytes() for name in names}
    (folder / "config.yaml").unlink()
    for name in names[1:]:
        empty(folder / name)
    run(base, folder)
    for name in names[:4]:
        assert (folder / name).read_bytes().splitlines()[1:] == whole[name].splitlines()[1:], name
    assert all((folder / name).stat().st_size for name in names)


def test_leftovers_of_killed_processes_are_swept(base: Path, copy: Callable[[str], Path]) -> None:
    folder, dead = copy("query"), 2**22 + 1
    left = [
        f".curve.svg.{dead}.tmp",
        "cache/tmpabcdefgh",
        "cache/test.arrow.0123.part",
        f"cache/.pool.arrow.{dead}.tmp",
    ]
    left += [f"checkpoints/.round-0.{dead}.tmp", "checkpoints/round-1.part"]
    for name in left:
        (folder / name).mkdir() if "round" in name else (folder / name).touch()
    kept = folder / f".other.{os.getppid()}.tmp"
    kept.touch()
    run(base, folder)
    assert not any((folder / name).exists() for name in left) and kept.exists()


def test_metrics_and_what_the_rules_make_of_them_are_one_event(base: Path, tmp_path: Path) -> None:
    result, _ = run(base, tmp_path / "run", stop="stable or rounds=9")
    events = timeless(tmp_path / "run")
    assert not [event for event in events if event["event"] == "trace"]
    rules = [event["rules"] for event in events if event["event"] == "metrics"]
    assert len(rules) == len(result.curve) == 2 and all(
        {"rule", "value", "limit", "fires"} <= rule[0].keys() for rule in rules
    )
    assert read_state(tmp_path / "run").traces == dict(enumerate(rules))


def test_a_user_hears_of_every_event_and_reads_the_log(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Event] = []
    caplog.set_level(logging.DEBUG, "dal_nlp")
    config = RunConfig.load(
        flags={
            "task": "sentiment",
            "data": str(base / "pool.jsonl"),
            "test": str(base / "test.jsonl"),
            "model": str(base / "model"),
            "out": str(tmp_path / "run"),
            "initial": 6,
            "rounds": 0,
            "max_length": 64,
            "training": {"mode": "full", "min_steps": 3, "epochs": 1},
        }
    )
    Session(config, on_event=heard.append).run()
    assert [event.name for event in heard] == [event["event"] for event in timeless(tmp_path / "run")]
    assert [event.name for event in heard] == ["config", "pool", "query", *["label"] * 6, "metrics", "stopped"]
    logged = {record.levelname: record.name for record in caplog.records}
    assert "Event stopped" in caplog.messages and any("Reading" in text for text in caplog.messages)
    assert logged["INFO"] == "dal_nlp.core.progress" and logged["DEBUG"].startswith("dal_nlp.")

    def refuse(event: Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Session(config.model_copy(update={"out": str(tmp_path / "other")}), on_event=refuse).run()
    assert len(timeless(tmp_path / "other")) == 1  # the event stands, and the same command goes on


def test_an_answer_that_is_none_of_the_labels_is_found_before_the_run_goes_on(
    base: Path, copy: Callable[[str], Path]
) -> None:
    folder = copy("first metrics")
    lines = (folder / "ledger.jsonl").read_text().splitlines(keepends=True)
    place = next(i for i, line in enumerate(lines) if '"label"' in line[:20])
    lines[place] = lines[place].replace('"negative"', '"oegative"').replace('"positive"', '"qositive"')
    (folder / "ledger.jsonl").write_text("".join(lines))
    with pytest.raises(UserError, match=rf"line {place + 1} is damaged: it was changed after it was written \(it held"):
        run(base, folder)


@pytest.mark.parametrize("harm", [empty, garbage])
def test_sheets_that_are_empty_are_written_again(waiting: Callable[[str], Path], harm: Callable[[Path], None]) -> None:
    folder = waiting("sentiment")
    sheets = sorted((folder / "run" / "queries").glob("round-000.*"))
    before = [sheet.read_bytes() for sheet in sheets]
    for sheet in sheets:
        harm(sheet)
    result = waiting_runs.run("sentiment", folder)
    assert [sheet.read_bytes() for sheet in sheets] == before and len(result.pending) == 4
    assert sorted((folder / "run" / "queries").iterdir()) == sheets
