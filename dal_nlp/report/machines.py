"""How good machines were: their answers against those that people gave to the audit sample, which never saw them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dal_nlp.core.rng import rng_for
from dal_nlp.core.text import counted
from dal_nlp.ledger.answer_events import MACHINE, AnswerEvent
from dal_nlp.ledger.events import LabelEvent
from dal_nlp.ledger.state import State
from dal_nlp.report.summary import metric_names, spoken

#: After the name of a machine that lists entities: what it says of the words that it does not list.
OTHERS = " (other words)"
#: Why a reader's own scores count less beside machines, or these do not count: see ``span_witnesses.weights``.
_SURE = "as it is surer of answers that it has not seen than it has reason to be"
_WHY = {
    "machines": "as machines alone answer: on labels that did not train, neither the reader alone nor both together "
    "are shown to be better",
    "reader": "and machines none: on labels that did not train, no machine is shown to add to its answers",
}


def labeled_by_machines(state: State) -> str:
    """Return how many of the labels are a machine's, in sentences; "" where none is."""
    last = {id: events[-1] for id, events in state.given.items() if events}
    by = {id: event.by for id, event in last.items() if isinstance(event, LabelEvent) and event.via == MACHINE}
    if not by:
        return ""
    names, audited = ", ".join(sorted(set(by.values()))), sum(id in by for id in state.audit or [])
    line = f"{counted(len(by), 'label')} of {len(state.answers):,} were given by a machine ({names}), not by people."
    if audited:
        line += (
            f" So were {audited:,} of the audit sample: the score says how far the model agrees with the machine, not "
            "how often it is right."
        )
    return line


def suggestions_line(state: State) -> str:
    """Return how often people gave the model's answer where they saw it and where not; "" unless there are both.

    Of people's own last answers to questions of rounds, whose model had an answer before they gave theirs.
    """
    predictions = {
        id: prediction["target"]
        for query in state.queries
        for id, prediction in zip(query.ids, query.predictions, strict=False)
    }
    same: dict[bool, list[bool]] = {True: [], False: []}
    for id in predictions:
        last = {event.by: event for event in state.given.get(id, []) if isinstance(event, AnswerEvent)}
        for event in last.values():
            if event.of_person and event.answered:
                shown = event.suggested
                same[shown is not None].append(event.target == (predictions[id] if shown is None else shown["target"]))
    if not all(same.values()):
        return ""
    seen, unseen = (f"{_share(same[shown])} of {counted(len(same[shown]), 'answer')}" for shown in (True, False))
    return (
        f"People who saw the model's answer gave the same in {seen}; who did not, in {unseen}, about other texts: "
        "where the first is much higher, suggestions may lead them."
    )


def drafts_line(state: State) -> str:
    """Return how many drafts of each machine people took over as they stood, in sentences; "" where they saw none."""
    taken: dict[str, list[bool]] = {}
    for events in state.given.values():
        last = {event.by: event for event in events if isinstance(event, AnswerEvent)}
        for event in last.values():
            if event.of_person and event.answered and event.suggested and "by" in event.suggested:
                taken.setdefault(event.suggested["by"], []).append(event.target == event.suggested["target"])
    return " ".join(
        f"Of {counted(len(same), 'draft')} of {name}, people took over {sum(same):,} unchanged and changed "
        f"{len(same) - sum(same):,}."
        for name, same in taken.items()
    )


def _share(hits: Sequence[bool]) -> str:
    from scipy.stats import binomtest  # a second, which a run without signals need not wait for

    interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    share, low, high = (100 * value for value in (sum(hits) / len(hits), interval.low, interval.high))
    return f"{share:.0f} % [{low:.0f}, {high:.0f}]"


