"""Who judges a model's answers: fitted to answers to training texts, by models that had not seen them.

Letters: n answers, S machines whose answers the run has.
"""

from collections.abc import Sequence

import numpy as np
from datasets import Dataset

from dal_nlp.core.batch import Prediction
from dal_nlp.core.task import Task
from dal_nlp.learners.learner import Learner
from dal_nlp.ledger.state import State
from dal_nlp.measuring.judge import Floats, Judge, fit_judge, log_odds
from dal_nlp.measuring.scores import answer_scores, held_out_scores
from dal_nlp.signals.asking import agreement

#: Fewest training examples of which some are held out.
FEWEST = 8


def evidence(learner: Learner, examples: Dataset, answers: Sequence[Prediction]) -> Floats:
    """Return what speaks for answers to examples, (n, 1 + S): the confidence's log-odds, then what each machine says.

    See ``signals.asking.agreement`` for the latter.
    """
    confidence = np.array([answer.confidence for answer in answers], dtype=np.float64)
    logits = agreement(learner, examples, [answer.target for answer in answers])
    return np.column_stack([log_odds(confidence), *logits])


def judge_of_training(task: Task, state: State, learner: Learner, examples: Dataset) -> tuple[Judge, dict[str, Floats]]:
    """Return who judges a model's answers, and by id the evidence (1 + S,) of answers of models that had not seen them.

    The judge is fitted to these: of a layer by cross-fitting, else to what the model said of each query before it was
    answered. No label of the audit sample is read.

    Args:
        task: Scores the answers.
        state: Of the run.
        learner: Of the run.
        examples: Those that have a label and train.
    """
    held_out = learner.held_out(examples) if len(examples) >= FEWEST else None
    if held_out is not None:
        ids = [str(id) for id in examples["id"]]
        confidence, right = held_out_scores(*held_out)
        # Where there are machines a text has one label.
        predicted = [task.labels[index] for index in held_out[0].argmax(1)]
        of = examples
    else:
        indices = {str(id): index for index, id in enumerate(examples["id"])} if len(examples) else {}
        pairs = [
            (str(id), prediction)
            for query in state.queries
            for id, prediction in zip(query.ids, query.predictions, strict=False)
            if id in indices and id in state.answers
        ]
        ids = [id for id, _ in pairs]
        confidence = np.array([prediction["confidence"] for _, prediction in pairs], dtype=np.float64)
        predicted = [prediction["target"] for _, prediction in pairs]
        right = answer_scores(task, predicted, [state.answers[id] for id in ids])
        of = examples.select([indices[id] for id in ids])
    answers = [Prediction(target, float(p)) for target, p in zip(predicted, confidence, strict=True)]
    features = evidence(learner, of, answers)
    return fit_judge(features, right), dict(zip(ids, features, strict=True))
