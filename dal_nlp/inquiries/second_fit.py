"""A second model, to which the answers of people train that no machine gave; the rows that measured measure it too."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dal_nlp.core.config import Settings
from dal_nlp.core.files import replace_file
from dal_nlp.core.progress import Progress
from dal_nlp.core.targets import Target, decode
from dal_nlp.core.task import Task
from dal_nlp.data.columns import HasAnswerCells
from dal_nlp.data.examples import NO_IDS, AnswersById, ExampleReader
from dal_nlp.inquiries.inquiry import Inquiry
from dal_nlp.session.config import RunConfig
from dal_nlp.session.loop import Session
from dal_nlp.session.result import Result
from dal_nlp.tasks import make_task

#: Where it lies in the folder of the questions.
FOLDER = "learned"


def fit_again(inquiry: Inquiry, source: str, out: Path, progress: Progress) -> Result:
    """Fit a model to the labels of a run and to what people have answered about a file, as a run of its own.

    What was drawn to measure trains nothing: it is the test set, so that the new model's score is comparable with what
    the draws have said of the old one. The same call goes on with a fit that was cut.

    Args:
        inquiry: Of which nothing is pending.
        source: The file.
        out: The folder of the run.
        progress: Where it is shown.
    """
    run, state = inquiry.run, inquiry.state
    drawn = set(state.audit or [])
    bought = {id: run.state.answers[id] for id in run.state.training_ids if id in run.state.answers}
    measured = {id: target for id, target in state.answers.items() if id in drawn}
    rest = {id: target for id, target in state.answers.items() if id not in drawn}
    config = run.config
    train = [*_rows(config, config.data, bought), *_rows(config, config.labeled, None)]
    train += _rows(inquiry.config, source, rest)
    out.mkdir(parents=True, exist_ok=True)
    files = {"labeled": train, "test": list(_rows(inquiry.config, source, measured))}
    for name, rows in files.items():
        text = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
        replace_file(out / f"{name}.jsonl", text.encode())
    values = {
        **inquiry.config.model_dump(mode="json", exclude_unset=False),
        **{name: str(out / f"{name}.jsonl") for name in files},
        "data": source, "labels": list(run.task.labels), "audit": None, "initial": 0, "rounds": 0, "oracle": "file",
        "finish": config.finish, "out": str(out / "run"),
    }  # fmt: skip
    return Session(RunConfig.of(values), progress=progress).run()


def _rows(config: Settings, source: str | None, answers: Mapping[str, Target] | None) -> Iterator[dict[str, Any]]:
    """Yield the labeled rows of a source as they stand there, with answers by id in place of their own."""
    if source is None or answers == {}:
        return
    task: Task = make_task(config)
    reader = ExampleReader(source, task, config, answers=None if answers is None else AnswersById(answers))
    for example, row in reader.whole_rows():
        target = decode(example.target)
        if target is None or example.fields is None:
            continue
        own = {} if config.id_column == NO_IDS else {config.id_column: f"learned {example.id}"}
        cells = task.answer_cells(target) if isinstance(task, HasAnswerCells) else {reader.answer_column: target}
        yield {**row, **own, **cells}