def machine_rows(state: State) -> list[dict[str, Any]]:
    """Return a row for each signal.

    {"name", "said" (in sentences), "by_label" [(label, right, answered)], "table", "pairs" [[people's, its, count]]}.
    """
    rows = []
    for (name, dataset), answers in state.signals.items():
        if dataset != "pool":
            continue
        by_id = {answer["id"]: answer["log_probs"] for answer in answers.values()}
        if any(len(scores) == 1 for scores in by_id.values() if scores):
            rows.append(_in_words(state, name, list(by_id.values())))
            continue
        judged = [(state.answers[id], by_id[id]) for id in state.audit or [] if id in state.answers and id in by_id]
        pairs = [(str(target), answered(scores, state.labels)) for target, scores in judged]
        right = [(target, answer == target) for target, answer in pairs]
        sentences = [_answered_line(name, list(by_id.values())), _accuracy_line(right), _weight_line(state, name)]
        money = sum(answer.get("cost", 0.0) for answer in answers.values())
        sentences += [f"It cost {money:.2f}."] if money else []
        text, table = " ".join(filter(None, sentences)), confusion(pairs, state.labels)
        counts = [[*pair, count] for pair, count in Counter(pairs).items()]
        rows.append({"name": name, "said": text, "by_label": _by_label(right), "table": table, "pairs": counts})
    return rows


def _in_words(state: State, name: str, answers: list[list[float] | None]) -> dict[str, Any]:
    """Return the row of a signal whose answers are words: how good they are is seen before the first label."""
    start = state.metrics[0].start if state.metrics else None
    sentences = [
        _answered_line(name, answers),
        _weight_line(state, name),
        _others_line(state, name),
        _reader_line(state),
    ]
    if start and (state.config or {}).get("keep_witness"):
        metric = metric_names(state.metrics)[0]
        sentences.append(f"Before any label the run's model, which knows nothing else, has {spoken(metric)} ")
        sentences[-1] += f"{start['values'][metric]:.2f}."
    return {
        "name": name,
        "said": " ".join(filter(None, sentences)),
        "by_label": [],
        "table": {"said": [], "rows": []},
        "pairs": [],
    }


def saved_line(state: State) -> str:
    """Return what machines saved in labels, in sentences; "" where none is heard.

    Beside the model of each round a layer was fitted to the same labels that hears no machine. What is said of labels
    so far is interpolated; what that layer would still need is a forecast, and said only where that is possible.
    """
    events = [event for event in state.metrics if "people" in event.beside]
    if not events:
        return ""
    import numpy as np

    from dal_nlp.report.forecast import forecast
    from dal_nlp.report.learning_curves import isotonic, labels_to

    name, last = metric_names(events)[0], events[-1]
    labels = np.array([event.labels for event in events], dtype=np.float64)
    heard = np.array([event.values[name] for event in events])
    alone = np.array([event.beside["people"]["values"][name] for event in events])
    sentence = f"Without machines {counted(last.labels, 'label')} give {spoken(name)} {alone[-1]:.2f}"
    sentence += f", with them {heard[-1]:.2f}"
    if heard[-1] <= alone[-1]:
        return f"{sentence}: they saved no label."
    start = events[0].start
    known = (np.append(0, labels), np.append(start["values"][name], heard)) if start else (labels, heard)
    there = float(labels_to(known[0], isotonic(known[1]), float(alone[-1])))
    sooner = f"{sentence}. With them {alone[-1]:.2f} was there at {counted(round(there), 'label')}"
    sooner += f": they saved about {last.labels - there:.0f} so far."
    rng = rng_for(int((state.config or {}).get("seed", 0)), len(events), "machines")
    run_forecast = forecast(labels, alone, float(heard[-1]), rng)
    if run_forecast is None:
        return f"{sooner} How many more labels would give {heard[-1]:.2f} without them cannot be told from this curve."
    low, high = run_forecast.interval
    more = f"about {run_forecast.more:.0f} more labels ({low:.0f} to {high:.0f})"
    return f"{sooner} Without them {heard[-1]:.2f} would take {more}."


def taught_line(state: State) -> str:
    """Return how many texts of the pool trained the last round by what signals say; "" where none did."""
    texts = texts_taught(state)
    if not texts:
        return ""
    return (
        f"Beside the labels the model of the last round was trained on {counted(texts, 'text')} of the pool that "
        "nobody was asked about, by what signals say of them; it reads the text alone."
    )


def texts_taught(state: State) -> int:
    """Return how many texts trained the last round beside the labels, by what signals say."""
    return int(state.metrics[-1].learner.get("soft_labels", 0)) if state.metrics else 0


