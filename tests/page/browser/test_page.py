"""The page in a real browser, for every task: keys alone, narrow screens, tabs, and servers that come and go."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dal_nlp.ledger.ledger import read_state
from tests import waiting_runs as asking
from tests.page.browser.sitting import fits, press, shown, sit_down, sitting, to_the_end
from tests.page.serving import Served, until

Waiting = Callable[[str], Path]


def test_labels_by_number_keys_to_the_end(page: Any, waiting: Waiting, tmp_path: Path) -> None:
    folder, gold = waiting("sentiment"), asking.gold("sentiment")
    with sitting(page, folder) as served:
        assert page.inner_text("#run") == "run" and page.title() == "run · dal-nlp"
        done = to_the_end(page, served, lambda id: press(page, {"negative": "1", "positive": "2"}[gold[id]]))
        assert page.inner_text("#idle-title") == "The run is finished"
        page.keyboard.press("c")
        assert page.locator("#numbers tr").count() == 3 and page.locator("#curve svg circle").count() == 2
        page.screenshot(path=tmp_path / "curve.png")
        page.keyboard.press("Escape")
        # What a finished run holds can still be corrected.
        page.keyboard.press("e")
        page.wait_for_selector("#list[open]")
        page.locator("#rows button").first.click()
        page.wait_for_selector("#work:not([hidden])")
        assert page.locator("#labels .chosen").inner_text().endswith(gold[done[-1]])
        press(page, {"negative": "2", "positive": "1"}[gold[done[-1]]])
    state = read_state(served.folder)
    assert len(done) == 8 == len(state.answers) and state.answers[done[-1]] != gold[done[-1]]
    assert {id: gold[id] for id in done[:-1]} == {id: state.answers[id] for id in done[:-1]}


def test_several_labels_by_number_keys(page: Any, waiting: Waiting, tmp_path: Path) -> None:
    folder, gold = waiting("multilabel"), asking.gold("multilabel")
    with sitting(page, folder) as served:
        keys = {"anger": "1", "fear": "2", "joy": "3"}
        done = to_the_end(page, served, lambda id: press(page, *(keys[label] for label in gold[id]), "Enter"))
        page.keyboard.press("e")
        page.wait_for_selector("#list[open]")
        page.locator("#rows button").first.click()
        page.wait_for_selector("#work:not([hidden])")
        down = [button.inner_text() for button in page.locator("#labels .chosen").all()]
        assert [text.lstrip("123 ").strip() for text in down] == gold[done[-1]]
        page.screenshot(path=tmp_path / "several.png")
    state = read_state(served.folder)
    assert len(done) == 8 and state.answers == {id: gold[id] for id in done}
    assert [] in state.answers.values()


def test_spans_are_selected_by_keys(page: Any, waiting: Waiting) -> None:
    folder, gold = waiting("qa"), asking.gold("qa")

    def answer(id: str) -> None:
        texts, starts = gold[id]["text"], gold[id]["answer_start"]
        if not texts:
            press(page, "1")  # no answer
            return
        assert page.evaluate("document.activeElement === context.field")
        page.keyboard.press("Control+Home")
        for _ in range(starts[0]):
            page.keyboard.press("ArrowRight")
        for _ in texts[0]:
            page.keyboard.press("Shift+ArrowRight")
        assert page.inner_text("#pick") == texts[0]
        page.keyboard.type("xyz")  # nothing is changed by typing
        press(page, "Enter")

    with sitting(page, folder) as served:
        done = to_the_end(page, served, answer)
    state = read_state(served.folder)
    assert {id: gold[id] for id in done} == state.answers and len(done) == 8


def test_summaries_are_made_of_the_draft(page: Any, waiting: Waiting) -> None:
    folder, gold = waiting("summarization"), asking.gold("summarization")
    drafts: list[str] = []

    def answer(id: str) -> None:
        drafts.append(page.input_value("#written"))
        assert page.evaluate("document.activeElement.id") == "written"
        page.keyboard.press("Control+a")
        page.keyboard.type(gold[id][:-1])
        page.reload()  # what was written is still there
        page.wait_for_selector("#who[open]")
        page.keyboard.press("Enter")
        page.wait_for_function("id => item && item.id === id", arg=id)
        assert page.input_value("#written") == gold[id][:-1]
        page.keyboard.press("Control+End")
        page.keyboard.type(gold[id][-1])
        press(page, "Control+Enter")

    with sitting(page, folder) as served:
        done = to_the_end(page, served, answer)
    state = read_state(served.folder)
    assert {id: gold[id] for id in done} == state.answers and len(done) == 8
    suggested = [event.suggested for id in done for event in state.given[id] if event.suggested]
    assert any(drafts) and [one["target"] for one in suggested] == [draft for draft in drafts if draft]


def test_undo_skip_notes_and_disputes_by_keys(page: Any, waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with sitting(page, folder) as served:
        first = shown(page)
        press(page, "1")
        second = shown(page)
        press(page, "u")
        assert shown(page) == first and not read_state(served.folder).answers
        press(page, "?")
        assert "unsure" in read_state(served.folder).skipped[str(first)]
        assert shown(page) == second
        page.click("details summary")
        page.fill("#note", "half of it")
        page.locator("#note").blur()
        press(page, "2")
        assert read_state(served.folder).given[str(second)][-1].note == "half of it"
        me = {"who": "ben", "tab": "tab-of-ben"}
        served.ask("/api/answer", **me, id=second, text="negative")
        page.wait_for_selector("#disputes:not([hidden])")
        page.keyboard.press("d")
        page.wait_for_selector("#list[open]")
        assert "anna: positive" in page.inner_text("#rows") and "ben: negative" in page.inner_text("#rows")
        page.locator("#rows button").first.click()
        page.wait_for_function("() => settling")
        press(page, "1")
        state = read_state(served.folder)
        assert state.answers[str(second)] == "negative" and state.given[str(second)][-1].final
        page.keyboard.press("h")
        page.click("#single")  # single keys off
        page.keyboard.press("Escape")
        before = (served.folder / "ledger.jsonl").read_bytes()
        for key in ("1", "s", "?", "u"):
            page.keyboard.press(key)
        page.wait_for_timeout(300)
        assert (served.folder / "ledger.jsonl").read_bytes() == before


def test_a_server_that_dies_and_comes_back_loses_and_doubles_nothing(page: Any, waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with sitting(page, folder) as served:
        first, port = shown(page), served.port
        served.kill()
        page.keyboard.press("1")
        page.wait_for_function("() => document.getElementById('trouble').textContent.startsWith('Not saved yet')")
        assert shown(page) == first
        assert not read_state(served.folder).answers
    with Served(folder, "--port", str(port)) as served:
        page.wait_for_function("first => item && item.id !== first && !saving", arg=first)
        assert page.is_hidden("#trouble")
        press(page, "2")
        assert [event["target"] for event in asking.events(folder, "label")] == ["negative", "positive"]


def test_undo_counts_once_though_its_reply_is_lost(page: Any, waiting: Waiting) -> None:
    with sitting(page, waiting("sentiment")) as served:
        first = shown(page)
        press(page, "1")
        second = shown(page)
        press(page, "1")
        sent: list[bool] = []

        def lose(route: Any) -> None:
            if not sent:
                route.fetch()
                sent.append(True)
                route.abort()
            else:
                route.continue_()

        page.route("**/api/undo", lose)
        press(page, "u")
        assert shown(page) == second
        assert set(read_state(served.folder).answers) == {first}


def test_what_an_input_method_writes_moves_no_span(page: Any, waiting: Waiting) -> None:
    with sitting(page, waiting("qa")):
        page.evaluate("context.field.setSelectionRange(0, 0)")
        line = page.context.new_cdp_session(page)
        line.send("Input.imeSetComposition", {"text": "\u4f60\u597d", "selectionStart": 2, "selectionEnd": 2})
        line.send("Input.insertText", {"text": "\u4f60\u597d"})
        assert page.evaluate("context.field.value === context.shown")
        assert page.is_hidden("#picked")


def test_a_summary_that_is_taken_back_is_not_thrown_away(page: Any, waiting: Waiting) -> None:
    with sitting(page, waiting("summarization")):
        first = shown(page)
        page.keyboard.press("Control+a")
        page.keyboard.type("what I wrote")
        press(page, "Control+Enter")
        page.keyboard.press("Escape")  # out of the field, so that keys are commands
        press(page, "u")
        assert shown(page) == first and page.input_value("#written") == "what I wrote"
        page.keyboard.type(", changed")
        press(page, "Control+Enter")
        page.keyboard.press("Escape")
        page.keyboard.press("e")
        page.wait_for_selector("#list[open]")
        page.locator("#rows button").first.click()
        page.wait_for_function("() => opened")
        page.keyboard.type(" again")
        page.click("#back")
        page.wait_for_function("() => !opened")
        page.keyboard.press("Escape")
        page.keyboard.press("e")
        page.wait_for_selector("#list[open]")
        page.locator("#rows button").first.click()
        page.wait_for_function("() => opened")
        assert page.input_value("#written") in ("what I wrote, changed", ", changedwhat I wrote")


def test_two_tabs_and_two_people(page: Any, waiting: Waiting) -> None:
    with sitting(page, waiting("sentiment")) as served:
        other = page.context.new_page()
        sit_down(other, served)
        third = page.context.new_page()
        sit_down(third, served, "ben")
        ids = [shown(one) for one in (page, other, third)]
        assert len(set(ids)) == 3
        for one in (page, other, third):
            press(one, "1")
        state = read_state(served.folder)
        assert set(state.answers) == set(ids) and all(len(events) == 1 for events in state.given.values())
        # The fourth is with one of them; a tab that is closed gives it to the others.
        (has,) = [one for one in (page, other, third) if shown(one) in state.queries[0].ids]
        last, left = shown(has), next(one for one in (page, other, third) if one is not has)
        with has.expect_response("**/api/leave"):  # a browser that really closes a tab may take the request with it
            has.evaluate("() => { dispatchEvent(new Event('pagehide')); }")
        has.goto("about:blank")
        left.bring_to_front()  # what lies behind is looked at once a minute
        left.wait_for_function("id => item && item.id === id", arg=last)


@pytest.mark.parametrize("task", asking.TASKS)
def test_narrow_and_wide_screens_and_readers(page: Any, waiting: Waiting, tmp_path: Path, task: str) -> None:
    with sitting(page, waiting(task)):
        for width, height in ((1400, 900), (390, 800), (320, 560)):
            page.set_viewport_size({"width": width, "height": height})
            assert fits(page), width
            page.screenshot(path=tmp_path / f"{task}-{width}.png")
            for button in page.locator("#actions button:visible").all():
                box = button.bounding_box()
                assert box["height"] >= 40 and box["x"] >= 0 and box["x"] + box["width"] <= width
        # Whatever can be worked has a name that is read out, and is reached by Tab.
        tree = page.locator("main").aria_snapshot()
        assert "- button:" not in tree and "- textbox:" not in tree and "button" in tree
        seen = set()
        for _ in range(25):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        assert {"undo", "earlier", "help", "skip", "unsure"} <= seen
        assert page.get_attribute("#news", "role") == "status" and page.get_attribute("#wrong", "role") == "alert"


def test_a_wrong_address_says_what_is_missing(page: Any, waiting: Waiting) -> None:
    with Served(waiting("sentiment")) as served:
        page.goto(f"http://127.0.0.1:{served.port}/")
        until(lambda: "whole address" in page.inner_text("#trouble"))
        page.goto("about:blank")
        page.goto(f"http://127.0.0.1:{served.port}/#wrong")
        until(lambda: "token is missing or wrong" in page.inner_text("#trouble"))
