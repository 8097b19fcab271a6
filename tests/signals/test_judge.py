"""Who judges the answers of a model that machines have taught: its confidence, and how far the machines agree."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from dal_nlp.core.progress import Silent
from dal_nlp.core.rng import rng_for
from dal_nlp.learners.cross_validation import deal
from dal_nlp.ledger.ledger import Ledger, read_state
from dal_nlp.measuring.judging import judge_of_training
from dal_nlp.measuring.scores import Sample, estimated_metrics
from dal_nlp.session.context import Context
from dal_nlp.signals.asking import agreement
from tests import tiny
from tests.signals.witness_runs import run, settings

AUDITED = {"test": None, "audit": 24, "initial": 24, "query_size": 6, "rounds": 0}


@contextmanager
def opened(files: Path) -> Iterator[Context]:
    """What a run works with that has ended."""
    with Ledger(files / "run") as ledger:
        config = settings(files, "right.jsonl", **AUDITED)
        yield Context(config, files / "run", ledger, None, None, None, None, Silent())


def worth(files: Path, out: str) -> float:
    result = run(files, "right.jsonl", **AUDITED, out=str(files / out))
    found: float = read_state(result.folder).metrics[-1].powered["accuracy"]["worth"]
    return found


@pytest.mark.long
def test_the_audit_of_a_run_is_judged_by_its_machines_too(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_machines = worth(files, "run")
    with opened(files) as work:
        examples = work.training.examples()
        judge, known = judge_of_training(work.task, work._ledger.state, work.learner, examples)
        assert len(judge.slopes) == 2 and judge.slopes[1] > 0.05
        assert set(known) == {str(id) for id in examples["id"]}
    monkeypatch.setattr("dal_nlp.measuring.judging.agreement", lambda *_: [])
    assert with_machines > worth(files, "alone") + 2


def test_a_machine_that_is_silent_says_nothing_of_an_answer(files: Path) -> None:
    rows = tiny.sentences(80)
    tiny.write(files / "right.jsonl", [row for i, row in enumerate(rows) if i % 2])
    run(files, "right.jsonl", **AUDITED)
    silent = {row["text"] for row in rows} - {row["text"] for i, row in enumerate(rows) if i % 2}
    with opened(files) as work:
        truth = [str(target) for target in work.corpus.targets()]
        other = {"negative": "positive", "positive": "negative"}
        (said,) = agreement(work.learner, work._data, truth)
        (against,) = agreement(work.learner, work._data, [other[target] for target in truth])
        for text, right, wrong in zip(work.corpus.dataset["text"], said, against, strict=True):
            assert (right == wrong == 0) if text in silent else right > wrong


def test_no_label_of_the_audit_sample_reaches_a_judge_that_hears_machines(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Sample] = []

    def keeping(*given: object) -> object:
        seen.append(given[3])  # type: ignore[arg-type]
        return estimated_metrics(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("dal_nlp.session.evaluation.estimated_metrics", keeping)
    run(files, "right.jsonl", **AUDITED)
    audited, other = set(read_state(files / "run").audit or []), {"positive": "negative", "negative": "positive"}
    rows = tiny.sentences(80)
    changed = [{**row, "label": other[row["label"]]} if row["id"] in audited else row for row in rows]
    tiny.write(files / "pool.jsonl", changed)
    run(files, "right.jsonl", **AUDITED, out=str(files / "other"))
    one, two = seen
    assert one.g.tolist() == two.g.tolist() and one.pool_g.tolist() == two.pool_g.tolist()
    assert len(set(one.g.tolist())) > 2


def test_what_judges_a_student_are_students_that_have_not_seen_the_example(files: Path) -> None:
    run(files, "right.jsonl", **AUDITED, head={"prior": "none", "c": 1.0})
    with Ledger(files / "run") as ledger:
        config = settings(files, "right.jsonl", **AUDITED, head={"prior": "none", "c": 1.0})
        work = Context(config, files / "run", ledger, None, None, None, None, Silent())
        examples = work.training.examples()
        p, y = work.learner.held_out(examples)  # type: ignore[misc]
        folds = deal(y, rng_for(0, len(y), "folds"))
        for fold in set(folds.tolist()):
            inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            work.learner.fit(0, examples.select(inside), np.ones(len(inside)))
            student = work._pool(examples.select(outside), 0, of=work.learner.text_model).predict()
            assert [work.task.labels[k] for k in p[outside].argmax(1)] == [answer.target for answer in student]
            assert p[outside].max(1) == pytest.approx([answer.confidence for answer in student], abs=1e-5)
