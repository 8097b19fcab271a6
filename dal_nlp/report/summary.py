"""What a run adds up to, in numbers and sentences: what the report and the terminal show."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from dal_nlp.core.targets import readable
from dal_nlp.core.text import counted, duration, without_folders
from dal_nlp.ledger.events import FinishedEvent, MetricsEvent, PseudoLabelsEvent, QueryEvent
from dal_nlp.ledger.state import State
from dal_nlp.ledger.times import SECONDS, SOMETIMES, money, people_time, seconds, total_seconds
from dal_nlp.report.breakdown import classes_table, confusion_table, counts_table, error_rows
from dal_nlp.report.excerpts import excerpt
from dal_nlp.report.powered import powered_columns, powered_sentence
from dal_nlp.report.run_forecast import run_forecast

SHOWN_ROUNDS, SHOWN_TEXTS = 5, 100
#: Notes on what was not asked, see ``querying.query``.
LEFT_OUT = ("near_duplicates", "held_by_group", "fewer_by_group", "beyond_budget")


def rounds_table(state: State) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of rounds, as text; times are in seconds.

    The columns are round, labels, the headline metric and its 95 % interval (where there is one), the other
    metrics, the metrics on the validation set (where there are any), and the times for training, pool
    scoring, choosing, evaluating, encoding and loading.
    """
    names, events = metric_names(state.metrics), state.metrics
    columns = {
        "round": [str(event.round) for event in events],
        "labels": [str(event.labels) for event in events],
    }
    for name in names:
        columns[name] = [cell(event.value(name)) for event in events]
        if name == names[0] and any(name in event.intervals for event in events):
            columns["95 %"] = [_interval(event, name) for event in events]
            columns |= powered_columns(state, name)
    for name in names:
        if any(name in (event.validation or {}) for event in events):
            columns[f"validation {name}"] = [cell((event.validation or {}).get(name)) for event in events]
    for index, name in enumerate(SECONDS):
        times = [seconds(state, event)[index] for event in events]
        if name in SOMETIMES and not any(times):
            continue
        columns[name.removesuffix("_seconds")] = ["" if time is None else f"{time:.1f} s" for time in times]
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def headline(state: State) -> str:
    """Return the last round's score, as in "accuracy 0.831 [0.79, 0.86] at 220 labels", or ""."""
    if not state.metrics:
        return ""
    last, name = state.metrics[-1], metric_names(state.metrics)[0]
    parts = [
        spoken(name),
        cell(last.values[name]),
        _interval(last, name),
        f"at {counted(last.labels, 'label')}",
    ]
    return " ".join(part for part in parts if part)


def finished_line(state: State) -> str:
    """Say what training all weights once after the last round came to; "" where that was not done."""
    event = state.finished
    if event is None:
        return ""
    values = ", ".join(f"{spoken(name)} {value:.3f}" for name, value in event.values.items())
    took = duration(event.train_seconds)
    trained = counted(event.labels, "label")
    if event.soft_labels:
        trained += f" and what layer and signals say of {counted(event.soft_labels, 'text')}"
    return f"All weights were trained once at the end, on {trained} in {took}: {values}.{_kept(event)}"


def _kept(event: FinishedEvent) -> str:
    """Say which model was kept, and what the sample that judged both says."""
    if not event.difference:
        return ""
    gain, low, high = event.difference
    kept = "It is kept" if event.kept else "The model of the last round is kept"
    sure = "" if low > 0 or high < 0 else ", which may be chance"
    return f" {kept}: on the {event.judged} set the difference is {gain:+.3f} [{low:+.3f}, {high:+.3f}]{sure}."


def round_line(state: State) -> str:
    """Return the last finished round in one line, for the progress of a run."""
    last = state.metrics[-1]
    values = ", ".join(f"{spoken(name)} {value:.3f}" for name, value in last.values.items())
    if name := next(iter(last.powered), ""):
        of = last.powered[name]
        values += (
            f" ({of['value']:.3f} with what the model says of the whole pool, as sure as {of['worth']:.0f} labels)"
        )
    labels, took = counted(last.labels, "label"), duration(last.train_seconds)
    return f"Round {last.round}: {values} at {labels}, trained {took}"


