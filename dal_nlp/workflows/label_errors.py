"""Labels that are likely wrong: confident learning (Northcutt et al., 2021) on out-of-fold predictions, by cleanlab.

The predictions come from logistic regression on the embeddings of the run's pretrained encoder, which has seen no
label: each example is judged by a model that was fitted to the others.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dal_nlp.annotation.answer_store import AnswerStore
from dal_nlp.annotation.sheet_files import SUSPECTS, write_sheet
from dal_nlp.core.distributed import process_state
from dal_nlp.core.errors import Unsupported, UserError
from dal_nlp.core.progress import Progress
from dal_nlp.core.targets import Target
from dal_nlp.core.task import Capability
from dal_nlp.joins.tool_rows import ANSWER, ID, NOTE
from dal_nlp.pretrained.loading import load_tokenizer, resolve
from dal_nlp.strategies import probes
from dal_nlp.workflows.predict import TrainedRun

#: Most folds.
FOLDS = 5
#: The L2 penalty of the regression, as sklearn's C: few labels and many numbers.
C = 0.1


def find_suspects(store: AnswerStore, progress: Progress) -> tuple[list[dict[str, Any]], int]:
    """Return the labels that are likely wrong, the likeliest first, and how many labels were looked at.

    Each is {"id", "target" (what the model says), "confidence" (its probability), "doubt" (one minus that of the
    label), "round" (-1: no model of the run), "answers" (how many the example had)}. A label that only one example has
    cannot be judged, and is left out.

    Raises:
        UserError: cleanlab is missing, or there are too few labels.
        Unsupported: The task has no labels.
    """
    several = Capability.SEVERAL_LABELS in store.task.capabilities
    if not (store.task.answer_format.classes or several):
        raise Unsupported("Only labels can be compared with what a classifier expects: relabel answers one by one.")
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        raise UserError("This needs cleanlab: pip install 'dal-nlp[suspects]'.") from None
    if several:
        return _several(store, progress)
    ids, labels = _labeled(store)
    x = _embeddings(store, ids, progress)
    names = sorted(set(labels))
    y = np.array([names.index(label) for label in labels])
    probabilities = out_of_fold(x, y, store.config.seed)
    suspects = find_label_issues(y, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1)
    rows = [
        {
            "id": ids[i],
            "target": names[int(probabilities[i].argmax())],
            "confidence": float(probabilities[i].max()),
            "doubt": float(1 - probabilities[i, y[i]]),
            "round": -1,
            "answers": len(store.state.given[ids[i]]),
        }
        for i in map(int, suspects)
    ]
    return rows, len(ids)


def _several(store: AnswerStore, progress: Progress) -> tuple[list[dict[str, Any]], int]:
    """Return the same for any number of labels a text; "doubt" and "confidence" are of its most doubtful label.

    A label that is not there twice, or is missing less than twice, is left as it is.
    """
    from cleanlab.multilabel_classification.filter import find_label_issues

    held = {id: set(store.task.answer_format.labels_of(target)) for id, target in store.state.answers.items()}
    ids = list(held)
    bits = np.array([[label in held[id] for label in store.task.labels] for id in ids], dtype=np.int64)
    judged = np.flatnonzero(np.minimum(bits.sum(0), len(ids) - bits.sum(0)) > 1) if ids else np.zeros(0, dtype=np.int64)
    if not len(judged):
        raise UserError(
            f"{store.folder} has too few labels to tell wrong ones: it takes a label that two texts have and two do "
            "not."
        )
    left = len(store.task.labels) - len(judged)
    if left:
        progress.say(
            f"{left} of {len(store.task.labels)} labels are not judged: fewer than two texts (do not) have them."
        )
    x = _embeddings(store, ids, progress)
    y = bits[:, judged]
    p = np.stack([out_of_fold(x, y[:, column], store.config.seed)[:, 1] for column in range(len(judged))], 1)
    labels = [np.flatnonzero(row).tolist() for row in y]
    suspects = find_label_issues(labels, p, return_indices_ranked_by="self_confidence", n_jobs=1)
    doubt = np.where(y > 0, 1 - p, p)
    rows = []
    for i in map(int, suspects):
        target = held[ids[i]].difference(store.task.labels[column] for column in judged)
        target |= {store.task.labels[column] for column, q in zip(judged, p[i], strict=True) if q > 0.5}
        worst = float(doubt[i].max())
        same = {"confidence": worst, "doubt": worst, "round": -1, "answers": len(store.state.given[ids[i]])}
        rows.append({"id": ids[i], "target": sorted(target), **same})
    return rows, len(ids)


def _labeled(store: AnswerStore) -> tuple[list[str], list[Target]]:
    """Return the bought labels that several examples share."""
    counts = Counter(store.state.answers.values())
    ids = [id for id, label in store.state.answers.items() if counts[label] > 1]
    labels = [store.state.answers[id] for id in ids]
    if len(set(labels)) < 2:
        raise UserError(
            f"{store.folder} has too few labels to tell wrong ones: it takes two labels, and two examples of each."
        )
    return ids, labels


def _embeddings(store: AnswerStore, ids: Sequence[str], progress: Progress) -> NDArray[np.float32]:
    """Return what the pretrained encoder makes of some examples, (N, H)."""
    source = resolve(store.config.model, progress)
    store.task.tokenizer = load_tokenizer(source)
    run = TrainedRun(store.folder, store.config, store.task, store.state, progress)
    model: Any = store.task.load(source).to(process_state().device)
    examples = [{name: field for name, field in store.example(id).items() if name != "target"} for id in ids]
    (embeddings,) = run.pool(model.eval(), examples).collect(probes.embedding)
    return np.asarray(embeddings, dtype=np.float32)


def out_of_fold(x: NDArray[np.float32], y: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Return the probability (N, C) of each label for each example, from a model that was fitted without it."""
    folds = min(FOLDS, int(np.bincount(y).min()))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    cut = StratifiedKFold(folds, shuffle=True, random_state=seed)
    return np.asarray(cross_val_predict(model, x, y, cv=cut, method="predict_proba"), dtype=np.float64)


def write_suspects(store: AnswerStore, rows: Sequence[dict[str, Any]]) -> Path:
    """Write down what was found, and a sheet of it for people; what they fill in settles the label."""
    store.note_suspects(rows)
    return write_sheet(store.folder, SUSPECTS, [_row(store, row) for row in rows])


def _row(store: AnswerStore, row: dict[str, Any]) -> dict[str, Any]:
    example = store.example(row["id"])
    own = (ID, "label", "suggestion", "doubt", "characters", ANSWER, NOTE)
    columns = [f"{name} (text)" if name in own else name for name in store.task.columns()]
    label = store.task.answer_format.format_answer(store.state.answers[row["id"]], example)
    return {
        ID: row["id"],
        **dict(zip(columns, store.task.texts(example), strict=True)),
        "label": label,
        "suggestion": store.task.answer_format.format_answer(row["target"], example),
        "doubt": round(row["doubt"], 4),
        "characters": len(store.task.show(example)),
        ANSWER: "",
        NOTE: "",
    }
