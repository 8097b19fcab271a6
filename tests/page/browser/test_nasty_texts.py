"""Texts, labels and names that try to be more than text: scripts stay text, and offsets are characters."""

import json
from pathlib import Path
from typing import Any

from dal_nlp.ledger.ledger import read_state
from tests import waiting_runs as asking
from tests.page.browser.sitting import press, shown, sitting, to_the_end

SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'</textarea>&amp;"


def nasty(folder: Path, task: str) -> Path:
    """A run whose texts, labels and columns try to be more than text."""
    rows = asking.rows_of(task, 24)
    for row in rows:
        if task == "qa":
            row["context"] = f"\U0001f600\r\n{SCRIPT}\r\n{row['context']}"
            shift = len(row["context"]) - len(row["context"].rpartition("\r\n")[2])
            row["answers"] = {**row["answers"], "answer_start": [s + shift for s in row["answers"]["answer_start"]]}
        else:
            row["text"] = f"{SCRIPT} {row['text']}"
    flags = asking.flags(task, folder)
    pool = asking.write(folder / "nasty.jsonl", rows)
    more: dict[str, Any] = {"data": pool, "rounds": 0}
    if task == "sentiment":
        more |= {"labels": ["negative", "positive", SCRIPT[:40]]}
    else:
        more |= {"max_length": 60}
    asking.Session(asking.RunConfig.load(flags={**flags, **more})).run()
    (folder / "rows.json").write_text(json.dumps(rows))
    return folder


def test_scripts_in_texts_labels_and_names_are_text(page: Any, tmp_path: Path) -> None:
    folder = nasty(tmp_path / "run-of-scripts", "sentiment")
    with sitting(page, folder, who=SCRIPT[:50]) as served:
        id = str(shown(page))
        assert SCRIPT in page.inner_text("#texts .text")
        assert page.locator("#labels button").nth(2).inner_text().endswith(SCRIPT[:40])
        press(page, "3")
        event = read_state(served.folder).given[id][-1]
        assert (event.target, event.by) == (SCRIPT[:40], SCRIPT[:50])
        page.keyboard.press("e")
        page.wait_for_selector("#list[open]")
        assert page.locator("main img, #rows img, script").count() == 1  # the page's own


def test_offsets_are_characters_whatever_the_text_holds(page: Any, tmp_path: Path) -> None:
    folder = nasty(tmp_path / "run-of-scripts", "qa")
    gold = {row["id"]: row["answers"] for row in json.loads((folder / "rows.json").read_text())}

    def answer(id: str) -> None:
        if not gold[id]["text"]:
            press(page, "1")
            return
        page.evaluate(
            """text => {
                const place = context.field.value.lastIndexOf(text);
                context.field.setSelectionRange(place, place + text.length);
            }""",
            gold[id]["text"][0],
        )
        press(page, "Enter")

    with sitting(page, folder) as served:
        done = to_the_end(page, served, answer)
    answers = read_state(served.folder).answers
    contexts = {row["id"]: row["context"] for row in json.loads((folder / "rows.json").read_text())}
    assert [answers[id]["text"] for id in done] == [gold[id]["text"] for id in done]
    for id in done:
        for text, start in zip(answers[id]["text"], answers[id]["answer_start"], strict=True):
            assert contexts[id][start : start + len(text)] == text