def contents(state: State) -> dict[str, Any]:
    """Return the names that the page's template reads."""
    config = state.config or {}
    last = state.metrics[-1] if state.metrics else None
    used = list(dict.fromkeys(query.strategy for query in state.queries if query.round > 0))
    header, rows = rounds_table(state)
    queries = [query for query in state.queries if query.ids]
    # Where answers are parts of the texts, the texts are shown whole.
    whole = any(prediction["marks"] for query in state.queries for prediction in query.predictions)
    return {
        **{name: config.get(name) for name in ("task", "initial_strategy", "seed", "budget")},
        "model": without_folders(config.get("model", "")),  # the page may leave this machine
        "strategy": ", ".join(used) or config.get("strategy"),
        "headline": headline(state),
        "measured": " ".join(filter(None, [_measured(state), powered_sentence(state, spoken)])),
        "finished": finished_line(state),
        "alternative": _alternative(state),
        "header": header,
        "rows": rows,
        "classes": classes_table(last.breakdown) if last else [],
        "counts": counts_table(state),
        "confusion": confusion_table(state),
        "errors": error_rows(state),
        "wrong": sum(count for right, answer, count in last.confusion if right != answer) if last else 0,
        "examples": _examples(state),
        "rules": _rules(state),
        "forecast": _forecast(state),
        "bought": _bought(state),
        "reading": _reading(state),
        "given": _given(state),
        "unlearnable": last.unlearnable if last else 0,
        "skipped": Counter(state.skipped.values()).most_common(),
        "seconds": total_seconds(state),
        "people": people_time(state),
        "money": money(state),
        **{name: sum(query.notes.get(name, 0) for query in state.queries) for name in LEFT_OUT},
        "pseudo": [_pseudo(event) for _, event in sorted(state.pseudo.items())],
        "asked": [_asked(state, query, whole) for query in reversed(queries[-SHOWN_ROUNDS:])],
        "highlights": whole,
        "asked_before": max(0, len(queries) - SHOWN_ROUNDS),
        "state": state,
        "end": _end(state),
    }


def trained_otherwise(state: State) -> list[str]:
    """Return what to know where rounds were trained with several numbers of processes or threads, in sentences."""
    settings = {(event.processes, event.threads) for event in state.metrics if event.processes}
    if len(settings) < 2:
        return []
    each = " and ".join(f"{n} process{'es' if n > 1 else ''} of {counted(m, 'thread')}" for n, m in sorted(settings))
    return [
        f"Rounds were trained in {each}: another number trains another model of the same quality (see docs/scale.md)."
    ]


def metric_names(events: Sequence[MetricsEvent]) -> list[str]:
    """Return the metrics of any of some rounds, the headline first; a later start of a run may ask for others."""
    return list(dict.fromkeys(name for event in events for name in event.values))


def _bought(state: State) -> dict[str, int]:
    """Count the answers paid for, by what they were for."""
    answered = [(query.round, sum(id in state.answers for id in query.ids)) for query in state.queries]
    counts = {
        "audit sample": sum(id in state.answers for id in state.audit or []),
        "initial labels": sum(count for round, count in answered if round == 0),
        "queries": sum(count for round, count in answered if round > 0),
        "ahead of the next round": sum(id in state.answers for id in state.prefetched),
    }
    return {kind: count for kind, count in counts.items() if count}


def texts_asked(state: State) -> list[tuple[str, str]]:
    """Return the id and the text of all that people were asked about: of the audit sample, then of the queries."""
    audit = [*zip(state.audit or [], state.audit_texts, strict=False)]  # old ledgers hold no texts of it
    return audit + [pair for query in state.queries for pair in zip(query.ids, query.texts, strict=True)]


def _reading(state: State) -> dict[str, int]:
    """Return how many characters people have read for what they answered or passed over, in all and for each."""
    lengths = [len(text) for id, text in texts_asked(state) if id in state.answers or id in state.skipped]
    return {"characters": sum(lengths), "each": round(sum(lengths) / max(1, len(lengths)))}


def _given(state: State) -> int:
    """Count the labels that the team already had: those of the last model that nobody was asked for."""
    if not state.metrics:
        return 0
    last = state.metrics[-1]
    queries = [query for query in state.queries if query.round <= last.round]
    return max(0, last.labels - sum(id in state.answers for query in queries for id in query.ids))


def _measured(state: State) -> str:
    """Say in a sentence what the score was measured on."""
    if not state.metrics:
        return ""
    last = state.metrics[-1]
    if last.on == "audit":
        labels = counted(sum(id in state.answers for id in state.audit or []), "label")
        return f"The score is measured on {labels} drawn at random (the audit sample), on which no model trains."
    counts = [row["count"] for row in last.breakdown if "count" in row]
    examples = counted(sum(counts), "example") if counts else "examples"
    return f"The score is measured on the {examples} of the {last.on} set, on which no model trains."


def _rules(state: State) -> list[list[Any]]:
    """Return header and rows of what the stopping rules watched, and where each would have stopped; [] without any."""
    if not state.traces:
        return []
    names = list(dict.fromkeys(rule["rule"] for rules in state.traces.values() for rule in rules))
    rows = []
    for name in names:
        seen = {round: rule for round, rules in sorted(state.traces.items()) for rule in rules if rule["rule"] == name}
        values = ["" if rule["value"] is None else f"{rule['value']:.4g}" for rule in seen.values()]
        fired = next((round for round, rule in seen.items() if rule["fires"]), None)
        rows.append([name, " · ".join(value or "-" for value in values), "never" if fired is None else str(fired)])
    return [["rule", "watched, round by round", "would stop after round"], *rows]


