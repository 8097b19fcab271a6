"""Somebody at the page in a browser: who sits down, presses keys, and answers all that is shown."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dal_nlp.ledger.ledger import read_state
from tests.page.serving import Served


@contextmanager
def sitting(page: Any, folder: Path, *flags: str, who: str = "anna") -> Iterator[Served]:
    """Serve a folder, and sit down at its page."""
    with Served(folder, *flags) as served:
        sit_down(page, served, who)
        yield served


def sit_down(page: Any, served: Served, who: str = "anna") -> None:
    page.goto(served.address)
    page.wait_for_selector("#who[open]")
    page.keyboard.type(who)
    page.keyboard.press("Enter")
    page.wait_for_selector("#work:not([hidden]), #idle:not([hidden])")


def shown(page: Any) -> str | None:
    """The id of what the page shows, None while it shows nothing."""
    return page.evaluate("item && item.id")  # type: ignore[no-any-return]


def press(page: Any, *keys: str) -> None:
    """Press keys, the last of which gives an answer, and wait until the page shows something else."""
    before = shown(page)
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function("before => !saving && (!item || item.id !== before)", arg=before)


def to_the_end(page: Any, served: Served, answer: Callable[[str], None]) -> list[str]:
    """Answer all that is shown until the run is finished; return the ids."""
    done: list[str] = []
    while True:
        page.wait_for_function("() => item || (last && last.stopped)")
        id = shown(page)
        if id is None:
            return done
        assert id not in done
        answer(id)
        state = read_state(served.folder)
        assert id in state.answers or id in state.skipped  # before the page shows what it shows now
        done.append(id)


def fits(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
