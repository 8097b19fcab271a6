"""Entities marked on the page, in a browser: by keys, by clicks, and by a selection that begins within a word."""

from pathlib import Path
from typing import Any

from dal_nlp.data.entities import runs_of
from dal_nlp.ledger.ledger import read_state
from tests.page.serving import Served
from tests.tasks.entities.test_people import folder, run

__all__ = ["folder"]  # a fixture


def begin(page: Any, served: Served) -> None:
    """Give a name, and wait for the first text."""
    page.goto(served.address)
    page.wait_for_selector("#who[open]")
    page.keyboard.type("anna")
    page.keyboard.press("Enter")
    page.wait_for_selector("#work:not([hidden])")


def test_a_selection_that_cuts_words_marks_whole_words(page: Any, folder: Path) -> None:
    run(folder)
    with Served(folder) as served:
        begin(page, served)
        id = page.evaluate("item.id")
        first, last = (page.locator(f"[data-word='{i}']").bounding_box() for i in (0, 1))
        page.mouse.move(first["x"] + first["width"] / 2, first["y"] + first["height"] / 2)
        page.mouse.down()
        page.mouse.move(last["x"] + last["width"] / 2, last["y"] + last["height"] / 2, steps=4)
        page.mouse.up()
        page.wait_for_selector("[data-word='1'].at")
        assert page.locator(".at").count() == 2  # what will be marked is shown before a label is chosen
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.wait_for_function("before => !saving && item && item.id !== before", arg=id)
        assert [tuple(found) for found in runs_of(read_state(folder / "run").answers[id])] == [(0, 2, "bad")]


def test_the_page_in_a_browser_by_keys_and_by_mouse(page: Any, folder: Path) -> None:
    run(folder)
    with Served(folder) as served:
        begin(page, served)
        id = page.evaluate("item.id")
        for key in ("ArrowRight", "Shift+ArrowRight", "2", "ArrowRight", "1", "Delete"):
            page.keyboard.press(key)
        assert page.locator("#texts mark").count() == 1
        page.keyboard.press("Enter")
        page.wait_for_function("before => !saving && item && item.id !== before", arg=id)
        assert [tuple(found) for found in runs_of(read_state(folder / "run").answers[id])] == [(0, 2, "good")]
        id = page.evaluate("item.id")
        page.locator("[data-word='1']").click()
        page.wait_for_selector("[data-word='1'].at")
        page.locator("#labels button").first.click()
        page.locator("#texts mark").click()
        page.wait_for_selector("mark .at")
        page.locator("#labels button").nth(1).click()
        page.screenshot(path=folder / "wide.png")
        page.set_viewport_size({"width": 390, "height": 800})
        page.screenshot(path=folder / "narrow.png")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#save").click()
        page.wait_for_function("before => !saving && (!item || item.id !== before)", arg=id)
        assert [tuple(found) for found in runs_of(read_state(folder / "run").answers[id])] == [(1, 2, "good")]
        third = page.evaluate("item.id")
        page.keyboard.press("Enter")  # nothing is marked: there is no entity
        page.wait_for_function("before => !saving && (!item || item.id !== before)", arg=third)
        assert read_state(folder / "run").answers[third]["text"] == ["no entity"]
