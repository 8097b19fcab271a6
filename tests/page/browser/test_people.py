"""What people have on the page beside the text: guidelines, many labels, lists, disputes, themes, languages."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dal_nlp import RunConfig, Session
from dal_nlp.ledger.ledger import read_state
from tests import waiting_runs as asking
from tests.page.browser.sitting import fits, press, shown, sit_down, sitting
from tests.page.serving import Served

Waiting = Callable[[str], Path]
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>"
LONG = ("Beschwerde über Mitarbeiter", "Datenschutz", "Lieferung", "Rechnung", "Sonstiges")


def run_of(folder: Path, names: list[str], several: bool = False, **more: Any) -> Path:
    """A run that waits for four answers, each of them one of some labels, or several."""
    settings = asking.flags("multilabel" if several else "sentiment", folder)
    column, one = ("labels", lambda name: [name]) if several else ("label", str)
    rows = [{"id": str(i), "text": f"a film number {i}", column: one(names[i % len(names)])} for i in range(24)]
    asking.write(Path(settings["data"]), rows)
    asking.write(Path(settings["test"]), [{**row, "text": f"{row['text']} b"} for row in rows])
    Session(RunConfig.load(flags={**settings, "task": "multilabel" if several else "classification", **more})).run()
    return folder


@pytest.fixture
def german(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 390, "height": 800}, locale="de-DE")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


def test_guidelines_open_by_a_key_and_run_nothing(page: Any, tmp_path: Path) -> None:
    labels = {
        "bad": "It is poor.",
        "good": {"about": f"It is fine. {SCRIPT}", "examples": ["a joy"], "color": "#0072B2"},
    }
    told = f"# Rules\n\nOnly the *food* counts. {SCRIPT}"
    folder = run_of(tmp_path, ["bad", "good"], labels=labels, guidelines=told)
    with sitting(page, folder):
        assert page.locator("#guide-panel").is_hidden() and page.inner_text("#guide kbd") == "g"
        page.keyboard.press("g")
        text = page.inner_text("#guide-panel")
        assert "Only the food counts. " + SCRIPT in text and f"It is fine. {SCRIPT}" in text
        assert "It is poor." in text and "for example: a joy" in text and "g closes" in text
        assert page.locator("#guide-panel em").inner_text() == "food"
        assert page.locator("#guide-panel script, #guide-panel img").count() == 0
        colors = page.locator("#labels button").evaluate_all("all => all.map(b => getComputedStyle(b).borderLeftColor)")
        assert colors == ["rgb(230, 159, 0)", "rgb(0, 114, 178)"]  # one of the page's that is not taken, and its own
        press(page, "1")  # it stays open beside the next text
        assert page.locator("#guide-panel").is_visible()
        page.keyboard.press("g")
        assert page.locator("#guide-panel").is_hidden()


def test_context_columns_stand_by_the_text_and_are_letters(page: Any, tmp_path: Path) -> None:
    settings = asking.flags("sentiment", tmp_path)
    rows = [{**row, "product": f"phone {row['id']} {SCRIPT}"} for row in asking.rows_of("sentiment", 24)]
    asking.write(Path(settings["data"]), rows)
    asking.run("sentiment", tmp_path, context_columns=["product"])
    with sitting(page, tmp_path):
        beside = page.locator("#beside")
        first = beside.inner_text()
        assert "product" in first and "phone " in first and SCRIPT in first
        assert beside.locator("script, img").count() == 0
        press(page, "1")
        assert "phone " in beside.inner_text() and beside.inner_text() != first


@pytest.mark.parametrize("width", [1280, 390])
def test_labels_have_one_width_and_break_inside_no_word(page: Any, tmp_path: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    folder = run_of(tmp_path, list(LONG), query_size=4)
    with sitting(page, folder):
        widths = page.locator("#labels button").evaluate_all("all => all.map(b => Math.round(b.offsetWidth))")
        assert len(widths) == 5 and max(widths) - min(widths) <= 1 and fits(page)
        # A word that is broken has rectangles on several lines.
        lines = page.evaluate("""() => Array.from(document.querySelectorAll("#labels .named"), (name) => {
          const node = name.firstChild, words = [...node.data.matchAll(/\\S+/g)];
          return words.map((word) => { const range = document.createRange(); range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            return new Set([...range.getClientRects()].map((r) => Math.round(r.top))).size; });
        }).flat()""")
        assert len(lines) == 7 and set(lines) == {1}


def test_two_keys_or_a_part_of_the_name_choose_among_many(page: Any, tmp_path: Path) -> None:
    labels = [f"kind {name}" for name in ("äpfel", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "zebra")]
    folder = run_of(tmp_path, labels)
    with sitting(page, folder) as served:
        in_order = read_state(served.folder).labels
        assert [text.split()[0] for text in page.locator("#labels button").all_inner_texts()][:2] == ["01", "02"]
        first, second, third = shown(page), None, None
        press(page, "1", "2")
        second = shown(page)
        page.keyboard.press("0")
        assert "no such label" in page.inner_text("#how")
        press(page, "3")
        third = shown(page)
        page.keyboard.press("/")
        page.keyboard.type("APF")
        assert page.locator("#labels button:visible").count() == 1
        press(page, "Enter")
        page.keyboard.press("/")
        page.keyboard.type("s")  # letters, not commands
        page.keyboard.press("Escape")
        assert page.locator("#labels button:visible").count() == 12 and not read_state(served.folder).skipped
        answers = read_state(served.folder).answers
    assert [answers[id] for id in (first, second, third)] == [in_order[11], in_order[2], "kind äpfel"]


def test_what_is_chosen_of_many_labels_is_named_where_its_buttons_are_out_of_sight(page: Any, tmp_path: Path) -> None:
    with sitting(page, run_of(tmp_path, [f"kind {name}" for name in "abcdefghijkl"], several=True)):
        assert "Chosen" not in page.inner_text("#how")
        for key in "1", "2", "0", "2":
            page.keyboard.press(key)
        assert page.inner_text("#how").startswith("Chosen: kind b, kind l.")
        for key in "1", "2":
            page.keyboard.press(key)
        assert page.inner_text("#how").startswith("Chosen: kind b.")


def test_a_list_of_many_labels_fades_where_it_goes_on_and_shows_its_last_row_whole(page: Any, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 600})
    with sitting(page, run_of(tmp_path, [f"kind {name}" for name in "abcdefghijkl"])):
        below = page.evaluate("""() => {
          const list = document.getElementById("labels"), fade = getComputedStyle(list, "::after");
          list.scrollTop = list.scrollHeight;
          const end = list.getBoundingClientRect().bottom - list.lastElementChild.getBoundingClientRect().bottom;
          return [list.scrollTop, fade.position, end - parseFloat(fade.height)];
        }""")
    assert below[0] > 0 and below[1] == "sticky" and below[2] >= 0


def test_a_list_of_suggestions_all_but_one(page: Any, waiting: Waiting) -> None:
    folder = waiting("sentiment")
    asking.fill(folder / "run" / "queries" / "round-000.csv", asking.typed("sentiment"))
    asking.run("sentiment", folder, suggest=True)
    with sitting(page, folder) as served:
        before = set(read_state(served.folder).answers)
        page.keyboard.press("l")
        page.wait_for_selector("#pile-list[open]")
        rows = page.locator("#pile-rows input")
        count, left = rows.count(), rows.first.get_attribute("value")
        rows.first.uncheck()
        if count > 1:
            assert f"Accept {count - 1} as" in page.inner_text("#accept")
            page.click("#accept")
            page.wait_for_function("() => document.getElementById('pile-how').textContent.includes('saved')")
        assert page.locator("#pile-rows input").first.get_attribute("value") == left
        page.keyboard.press("Escape")
        page.wait_for_selector("#work:not([hidden])")
        state = read_state(served.folder)
        new = set(state.answers) - before
        assert len(new) == count - 1 and left not in new
        assert {state.given[id][-1].via for id in new} <= {"page list"}


def test_disputes_are_settled_one_after_the_other_by_what_somebody_said(page: Any, waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with Served(folder) as served:
        ids = list(read_state(served.folder).waiting)
        for who, label in (("anna", "positive"), ("ben", "negative")):
            for id in ids[:2]:
                served.ask("/api/answer", who=who, tab=f"tab-of-{who}", id=id, text=label)
        sit_down(page, served, "carl")
        page.wait_for_selector("#disputes:not([hidden])")
        page.keyboard.press("d")
        page.wait_for_selector("#list[open]")
        page.locator("#rows button").first.click()
        page.wait_for_selector(".opinion button")
        first = shown(page)
        said = page.inner_text("#said")
        assert "anna answered: positive" in said and "ben answered: negative" in said
        page.locator(".opinion button").nth(1).click()
        page.wait_for_function("id => item && item.id !== id && settling", arg=first)
        second = shown(page)
        page.locator(".opinion button").first.click()
        page.wait_for_function("id => !settling && (!item || item.id !== id)", arg=second)
        state = read_state(served.folder)
    assert {first, second} == set(ids[:2])
    assert (state.answers[str(first)], state.answers[str(second)]) == ("negative", "positive")
    assert all(state.given[id][-1].final and state.given[id][-1].by == "carl" for id in ids[:2])


def test_earlier_answers_are_found_by_typing(page: Any, waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with sitting(page, folder):
        press(page, "1")
        press(page, "2")
        page.keyboard.press("e")
        page.wait_for_selector("#list[open]")
        assert page.locator("#rows li").count() == 2
        page.select_option("#which", "positive")
        page.wait_for_function("() => document.querySelectorAll('#rows li').length === 1")
        page.fill("#find", "there is no such word")
        page.wait_for_function("() => document.querySelectorAll('#rows li').length === 0")
        assert "none" in page.inner_text("#list-title")


def test_the_theme_is_kept(page: Any, waiting: Waiting) -> None:
    folder = waiting("sentiment")
    page.emulate_media(color_scheme="light")

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with sitting(page, folder) as served:
        assert paper() == "rgb(245, 246, 248)"
        page.keyboard.press("h")
        page.select_option("#theme", "dark")
        assert paper() == "rgb(20, 23, 27)"
        page.reload()
        page.wait_for_selector("#who[open]")
        assert paper() == "rgb(20, 23, 27)"
        page.goto("about:blank")
        sit_down(page, served)
        page.keyboard.press("t")
        assert paper() == "rgb(245, 246, 248)"  # as the system again


def test_german_where_the_browser_asks_for_it(german: Any, waiting: Waiting) -> None:
    folder = waiting("sentiment")
    with sitting(german, folder):
        assert german.locator("html").get_attribute("lang") == "de"
        assert "Zufällig gewählt" in german.inner_text("#why") or "Runde 0" in german.inner_text("#why")
        assert "Überspringen" in german.inner_text("#skip") and "beantwortet" in german.inner_text("#progress")
        german.keyboard.press("h")
        assert "Wählen Sie das eine Label" in german.inner_text("#keys")
        assert fits(german)