def balance(state: State) -> dict[str, Any]:
    """Return who misses which labels and who gives them wrongly on the audit sample, {} where nobody can tell.

    "columns" has machines, people's labels alone, the model and what hears machines, as far as there are any; "rows"
    is (label, texts that have it, [(missed, wrongly given) of each column]).
    """
    last = state.metrics[-1] if state.metrics else None
    if last is None or last.on != "audit" or not last.beside or not last.confusion:
        return {}
    pairs = {row["name"]: row["pairs"] for row in machine_rows(state)}
    pairs["labels alone"] = last.beside["people"]["confusion"]
    pairs["the model"] = last.confusion
    if "stack" in last.beside:
        pairs["model and machines"] = last.beside["stack"]["confusion"]
    rows = []
    for label in map(str, state.labels):
        seen = sum(count for right, _, count in last.confusion if right == label)
        mistakes = [
            (
                sum(count for right, answer, count in of if right == label != answer),
                sum(count for right, answer, count in of if right != label == answer),
            )
            for of in pairs.values()
        ]
        rows.append((label, seen, mistakes))
    return {"columns": list(pairs), "rows": rows}


def answered(scores: list[float] | None, labels: list[str]) -> str | None:
    """Return the label that log-probabilities (C,) give, None for no answer."""
    return None if scores is None else str(labels[max(range(len(scores)), key=scores.__getitem__)])


def confusion(pairs: Sequence[tuple[str, str | None]], labels: Sequence[str]) -> dict[str, Any]:
    """Return how often a machine gave each label to texts of each label: {"said" [label], "rows" [(label, [count])]}.

    Args:
        pairs: (the label that people gave, what the machine gave, None for no answer) of each text.
        labels: Of the run; those that neither gave are left out, and the last row is the sum of the others.
    """
    counts = Counter(pairs)
    named = [label for label in map(str, labels) if any(label in pair for pair in counts)]
    answers: list[str | None] = [*named, *([None] if any(answer is None for _, answer in counts) else [])]
    rows = [(label, [counts[label, answer] for answer in answers]) for label in named]
    total = ("all", [sum(column) for column in zip(*(row for _, row in rows), strict=True)])
    return {"said": ["no answer" if one is None else one for one in answers], "rows": [*rows, total] if rows else []}


def _answered_line(name: str, answers: list[list[float] | None]) -> str:
    silent = sum(scores is None for scores in answers)
    line = f"{name} answered {counted(len(answers) - silent, 'text')} of the pool"
    return f"{line}, and had no answer to {silent:,}." if silent else f"{line}."


def _accuracy_line(right: list[tuple[str, bool]]) -> str:
    """Return the share that is right, with Wilson's interval; "no answer" counts as wrong."""
    if not right:
        return "It is unaudited: no answer of people to a random sample is there to compare with."
    return f"It is right on {_share([hit for _, hit in right])} of the {len(right):,} audited texts."


def _weight_line(state: State, name: str) -> str:
    notes = state.metrics[-1].learner if state.metrics else {}
    if name in notes.get("off", []):
        return "It was left out of the last fit, as it made labels that did not train clearly less probable."
    weight = notes.get("signals", {}).get(name)
    if weight is None:
        return ""
    line = f"Its weight in the last fit is {weight:.2f}"
    return f"{line}, beside a table of what its answers mean." if name in notes.get("tables", []) else f"{line}."


def _others_line(state: State, name: str) -> str:
    """Return the weight of what a list of entities says of the other words; "" for other machines."""
    weights = state.metrics[-1].learner.get("signals", {}) if state.metrics else {}
    weight = weights.get(f"{name}{OTHERS}")
    return "" if weight is None else f"That a word which it does not list is in no entity has weight {weight:.2f}."


def _reader_line(state: State) -> str:
    """Return what a reader's own scores count beside machines; "" where older runs have no such weight."""
    own = state.metrics[-1].learner.get("reader") if state.metrics else None
    if own is None:
        return ""
    why = _WHY.get(state.metrics[-1].learner.get("answers", ""), _SURE if own < 1 else "")
    return f"The reader's own scores count {own:.3g} times{', ' if why else ''}{why}."


def _by_label(right: list[tuple[str, bool]]) -> list[tuple[str, int, int]]:
    counts: dict[str, tuple[int, int]] = {}
    for target, hit in right:
        hits, seen = counts.get(target, (0, 0))
        counts[target] = (hits + hit, seen + 1)
    return [(label, hits, seen) for label, (hits, seen) in sorted(counts.items())]
