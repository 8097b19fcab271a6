"""What a command leaves, and what a person at the page was told."""

import csv
import hashlib
import http.client
import json
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dal_nlp.ledger.ledger import read_events, read_state

#: What differs between two runs of the same configuration: clocks, and who types.
CLOCK = re.compile(r"seconds|^at$|^request$|^by$|^check|^sum$|^crc|^hash$")


def snapshot(folder: Path) -> dict[str, Any]:
    """Return what a folder holds, without what the clock wrote."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or path.name in (".lock", "log.txt", ".page-token") or "cache" in path.parts:
            continue
        if path.name == "ledger.jsonl":
            found[name] = [_timeless(event.to_json()) for event in read_events(path)]
        elif path.name == "metrics.csv":
            with path.open() as file:
                found[name] = [{k: v for k, v in row.items() if not CLOCK.search(k)} for row in csv.DictReader(file)]
        elif path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_text()))
        elif path.suffix in (".html", ".svg", ".png") or name == "results.csv":
            found[name] = "there"  # they show the clock's numbers
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _timeless(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _timeless(value) for key, value in values.items() if not CLOCK.search(key)}
    return [_timeless(value) for value in values] if isinstance(values, list) else values


def course(folder: Path) -> dict[str, Any]:
    """Return what does not depend on when people answer: what was asked, answered and measured."""
    state = read_state(folder / "run")
    return {
        "asked": [query.ids for query in state.queries],
        "answers": dict(sorted(state.answers.items())),
        "values": [event.values for event in state.metrics],
        "stopped": state.stopped,
    }


class Client(threading.Thread):
    """A person at the page: answers whatever is asked, and keeps what was acknowledged."""

    def __init__(self, log: Path, answers: Mapping[str, str]) -> None:
        super().__init__(daemon=True)
        self._log, self._answers, self.acknowledged, self.ended = log, answers, dict[str, str](), False

    def run(self) -> None:
        while not self.ended:
            with suppress(OSError, http.client.HTTPException, ValueError, KeyError):
                self._work()
            time.sleep(0.05)

    def _work(self) -> None:
        *_, address = re.findall(r"http://[^:]+:(\d+)/#(\S+)", self._log.read_text())
        me = {"who": "anna", "tab": "tab-of-anna"}
        item = self._ask(address, "/api/next", **me)["item"]
        while item and not self.ended:
            text = self._answers[item["id"]]
            told = self._ask(address, "/api/answer", **me, id=item["id"], text=text, request=item["id"])
            self.acknowledged[item["id"]] = text
            item = told["item"]

    def stopped(self) -> bool:
        """Whether the page says that the run has ended."""
        with suppress(OSError, http.client.HTTPException, ValueError, KeyError):
            *_, address = re.findall(r"http://[^:]+:(\d+)/#(\S+)", self._log.read_text())
            return bool(self._ask(address, "/api/progress", who="anna", tab="tab-of-anna", active=False)["stopped"])
        return False

    def _ask(self, address: tuple[str, str], path: str, **body: Any) -> Any:
        line = http.client.HTTPConnection("127.0.0.1", int(address[0]), timeout=20)
        try:
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {address[1]}"}
            line.request("POST", path, json.dumps(body), headers)
            return json.loads(line.getresponse().read())
        finally:
            line.close()
