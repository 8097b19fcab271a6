"""Question answering from a file to a report: what the loop and the seams make of a task of another kind."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from typer.testing import CliRunner

from dal_nlp import Label, Oracle, Query, RunConfig, Session, Skip, UserError
from dal_nlp.ledger.ledger import read_state
from dal_nlp.session.loop import Result
from dal_nlp.tasks import qa
from dal_nlp_cli.main import app
from tests import tiny
from tests.tiny import write

OPTIONS = {"doc_stride": 6, "longest_answer": 4}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("reader")
    tiny.reader().save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return str(folder)


def run(folder: Path, model: str, unanswerable: bool = False, **changes: Any) -> Result:
    return Session(settings(folder, model, unanswerable, **changes)).run()


def settings(folder: Path, model: str, unanswerable: bool = False, **changes: Any) -> RunConfig:
    values = {
        "task": "qa",
        "data": write(folder / "pool.jsonl", tiny.questions(40, unanswerable=unanswerable)),
        "test": write(folder / "test.jsonl", tiny.questions(15, seed=1, unanswerable=unanswerable)),
        "model": model,
        "out": str(folder / "run"),
        "max_length": 24,
        "task_options": OPTIONS,
        "initial": 6,
        "query_size": 4,
        "rounds": 1,
        "training": {"min_steps": 3, "epochs": 1, "learning_rate": 1e-3},
        **changes,
    }
    return RunConfig.load(flags={name: value for name, value in values.items() if value is not None})


def test_a_run_leaves_what_it_promises(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model)
    assert [point["labels"] for point in result.curve] == [6, 10]
    header = (result.folder / "metrics.csv").read_text().splitlines()[0]
    seconds = "train_seconds,pool_seconds,choose_seconds,eval_seconds,encode_seconds,load_seconds"
    assert header == f"round,labels,exact_match,f1,{seconds}"
    assert result.model_dir is not None
    AutoModelForQuestionAnswering.from_pretrained(result.model_dir)
    AutoTokenizer.from_pretrained(result.model_dir)
    truth = {row["id"]: row["answers"] for row in tiny.questions(40)}
    assert all(truth[id] == target for id, target in result.labels.items())
    page = (result.folder / "report.html").read_text()
    guess = read_state(result.folder).queries[1].predictions[0]
    assert f"<mark>{guess['target']['text'][0]}</mark>" in page
    with (result.folder / "queries.csv").open() as file:
        asked = list(csv.DictReader(file))[6:]
    assert asked[0]["model_answer"] == guess["target"]["text"][0]
    shown = {row["id"]: f"{row['question']}\n\n{row['context']}" for row in tiny.questions(40)}
    assert all(row["text"] == shown[row["id"]] for row in asked)


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["badge", "bald", "span_disagreement", "suggestive", "coreset", "learning_loss"])
def test_strategies_of_every_kind_run(tmp_path: Path, model: str, strategy: str) -> None:
    changes = {"strategy_options": {"uncertainty": "margin"}} if strategy == "suggestive" else {}
    result = run(tmp_path, model, unanswerable=True, strategy=strategy, draws={"k": 2}, **changes)
    assert len(result.labels) == 10


@pytest.mark.long
def test_going_on_gives_what_one_run_gives(tmp_path: Path, model: str) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "one", model, rounds=2)
    run(tmp_path / "two", model, rounds=1)
    parts = run(tmp_path / "two", model, rounds=2)
    assert parts.labels == whole.labels
    assert [point["values"] for point in parts.curve] == [point["values"] for point in whole.curve]


def test_a_nested_file_gives_the_same_run(tmp_path: Path, model: str) -> None:
    flat = run(tmp_path, model)
    articles = [
        {
            "title": row["title"],
            "paragraphs": [
                {
                    "context": row["context"],
                    "qas": [
                        {
                            "id": row["id"],
                            "question": row["question"],
                            "answers": [
                                {"text": text, "answer_start": start}
                                for text, start in zip(
                                    row["answers"]["text"], row["answers"]["answer_start"], strict=True
                                )
                            ],
                        }
                    ],
                }
            ],
        }
        for row in json.loads(json.dumps(tiny.questions(40)))
    ]
    nested = tmp_path / "nested.json"
    nested.write_text(json.dumps({"version": "1.1", "data": articles}))
    other = run(tmp_path, model, data=str(nested), out=str(tmp_path / "nested"))
    assert other.labels == flat.labels
    assert other.curve[-1]["values"] == flat.curve[-1]["values"]


def test_a_table_with_answer_and_start(tmp_path: Path, model: str) -> None:
    pool = tmp_path / "pool.csv"
    with pool.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "context", "question", "answer", "start"))
        for i, row in enumerate(json.loads(json.dumps(tiny.questions(40)))):
            (text,), (start,) = row["answers"]["text"], row["answers"]["answer_start"]
            once = row["context"].count(text) == 1
            writer.writerow((row["id"], row["context"], row["question"], text, "" if once and i % 2 else start))
    assert run(tmp_path, model, data=str(pool), out=str(tmp_path / "csv")).labels == run(tmp_path, model).labels


def test_questions_without_an_answer(tmp_path: Path, model: str) -> None:
    """The threshold comes from the audit sample, and HasAns and NoAns are told apart."""
    result = run(tmp_path, model, unanswerable=True, test=None, audit=12, initial=6)
    kinds = {row["kind of question"]: row["count"] for row in result.curve[-1]["breakdown"]}
    assert set(kinds) == {"HasAns", "NoAns"} and sum(kinds.values()) == 12
    assert result.model_dir is not None
    config = json.loads((result.model_dir / "config.json").read_text())
    assert config[qa.UNANSWERABLE] is True
    assert isinstance(config[qa.THRESHOLD], float)
    assert "NoAns" in (result.folder / "report.html").read_text()


def test_the_test_set_never_fits_the_threshold(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, unanswerable=True)
    assert result.model_dir is not None
    assert json.loads((result.model_dir / "config.json").read_text())[qa.THRESHOLD] == 0


def test_answers_that_are_too_long_are_counted_and_left_out_of_training(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, task_options={"doc_stride": 6, "longest_answer": 1}, initial=20, rounds=0)
    words = [len(target["text"][0].split()) for target in result.labels.values()]
    long = sum(count > 1 for count in words)
    assert 0 < long < 20
    assert result.curve[-1]["unlearnable"] == long
    assert f"{long} labels" in (result.folder / "report.html").read_text()


def test_at_most_so_many_questions_of_one_group(tmp_path: Path, model: str) -> None:
    options = {**OPTIONS, "group_column": "title"}
    result = run(tmp_path, model, task_options=options, query={"max_per_group": 1}, initial=4)
    titles = {row["id"]: row["title"] for row in tiny.questions(40)}
    for query in read_state(result.folder).queries:
        assert len({titles[id] for id in query.ids}) == len(query.ids) == 4


def test_predict_writes_answers_with_their_spans(tmp_path: Path, model: str) -> None:
    result = run(tmp_path, model, rounds=0)
    done = CliRunner().invoke(app, ["predict", str(result.folder), str(tmp_path / "test.jsonl"), "--quiet"])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(done.stdout.splitlines(keepends=True)))
    assert list(rows[0]) == ["id", "text", "prediction", "confidence", "start", "end"]
    contexts = {row["id"]: str(row["context"]) for row in tiny.questions(15, seed=1)}
    assert len(rows) == 15
    for row in rows:
        assert contexts[row["id"]][int(row["start"]) : int(row["end"])] == row["prediction"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"strategy": "bait"}, "'bait' needs shared outcomes"),
        ({"pseudo_labels": "ceal"}, "shared outcomes"),
        ({"data": "squad.csv"}, "There is no file squad.csv"),
        ({"target": "accuracy=0.5"}, "no metric of this run"),
        ({"query": {"max_per_group": 0}}, "is not right"),
    ],
)
def test_mistakes_are_sentences(tmp_path: Path, model: str, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        run(tmp_path, model, **change)


def test_an_answer_that_is_not_in_its_context_names_the_row(tmp_path: Path, model: str) -> None:
    rows = tiny.questions(5)
    rows[3]["answers"] = {"text": ["nowhere"], "answer_start": [0]}
    with pytest.raises(UserError, match=r"bad.jsonl, line 4 .*nowhere"):
        run(tmp_path, model, data=write(tmp_path / "bad.jsonl", rows))


@pytest.mark.long
def test_answers_of_another_file_come_with_their_contexts(tmp_path: Path, model: str) -> None:
    rows = tiny.questions(40)
    bare = [{name: row[name] for name in ("id", "question", "context")} for row in rows]
    pool, answers = write(tmp_path / "bare.jsonl", bare), write(tmp_path / "answers.jsonl", rows)
    joined = run(tmp_path, model, data=pool, answers=answers, out=str(tmp_path / "joined"))
    assert joined.labels == run(tmp_path, model).labels
    short = write(tmp_path / "short.jsonl", [{name: row[name] for name in ("id", "answers")} for row in rows])
    with pytest.raises(UserError, match="has no column 'context', which its answer is checked against"):
        run(tmp_path, model, data=pool, answers=short, out=str(tmp_path / "short"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("film", "has not the form"),
        (None, "has not the form"),
        ({"text": "film", "answer_start": 0}, "has not the form"),
        ({"text": ["nowhere"], "answer_start": [5]}, "nowhere"),
    ],
)
def test_an_answer_of_an_oracle_is_checked_before_it_is_written_down(
    tmp_path: Path, model: str, given: Any, reason: str
) -> None:
    class Wrong(Oracle):
        def label(self, queries: Sequence[Query]) -> Iterator[Label | Skip]:
            yield Label(queries[0].id, given)

    with pytest.raises(UserError, match=f"(?s)cannot be used: .*{reason}"):
        Session(settings(tmp_path, model), oracle=Wrong()).run()
    assert read_state(tmp_path / "run").answers == {}
    assert len(run(tmp_path, model).labels) == 10  # and the same folder goes on


def test_the_threshold_is_fitted_on_the_validation_set_where_there_is_one(tmp_path: Path, model: str) -> None:
    without = run(tmp_path, model, unanswerable=True, rounds=0, out=str(tmp_path / "without"))
    validation = write(tmp_path / "validation.jsonl", tiny.questions(12, seed=7, unanswerable=True))
    result = run(tmp_path, model, unanswerable=True, rounds=0, validation=validation)
    values = [
        json.loads((done.model_dir / "config.json").read_text())[qa.THRESHOLD]
        for done in (without, result)
        if done.model_dir is not None
    ]
    assert values[0] == 0 != values[1]


def test_the_same_question_under_another_title_is_the_same_question(tmp_path: Path, model: str) -> None:
    options = {**OPTIONS, "group_column": "title"}
    measured = [{**row, "id": f"other {row['id']}", "title": "another"} for row in tiny.questions(10)]
    for row in measured[:5]:
        del row["title"]  # rows that only measure need none
    test = write(tmp_path / "other.jsonl", measured)
    result = run(tmp_path, model, task_options=options, test=test, rounds=0)
    assert read_state(result.folder).pool.rejected == {f"{tmp_path / 'pool.jsonl'}: also in the test set": 10}


def test_a_group_column_that_is_not_there_is_said(tmp_path: Path, model: str) -> None:
    with pytest.raises(UserError, match=r"no group for query\.max_per_group"):
        run(tmp_path, model, task_options={**OPTIONS, "group_column": "titel"}, query={"max_per_group": 1})
