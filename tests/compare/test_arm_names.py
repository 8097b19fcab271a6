"""Names of arms: what they set, which random arms join them, and the runs that are made of them."""

from pathlib import Path

import pytest

from dal_nlp.compare.arm_names import planned, random_of, settings_of
from dal_nlp.compare.jobs import make_jobs
from dal_nlp.core.errors import UserError
from dal_nlp.ledger.events import ConfigEvent
from dal_nlp.ledger.ledger import Ledger
from dal_nlp.session.config import RunConfig


def test_a_learner_is_what_it_sets() -> None:
    assert settings_of("margin") == {}
    assert settings_of("margin@full") == {"training": {"mode": "full"}}
    assert settings_of("random@head:last+noprior") == {
        "training": {"mode": "head"},
        "head": {"layers": [100], "prior": "none"},
    }
    assert settings_of("random@head:nosignals") == {"training": {"mode": "head"}, "signals": []}
    assert settings_of("random@head:kept+noprior") == {
        "training": {"mode": "head"},
        "keep_witness": True,
        "head": {"prior": "none"},
    }


def test_an_arm_without_machines_asks_none(tmp_path: Path) -> None:
    given = {"task": "sentiment", "signals": ["file:llm.csv"], "keep_witness": False, "training": {"mode": "head"}}
    arms = planned(["margin@head:nosignals", "margin@head:kept"])
    jobs = make_jobs(RunConfig.of(given), given, arms, 1, tmp_path)
    heard = {job.arm: (job.config.signals, job.config.keep_witness) for job in jobs}
    assert heard["margin@head:nosignals"] == heard["random@head:nosignals"] == ([], False)
    assert heard["margin@head:kept"] == (["file:llm.csv"], True)


def test_further_seeds_begin_as_those_that_are_there(tmp_path: Path) -> None:
    """The first batch of a head with descriptions was by k-means once."""
    described = {"labels": {"negative": "Somebody did not like it.", "positive": "Somebody liked it."}}
    given = {"task": "sentiment", "training": {"mode": "head"}, "data": "x.csv", **described}
    fresh = make_jobs(RunConfig.of(given), given, ["random", "margin"], 2, tmp_path)
    assert {job.config.initial_strategy for job in fresh} == {"random"}
    former = fresh[0].config.model_copy(update={"initial_strategy": "kmeans"})
    fresh[0].folder.mkdir(parents=True)
    with Ledger(fresh[0].folder) as ledger:
        ledger.append(ConfigEvent(config=former.model_dump(mode="json", exclude={"out"})))
    further = make_jobs(RunConfig.of(given), given, ["random", "margin"], 2, tmp_path)
    assert {job.config.initial_strategy for job in further} == {"kmeans"}
    named = {**given, "initial_strategy": "random"}  # which the run that is there refuses
    further = make_jobs(RunConfig.of(named), named, ["random", "margin"], 2, tmp_path)
    assert {job.config.initial_strategy for job in further} == {"random"}


def test_arms_of_a_seed_begin_alike_whatever_their_learners(tmp_path: Path) -> None:
    """Alone, a head without descriptions would begin by k-means."""
    described = {"labels": {"negative": "Somebody did not like it.", "positive": "Somebody liked it."}}
    given = {"task": "sentiment", "training": {"mode": "head"}, "data": "x.csv", **described}
    arms = planned(["margin@head:noprior", "margin@head", "margin@full"])
    jobs = make_jobs(RunConfig.of(given), given, arms, 2, tmp_path)
    assert {job.config.initial_strategy for job in jobs} == {"random"}


def test_a_run_that_is_there_keeps_its_first_batch_whatever_other_arms_have(tmp_path: Path) -> None:
    given = {"task": "sentiment", "training": {"mode": "head"}, "data": "x.csv"}
    arms = ["random@head", "random@head:noprior"]
    jobs = make_jobs(RunConfig.of(given), given, arms, 1, tmp_path)
    for job, first in zip(jobs, ("random", "kmeans"), strict=True):
        job.folder.mkdir(parents=True)
        config = job.config.model_copy(update={"initial_strategy": first})
        with Ledger(job.folder) as ledger:
            ledger.append(ConfigEvent(config=config.model_dump(mode="json", exclude={"out"})))
    again = make_jobs(RunConfig.of(given), given, arms, 2, tmp_path)
    assert [job.config.initial_strategy for job in again] == ["random", "kmeans"] * 2


def test_random_joins_each_learner_that_chooses_and_the_first_one_leads() -> None:
    assert planned(["random@head:last", "margin@head", "random@tfidf"]) == [
        "random@head",
        "random@head:last",
        "margin@head",
        "random@tfidf",
    ]
    assert planned(["margin", "badge"]) == ["random", "margin", "badge"]
    assert random_of("margin@head:last") == "random@head:last"


@pytest.mark.parametrize(
    ("arms", "named"),
    [
        (["random@head"], "nothing to compare"),
        (["margin@haed"], "did you mean|haed"),
        (["margin@head:first"], "takes last"),
        (["margin@tfidf"], "TF-IDF chooses nothing"),
    ],
)
def test_what_cannot_be_compared_is_refused(arms: list[str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        planned(arms)