def _forecast(state: State) -> dict[str, Any] | None:
    """Return what is forecast now and what became of earlier forecasts; None where nothing is worth showing."""
    forecasts = run_forecast(state)
    if forecasts is None or (forecasts.now is None and not forecasts.past):
        return None
    name = spoken(forecasts.metric)
    past = [
        [
            f"{of.forecast.labels:.0f}",
            f"{of.forecast.more:.0f} ({of.forecast.interval[0]:.0f} to {of.forecast.interval[1]:.0f})",
            "not reached yet" if of.needed is None else f"{of.needed:.0f}",
            {True: "yes", False: "no", None: ""}[of.inside],
        ]
        for of in forecasts.past
    ]
    return {
        "metric": name,
        "target": forecasts.target,
        "now": str(forecasts.now) if forecasts.now else "",
        "past": past,
    }


def _examples(state: State) -> list[dict[str, Any]]:
    """Return a few examples of the set that measures, and what the model of each round said of them."""
    last = state.metrics[-1].shown if state.metrics else []
    predictions: dict[str, list[tuple[int, int, str]]] = {}
    for event in state.metrics:
        for row in event.shown:
            predictions.setdefault(row["id"], []).append((event.round, event.labels, readable(row["prediction"])))
    return [{"text": row["text"], "answer": readable(row["target"]), "said": predictions[row["id"]]} for row in last]


def _pseudo(event: PseudoLabelsEvent) -> list[Any]:
    classes = Counter(map(readable, event.targets)).most_common(5)
    return [
        event.round,
        len(event.ids),
        event.weight,
        ", ".join(f"{name}: {n}" for name, n in classes),
    ]


def _asked(state: State, query: QueryEvent, whole: bool) -> dict[str, Any]:
    """Return one round's question with the answers given so far, and the model's own where there are any."""
    predictions: list[dict[str, Any] | None] = [*query.predictions] or [None] * len(query.ids)
    shown = list(zip(query.ids, query.scores, query.texts, predictions, strict=True))[:SHOWN_TEXTS]
    finished = query.round < len(state.metrics)
    agreement = state.metrics[query.round].agreement if finished else {}
    measures = list(dict.fromkeys(name for values in agreement.values() for name in values))
    return {
        "round": query.round,
        "strategy": query.strategy,
        "count": len(query.ids),
        "hidden": len(query.ids) - len(shown),
        "predicted": bool(query.predictions),
        "measures": measures,
        "rows": [
            {
                "id": id,
                "score": score,
                "text": text,
                "pieces": excerpt(text, prediction["marks"] if prediction else []) if whole else [],
                "prediction": readable(prediction["target"]) if prediction else "",
                "confidence": prediction["confidence"] if prediction else None,
                "agreement": [agreement.get(id, {}).get(name) for name in measures],
                **_answer(state, id),
            }
            for id, score, text, prediction in shown
        ],
    }


def _answer(state: State, id: str) -> dict[str, str]:
    """Return the kind of answer ("label", "skip" or "pending") and its text."""
    if id in state.answers:
        return {"kind": "label", "answer": readable(state.answers[id])}
    if id in state.skipped:
        return {"kind": "skip", "answer": f"skipped: {state.skipped[id]}"}
    return {"kind": "pending", "answer": "waiting for an answer"}


def _end(state: State) -> str:
    """Say why the run ended, or what it waits for."""
    if state.stopped:
        return f"{state.stopped[:1].upper()}{state.stopped[1:].rstrip('.')}."
    asked_ids = [*(state.audit or []), *(id for query in state.queries for id in query.ids)]
    pending = len(state.pending(asked_ids))
    missing = f"answers still missing: {pending:,}; " if pending else ""
    return f"Not finished: {missing}the same command goes on from here."


def _alternative(state: State) -> str:
    """Describe the learning curve in words."""
    if not state.metrics:
        return ""
    name = metric_names(state.metrics)[0]
    points = [f"{event.values[name]:.2f} at {event.labels} labels" for event in state.metrics]
    if len(points) > 6:
        points = [*points[:2], "...", *points[-3:]]
    return f"Learning curve: {spoken(name)} {', '.join(points)}."


def spoken(name: str) -> str:
    """Return a metric's name as people write it: macro_f1 is macro F1, and rougeL ROUGE-L."""
    words = ("F1" if word == "f1" else re.sub("^rouge", "ROUGE-", word) for word in name.split("_"))
    return " ".join(words)


def _interval(event: MetricsEvent, name: str) -> str:
    pair = event.intervals.get(name)
    return f"[{pair[0]:.2f}, {pair[1]:.2f}]" if pair else ""


def cell(value: Any) -> str:
    """Write a value for a table: fractions to three places, whole numbers in full, nothing for None."""
    if value is None or value != value:  # NaN: not defined
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
