import shutil
from pathlib import Path

import pytest

from dal_nlp.models.trainer import number_of_steps
from dal_nlp.session.config import RunConfig
from dal_nlp.workflows import cost_estimate as estimating
from dal_nlp.workflows import dry_run as rehearsal
from tests import tiny
from tests.cli.conftest import Files, invoke
from tests.tiny import write


def test_it_says_what_it_checked_and_leaves_nothing(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "new"
    result = invoke("check", *files.flags(out))
    assert result.exit_code == 0, result.stderr
    assert "40 rows (pool), 12 rows (test), 2 labels (negative, positive)" in result.stdout
    assert "2 rounds, each with a pass over the pool, 8 labels, 4 optimizer steps." in result.stdout
    assert not out.parent.exists()


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_what_should_be_known_is_said_once(files: Files, quiet: list[str], tmp_path: Path) -> None:
    result = invoke("check", *files.flags(tmp_path / "new"), "--budget", "100", *quiet)
    assert result.exit_code == 0, result.stderr
    assert (result.stdout + result.stderr).count("of the pool and was capped.") == 1
    assert ("was capped" in result.stdout) == bool(quiet)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["bald", "entropy"])
def test_it_says_what_draws_that_are_read_tell_beyond_entropy(files: Files, strategy: str) -> None:
    done = rehearsal.dry_run(
        RunConfig(
            task="sentiment",
            data=str(files.pool),
            test=str(files.test),
            model=str(files.model),
            training={"mode": "full"},
            strategy=strategy,
        )
    )
    assert (done.bald is None) == (strategy == "entropy")
    if done.bald is None:
        assert "BALD" not in str(done)
        return
    mean, correlation = done.bald
    assert mean > 0 and -1 <= correlation <= 1
    assert f"mean BALD {mean:.2g} nats, rank correlation with entropy {correlation:.2f}" in str(done)


@pytest.mark.long
def test_it_refuses_what_the_run_would_refuse(files: Files, finished: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    before = (copy / "ledger.jsonl").read_bytes()
    result = invoke("check", *files.flags(copy, "--seed", "5"))
    assert result.exit_code == 2
    assert "seed was 0 and is 5" in result.stderr
    assert invoke("check", *files.flags(copy, "--rounds", "2", "--quiet")).exit_code == 0
    assert (copy / "ledger.jsonl").read_bytes() == before


def test_rounds_and_steps_are_counted_within_the_budget(files: Files, tmp_path: Path) -> None:
    """Fits of 6, 11, 16 and 18 labels: 3 epochs of 2, 3, 4 and 5 steps of 4, and at least 8 steps."""
    training = {"mode": "full", "batch_size": 4, "epochs": 3, "min_steps": 8}
    settings = {"task": "sentiment", "data": files.pool, "model": files.model, "initial_strategy": "random"}
    config = RunConfig(**settings, audit=2, initial=6, query_size=5, rounds=9, budget=20, training=training)
    done = rehearsal.dry_run(config)
    assert (done.rounds, done.budget, done.steps) == (4, 20, 8 + 9 + 12 + 15)


def test_nobody_is_asked(files: Files, tmp_path: Path) -> None:
    """A pool without labels and an oracle that must not be asked: the model's own answers stand in."""
    pool = write(tmp_path / "unlabeled.jsonl", [{"id": str(i), "text": f"the film {i}"} for i in range(6)])
    flags = files.flags(tmp_path / "out", "--data", pool, "--oracle", "tests.cli.oracles:Absent")
    result = invoke("check", *flags)
    assert result.exit_code == 0, result.stderr
    assert "6 rows (pool)" in result.stdout


def test_labels_that_are_there_train_without_a_first_choice(files: Files, tmp_path: Path) -> None:
    flags = files.flags(tmp_path / "out", "--labeled", files.test, "--test", files.pool, "--data", files.more)
    result = invoke("check", *flags, "--initial", "0", "--quiet")
    assert result.exit_code == 0, result.stderr
    assert "12 rows (labeled)" in result.stdout


def test_what_a_round_will_take_is_measured_on_a_part_of_the_pool(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimating, "ENOUGH", 0.0)
    config = RunConfig(
        task="sentiment",
        data=files.pool,
        test=files.test,
        model=files.model,
        strategy="badge",
        rounds=1,
        training={"mode": "full"},
    )
    done = rehearsal.dry_run(config).estimate
    assert done is not None and not done.most
    assert (done.texts, done.sample, done.steps, done.once) == (38, 38, number_of_steps(40, config.training), 0)
    assert done.scoring > 0 and done.training > 0
    arrays = 4 * (tiny.config().hidden_size + 2)  # the two factors of a gradient
    assert done.memory == pytest.approx(38 * arrays)
    few = RunConfig(**config.model_dump(exclude={"query", "scoring"}), query={"candidates": 20}, scoring={"memory": 0})
    done = rehearsal.dry_run(few).estimate
    assert done is not None and done.texts == 20
    assert done.memory == 0 and done.disk > 20 * arrays
    assert "scoring 20 texts about" in str(done)


def test_encoders_are_ranked_and_nothing_is_left(files: Files, tmp_path: Path) -> None:
    other, out = tiny.save_masked_lm(tmp_path / "other"), tmp_path / "run"
    result = invoke("check", *files.flags(out), "--encoders", f"{files.model}, {other}")
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if "s for 1,000 texts" in line]
    assert len(lines) == 2 and all("in four folds" in line for line in lines) and not out.exists()
    assert {str(files.model) in "".join(lines), str(other) in "".join(lines)} == {True}
