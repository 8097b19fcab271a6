"""YAML of a user: plain values or one sentence, and never more work than a file is worth."""

import os
from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.readers import yaml_text
from dal_nlp.session.config import RunConfig, gather_settings, read_yaml

BOMB = "task_options:\n a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f" a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    "text",
    [
        "[1",
        "[a,b]]",
        "[*a]",
        "[@]",
        "[!!binary x]",
        "[!!timestamp x]",
        "[!!timestamp 2001-01-01]",
        "[!!int abc]",
        "[!!bool maybe]",
        "[!!float]",
        "[!!python/name:os.system ]",
        "{1: 2}",
        "{on: x}",
        "{~: x}",
        "{? [a]: 2}",
        "[0x_]",
        "[.nan]",
        "[.inf]",
        "[" + "1" * 5000 + "]",
        "[" * 5000,
        "[" * 500 + "]" * 500,
        "{a: &a {b: *a}}",
        '["\\ud800"]',
        "[\x07]",
    ],
)
def test_what_is_no_plain_value_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="--set task_options") as caught:
        gather_settings(settings=[f"task_options={text}"])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_dates_stay_text() -> None:
    assert yaml_text.parse("{a: 2026-13-40, b: 2026-11-26}", "x") == {"a": "2026-13-40", "b": "2026-11-26"}


def test_a_file_of_aliases_is_refused_before_they_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(BOMB)
    with pytest.raises(UserError, match="more than 100,000 values"):
        read_yaml(tmp_path / "bomb.yaml")


def test_aliases_are_written_out_where_they_are_few(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a [1, 2]\nb: *a\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": [1, 2], "b": [1, 2]}


def test_what_is_no_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("task: sentiment\n")
    (tmp_path / "large").write_bytes(b"#" * (yaml_text.LARGEST + 1))
    (tmp_path / "latin").write_bytes("a: é".encode("latin-1"))
    os.mkfifo(tmp_path / "pipe")
    names = ("", "loop", "file/x", "\0", "n" * 300, "pipe", "large", "latin", "missing")
    for name in names:
        with pytest.raises(UserError):
            read_yaml(tmp_path / name)


def test_a_number_larger_than_any_count_is_refused() -> None:
    for setting in (f"budget={'9' * 400}", f"budget={'9' * 5000}", "training.epochs=inf", "seed=1" + "0" * 30):
        with pytest.raises(UserError):
            RunConfig.load(flags={"task": "sentiment", "data": "x.csv"}, settings=[setting])


def test_a_target_is_a_finite_number() -> None:
    for target in ("accuracy=nan", "accuracy=inf"):
        with pytest.raises(UserError, match="finite"):
            RunConfig.load(flags={"task": "sentiment", "data": "x.csv", "target": target})


def test_half_a_letter_in_a_flag_is_refused() -> None:
    with pytest.raises(UserError, match="UTF-8"):
        RunConfig.load(flags={"task": "sentiment", "data": "x.csv", "out": os.fsdecode(b"runs/\xff")})


def test_a_key_of_many_parts_is_refused() -> None:
    with pytest.raises(UserError, match="3,000 parts"):
        gather_settings(settings=[".".join("a" * 3000) + "=1"])
