"""What keys choose, without a terminal around them."""

from collections.abc import Iterator

import pytest

from dal_nlp_cli.choosing import COMMANDS, read_choice

FEW = {"1": "bad", "2": "good"}
MANY = {
    str(place): name for place, name in enumerate(["billing", "Billing store", *"cdefghij", "zoo", "zebra"], start=1)
}


def chosen(keys: str, numbers: dict[str, str]) -> tuple[str, str]:
    left: Iterator[str] = iter(keys)

    def next_key() -> str:
        return next(left)

    found = read_choice(next_key, numbers)
    assert not list(left), "keys were left over"
    return found


@pytest.mark.parametrize("numbers", [FEW, MANY])
def test_commands_have_the_same_keys_for_any_number_of_labels(numbers: dict[str, str]) -> None:
    for key, (name, _) in COMMANDS.items():
        assert chosen(key, numbers) == (name, key)
    assert chosen("\x04", numbers)[0] == "quit"


@pytest.mark.parametrize(
    ("keys", "label"),
    [
        ("2", "Billing store"),  # no other number begins with it
        ("12", "zebra"),
        ("1\r", "billing"),
        ("1\x7f2", "Billing store"),
        ("11", "zoo"),
        ("/ZEB\r", "zebra"),
        ("/billing\n", "billing"),  # whole, though another one holds it
        ("/zx\x7feb\r", "zebra"),
    ],
)
def test_labels_by_their_digits_or_a_part_of_the_name(keys: str, label: str) -> None:
    assert chosen(keys, MANY) == ("", label)


def test_what_chooses_nothing_is_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen("/store of\r", MANY) == ("", "") and "no label holds that" in capsys.readouterr().out
    assert chosen("/z\r", MANY) == ("", "") and "2 labels hold that: zoo, zebra" in capsys.readouterr().out
    assert chosen("/\r", MANY) == ("", "")
    assert chosen("/zeb\x04", MANY) == ("", "")  # the end of the input is no Enter
    assert chosen("1s", MANY) == ("", "1s") and chosen("7", FEW) == ("", "7") and chosen("x", FEW) == ("", "x")


@pytest.mark.parametrize("keys", ["\x03", "1\x03", "/ze\x03"])
def test_control_c_ends_it_anywhere(keys: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        chosen(keys, MANY)
