"""Ledgers that are written by hand for a report, and the page that is made of them."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from dal_nlp.ledger.ledger import read_state
from dal_nlp.ledger.state import State
from dal_nlp.report import files as report

Event = dict[str, Any]
CONFIG = {
    "task": "sentiment",
    "model": "minilm",
    "strategy": "margin",
    "initial_strategy": "kmeans",
    "seed": 3,
    "budget": 60,
}
HOSTILE = "<script>alert('x')</script> & <img src=x onerror=alert(1)>"


def run_started(**config: Any) -> list[Event]:
    return [
        {"event": "config", "config": CONFIG | config, "digests": {}, "labels": ["neg", "pos"]},
        {
            "event": "pool",
            "rows": 1234,
            "file": "reviews.csv",
            "digest": "d",
            "added": 0,
            "gone": 0,
            "rejected": {"empty text": 7, "also in the test set": 2},
        },
    ]


def query(round: int, texts: list[str] | None = None, answered: int = 10, **extra: Any) -> list[Event]:
    """Ten questions of a round (or ``texts``), the first ``answered`` of them with an answer."""
    texts = texts or [f"text {round}-{place}" for place in range(10)]
    ids = [f"r{round}-{place}" for place in range(len(texts))]
    asked = {
        "event": "query",
        "round": round,
        "ids": ids,
        "scores": [1 / (place + 3) for place in range(len(texts))],
        "texts": texts,
        "strategy": "margin" if round else "kmeans",
        "pool_seconds": 2.5 + round,
        "choose_seconds": 0.25,
        "notes": {},
    }
    answers = [{"event": "label", "round": round, "id": id, "target": "pos"} for id in ids[:answered]]
    return [asked | extra, *answers]


def guess(target: Any, confidence: float = 0.25, *marks: list[int]) -> dict[str, Any]:
    return {"target": target, "confidence": confidence, "marks": list(marks)}


def measured(round: int, accuracy: float, labels: int | None = None, **extra: Any) -> Event:
    return {
        "event": "metrics",
        "round": round,
        "labels": 10 * (round + 1) if labels is None else labels,
        "values": {"accuracy": accuracy, "macro_f1": accuracy - 0.05},
        "intervals": {"accuracy": [accuracy - 0.04, accuracy + 0.04]},
        "on": "test",
        "train_seconds": 30.5,
        "eval_seconds": 1.5,
        "steps": 60,
        "loss": 0.3,
        "attempts": 1,
        "collapsed": False,
        "breakdown": [
            {"label": "neg", "count": 150, "predicted": 100, "recall": 0.612, "precision": 0.9, "f1": 0.72},
            {"label": "pos", "count": 150, "predicted": 200, "recall": 0.934, "precision": 0.7, "f1": 0.81},
        ],
        "validation": None,
    } | extra


def rounds(n: int) -> list[Event]:
    return [event for round in range(n) for event in (*query(round), measured(round, 0.5 + round / 23))]


def state_of(folder: Path, events: list[Event]) -> State:
    lines = [json.dumps(event, ensure_ascii=False) + "\n" for event in events]
    (folder / "ledger.jsonl").write_text("".join(lines), encoding="utf-8")
    return read_state(folder)


class Page(HTMLParser):
    """The visible text of a page, its tags and its attributes."""

    VOID = ("meta", "br", "img", "link", "path", "use")

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.source = (folder / "report.html").read_text(encoding="utf-8")
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.marked: list[str] = []
        self.cells: list[str] = []
        self.feed(self.source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in ("td", "mark"):
            (self.cells if tag == "td" else self.marked).append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.cells[-1] += data
        if "mark" in self.open:
            self.marked[-1] += data
        if not {"style", "svg"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(folder: Path, events: list[Event]) -> Page:
    report.write_report(folder, state_of(folder, events))
    return Page(folder)
