"""Numbers as people write them."""

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.core.text import counted, duration, shortened, size


@pytest.mark.parametrize(("number", "text"), [(0, "0 labels"), (1, "1 label"), (2, "2 labels"), (2000, "2,000 labels")])
def test_one_thing_is_no_plural(number: int, text: str) -> None:
    assert counted(number, "label") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_time_is_told_in_the_units_that_matter(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(9, "0.1 MB"), (2.5e6, "2.5 MB"), (999e6, "999.0 MB"), (3e9, "3.0 GB")])
def test_bytes(count: float, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize("quoted", ["x" * 30_000, "a word " * 5_000, "[" * 301], ids=["a word", "words", "brackets"])
def test_a_message_does_not_repeat_all_that_somebody_gave(quoted: str) -> None:
    message = str(UserError(f"There is no task {quoted!r}; there are: qa."))
    assert message.startswith(f"There is no task '{quoted[:150]}") and message.endswith("'; there are: qa.")
    assert "letters)..." in message and len(message) < 3_000


def test_a_message_that_is_read_is_left_as_it_is() -> None:
    message = "There is no file " + "/folder" * 40 + ": correct the path."
    assert shortened(message) == message and str(UserError(message)) == message
