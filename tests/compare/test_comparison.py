"""A whole comparison on a tiny model: paired arms, what survives a crash, what the files say."""

import csv
import json
import os
import shutil
from dataclasses import replace
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dal_nlp.compare.arms import by_words, read_arm
from dal_nlp.compare.baseline import BagOfWords
from dal_nlp.compare.comparison import Comparison, run_comparison
from dal_nlp.compare.jobs import Job, make_jobs
from dal_nlp.compare.plots import COLOURS
from dal_nlp.compare.report import write_comparison
from dal_nlp.compare.stored import latex, markdown, read_picture, read_table
from dal_nlp.core.errors import UserError
from dal_nlp.ledger.events import Event, MetricsEvent
from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.report.learning_curves import Curve
from dal_nlp.report.plots import Look
from dal_nlp.session.config import RunConfig
from dal_nlp.session.loop import Session
from dal_nlp_cli.main import app
from tests import tiny
from tests.ledgers import change

SEEDS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def found(files: dict[str, Any], folder: Path) -> Comparison:
    comparison = run_comparison(files, ["margin", "ceal"], SEEDS, folder)
    write_comparison(comparison)
    return comparison


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_each_arm_and_seed_is_an_ordinary_run(found: Comparison, folder: Path) -> None:
    assert [arm.name for arm in found.arms] == ["random", "margin", "ceal"]
    for arm in ("random", "margin", "ceal"):
        for seed in range(SEEDS):
            place = folder / "runs" / arm.replace(":", "-") / f"seed-{seed}"
            state = read_state(place)
            assert state.stopped
            assert state.config is not None
            assert state.config["seed"] == seed
            assert (place / "report.html").is_file()
    policies = {arm: read_state(folder / "runs" / arm / "seed-0").config for arm in ("margin", "ceal")}
    assert policies["ceal"]["pseudo_labels"]["policy"] == "ceal"  # type: ignore[index]
    assert policies["margin"]["pseudo_labels"]["policy"] == "none"  # type: ignore[index]


def test_the_same_seed_starts_alike_in_every_arm_and_others_do_not(found: Comparison, folder: Path) -> None:
    first = {
        (arm, seed): read_state(folder / "runs" / arm / f"seed-{seed}")
        for arm in ("random", "margin", "ceal")
        for seed in range(SEEDS)
    }
    for seed in range(SEEDS):
        random = first["random", seed]
        for arm in ("margin", "ceal"):
            state = first[arm, seed]
            assert state.queries[0].ids == random.queries[0].ids
            assert state.metrics[0].values == random.metrics[0].values  # the same fit, so the same order
            assert state.digests == random.digests
    assert first["random", 0].queries[0].ids != first["random", 1].queries[0].ids


def test_the_curves_are_those_of_the_ledgers(found: Comparison, folder: Path) -> None:
    for arm in found.arms:
        assert arm.curve is not None
        assert arm.curve.labels.tolist() == [6, 10]
        assert arm.curve.seeds == (0, 1)
        for row, seed in zip(arm.curve.scores, range(SEEDS), strict=True):
            state = read_state(folder / "runs" / arm.name / f"seed-{seed}")
            assert row.tolist() == [event.values["accuracy"] for event in state.metrics]
    full = read_state(folder / "runs" / "full")
    assert full.metrics[0].labels == 50
    assert found.full == full.metrics[0].values["accuracy"]


def test_what_annotators_read_and_what_was_bought_is_counted(found: Comparison, folder: Path) -> None:
    truth = {row["id"]: row for row in tiny.sentences(50)}
    for arm in found.arms:
        ids = [
            id
            for seed in range(SEEDS)
            for query in read_state(folder / "runs" / arm.name / f"seed-{seed}").queries
            for id in query.ids
        ]
        assert arm.costs is not None
        assert arm.costs.characters == sum(len(truth[id]["text"]) for id in ids) / SEEDS
        labels = [truth[id]["label"] for id in ids]
        share = labels.count("positive") / len(labels)
        assert arm.costs.balance == pytest.approx({"negative": 1 - share, "positive": share})
        entropy = -share * np.log2(share) - (1 - share) * np.log2(1 - share)
        assert arm.costs.evenness == pytest.approx(entropy)
        assert 0 < arm.costs.choose_seconds < arm.costs.round_seconds


def test_the_same_curves_stand_over_the_words_that_people_read(found: Comparison, folder: Path) -> None:
    for arm in found.arms:
        assert arm.curve is not None
        queries = [state.queries for state in _states(folder, arm.name)]
        bought = [[len(text.split()) for query in of for text in query.texts] for of in queries]
        want = [np.mean([sum(lengths[: int(n)]) for lengths in bought]) for n in arm.curve.labels]
        moved = by_words(arm)
        np.testing.assert_allclose(moved.labels, want)
        assert (moved.scores == arm.curve.scores).all()
    assert (folder / "words.svg").is_file() and "words that people read" in (folder / "report.html").read_text()


def _states(folder: Path, arm: str) -> list[State]:
    return [read_state(folder / "runs" / arm / f"seed-{seed}") for seed in range(SEEDS)]


def test_words_are_learnt_from_the_same_labels(found: Comparison, files: dict[str, Any], folder: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    jobs = make_jobs(RunConfig.of(files), files, ["random", "margin", "ceal"], SEEDS, folder)
    states = [job.state() for job in jobs]
    asked = {
        id: text for state in states if state for q in state.queries for id, text in zip(q.ids, q.texts, strict=True)
    }
    test = tiny.sentences(20, seed=1)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit([*asked.values(), *(r["text"] for r in test)])
    state = read_state(folder / "runs" / "margin" / "seed-1")
    ids = [id for query in state.queries for id in query.ids]
    model = LogisticRegression(C=10, max_iter=1000).fit(
        words.transform([asked[id] for id in ids]), [state.answers[id] for id in ids]
    )
    score = model.score(words.transform([row["text"] for row in test]), [row["label"] for row in test])
    curve = found.baseline["margin"]
    assert curve.labels.tolist() == [6, 10]
    assert curve.scores[1, -1] == pytest.approx(score)


def test_the_files_say_what_was_found(found: Comparison, folder: Path) -> None:
    summary = rows_of(folder / "summary.csv")
    assert [row["arm"] for row in summary] == ["random", "margin", "ceal"]
    margin = found.arms[1].curve
    assert margin is not None
    assert float(summary[1]["last_score"]) == pytest.approx(margin.scores[:, -1].mean())
    assert float(summary[1]["area_linear"]) == pytest.approx(margin.scores.mean())  # two points
    comparisons = rows_of(folder / "comparisons.csv")
    assert [(row["arm"], row["share"]) for row in comparisons] == [
        (arm, share) for arm in ("margin", "ceal") for share in ("0.9", "0.95", "0.99")
    ]
    random = found.arms[0].curve
    assert random is not None
    assert float(comparisons[0]["area_difference"]) == pytest.approx(margin.scores.mean() - random.scores.mean())
    points = rows_of(folder / "curves.csv")
    assert [float(row["labels"]) for row in points if row["arm"] == "margin"] == [6, 10]
    assert len(points) == 2 * 2 * 3
    page = (folder / "report.html").read_text()
    assert found.verdict is not None
    assert found.verdict.sentences[0].split(":")[0] in page
    assert "2 seeds cannot reach p &lt; 0.05 in a Wilcoxon test" in page
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("https://www.w3.org", "").replace(
        "http://purl.org", ""
    ).replace("http://creativecommons.org", "")
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.long
def test_the_same_call_runs_nothing_again_and_more_seeds_are_added(
    found: Comparison, files: dict[str, Any], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    ran: list[str] = []
    run = Session.run
    monkeypatch.setattr(Session, "run", lambda self: ran.append(self.config.out) or run(self))
    again = run_comparison(files, ["margin", "ceal"], SEEDS, tmp_path / "copy")
    assert not ran
    assert again.verdict == found.verdict
    more = run_comparison(files, ["margin"], SEEDS + 1, tmp_path / "copy")
    assert [Path(out).name for out in ran] == ["seed-2", "seed-2"]
    assert more.arms[1].curve is not None
    assert more.arms[1].curve.seeds == (0, 1, 2)


def test_a_run_that_died_before_its_report_gets_it(
    found: Comparison, files: dict[str, Any], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    absent, older = (tmp_path / "copy" / "runs" / "margin" / f"seed-{seed}" / "report.html" for seed in range(2))
    absent.unlink()
    os.utime(older, (0, 0))
    ran: list[str] = []
    run = Session.run
    monkeypatch.setattr(Session, "run", lambda self: ran.append(self.config.out) or run(self))
    assert run_comparison(files, ["margin", "ceal"], SEEDS, tmp_path / "copy").verdict == found.verdict
    assert [Path(out) for out in ran] == [absent.parent, older.parent]
    assert absent.is_file() and older.stat().st_mtime > 0


@pytest.mark.long
def test_an_arm_that_crashes_costs_no_other_one(
    found: Comparison, files: dict[str, Any], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    run = Session.run

    def failing(self: Session) -> Any:
        if self.config.strategy == "entropy" and self.config.seed == 1:
            raise RuntimeError("no memory left")
        return run(self)

    monkeypatch.setattr(Session, "run", failing)
    result = run_comparison(files, ["margin", "entropy"], SEEDS, tmp_path / "copy")
    entropy = result.arms[2]
    assert entropy.curve is not None
    assert entropy.curve.seeds == (0,)
    assert entropy.errors == {1: "RuntimeError: no memory left"}
    assert result.verdict is not None
    assert "entropy is compared on 1 seed: it lacks 1." in result.verdict.sentences
    write_comparison(result)
    assert "RuntimeError: no memory left" in (tmp_path / "copy" / "report.html").read_text()
    assert rows_of(tmp_path / "copy" / "summary.csv")[2]["failed"] == "1"


def test_scores_that_are_no_numbers_are_an_error_of_their_run(found: Comparison, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    ledger = tmp_path / "copy" / "runs" / "margin" / "seed-0" / "ledger.jsonl"

    def without_a_number(events: list[Event]) -> list[Event]:
        last = max(place for place, event in enumerate(events) if isinstance(event, MetricsEvent))
        return [replace(e, values={"accuracy": nan}) if i == last else e for i, e in enumerate(events)]  # type: ignore

    change(ledger.parent, without_a_number)
    config = RunConfig.of({"task": "sentiment", "out": None})
    jobs = [
        Job("margin", seed, config.model_copy(update={"out": str(ledger.parents[1] / f"seed-{seed}")}))
        for seed in range(SEEDS)
    ]
    arm = read_arm("margin", jobs, {}, "accuracy")
    assert arm.curve is not None
    assert arm.curve.seeds == (1,)
    assert "not finite" in arm.errors[0]


def test_the_command(found: Comparison, files: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    flags = [f"--{name}={files[name]}" for name in ("task", "data", "test", "model", "initial", "rounds")]
    settings = [f"--set=training.{name}={value}" for name, value in files["training"].items()]
    words = ["--query-size=4", "--strategies", "margin,ceal", "--seeds", "2", "--out", str(tmp_path / "copy")]
    done = CliRunner().invoke(app, ["compare", *flags, *settings, *words])
    assert done.exit_code == 0, done.output
    assert "margin" in done.stdout
    assert "Wilcoxon" in done.stdout
    wrong = CliRunner().invoke(app, ["compare", *flags, "--full-score", "much", "--out", str(tmp_path)])
    assert wrong.exit_code == 2
    assert "--full-score wants a number from 0 to 1 such as 0.9, train or none" in " ".join(wrong.stderr.split())


def test_a_baseline_of_one_class_predicts_it(found: Comparison, files: dict[str, Any], folder: Path) -> None:
    words = BagOfWords(RunConfig.of(files), make_jobs(RunConfig.of(files), files, ["random"], 1, folder))
    assert words._predict(["a"], {"a": "positive"}) == ["positive"] * 20
    assert isinstance(found.baseline["random"], Curve)


def job_of(found: Comparison, seed: int) -> Job:
    """A run of random as it ended."""
    place = str(found.folder / "runs" / "random" / f"seed-{seed}")
    return Job("random", seed, RunConfig.of({"task": "sentiment", "out": place}))


def cut_off(found: Comparison, tmp_path: Path, seed: int, rounds: int) -> Job:
    """A copy of a run of random that died after some rounds."""
    source = Job("random", seed, RunConfig.load(flags={"task": "sentiment", "out": str(tmp_path / "run")}))
    lines = (found.folder / "runs" / "random" / f"seed-{seed}" / "ledger.jsonl").read_text().splitlines()
    ends = [place for place, line in enumerate(lines) if json.loads(line)["event"] == "metrics"]
    source.folder.mkdir()
    (source.folder / "ledger.jsonl").write_text("".join(f"{line}\n" for line in lines[: ends[rounds - 1] + 1]))
    return source


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_run_that_died_underway_does_not_cut_the_curves_of_others(
    found: Comparison, tmp_path: Path, rounds: int
) -> None:
    whole = [job_of(found, seed) for seed in (0, 1)]
    torn = cut_off(found, tmp_path, 1, rounds)
    arm = read_arm("random", [whole[0], torn], {1: "boom"}, "accuracy")
    assert arm.errors == {1: "boom"} and arm.curve is not None
    assert arm.curve.seeds == (0,)
    assert arm.curve.labels.tolist() == read_arm("random", whole, {}, "accuracy").curve.labels.tolist()  # type: ignore[union-attr]


def test_a_run_of_one_round_has_no_curve(found: Comparison, tmp_path: Path) -> None:
    arm = read_arm("random", [job_of(found, 0), cut_off(found, tmp_path, 1, 1)], {}, "accuracy")
    assert arm.curve is not None and arm.curve.seeds == (0,)
    assert "two rounds" in arm.errors[1]


def test_a_figure_and_tables_for_a_paper_are_made_of_a_comparison(found: Comparison, folder: Path) -> None:
    picture = read_picture(folder)
    assert [name for name, _ in picture.curves] == ["random", "margin", "ceal"] and picture.metric == "accuracy"
    assert picture.full == pytest.approx(found.full) and picture.baseline is not None
    for (_, curve), arm in zip(picture.curves, found.arms, strict=True):
        assert arm.curve is not None and np.array_equal(curve.scores, arm.curve.scores)
    assert picture.render("svg") == (folder / "curves.svg").read_bytes()
    paper = Look(3.3)
    whole, part = (read_picture(folder, only).render("svg", paper).decode() for only in (None, ["margin"]))
    assert ">margin</text>" in whole and ">ceal</text>" in whole
    assert ">margin</text>" in part and ">ceal</text>" not in part
    assert COLOURS["arm-1"] in part  # the colour that it has among all
    assert picture.render("pdf", paper).startswith(b"%PDF") and b"/Type3" not in picture.render("pdf", paper)
    with pytest.raises(UserError, match="There is no arm 'margn'"):
        read_picture(folder, ["margn"])
    header, rows = read_table(folder, ["margin"])
    assert header[:2] == ["strategy", "seeds"] and [row[:2] for row in rows] == [["margin", "2"]]
    lines = markdown(header, rows).splitlines()
    assert lines[0].startswith("| strategy | seeds |") and lines[2].startswith("| margin | 2 |")
    assert latex(["a_b"], [["95 %"]]).splitlines()[2:5] == ["a\\_b \\\\", "\\midrule", "95 \\% \\\\"]


def test_the_command_gives_figure_and_table_of_a_comparison(found: Comparison, folder: Path, tmp_path: Path) -> None:
    figure = tmp_path / "for" / "paper.svg"
    words = ["report", str(folder), "--strategies", "margin", "--table", "markdown", "--figure", str(figure)]
    done = CliRunner().invoke(app, [*words, "--width", "3.3in"])
    assert done.exit_code == 0 and "| margin | 2 |" in done.stdout and str(figure) in done.stdout
    assert figure.read_bytes() == read_picture(folder, ["margin"]).render("svg", Look(3.3))
