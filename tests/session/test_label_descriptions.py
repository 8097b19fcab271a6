"""Files with descriptions of the labels and with guidelines, as `--describe` and `--guidelines` name them."""

from pathlib import Path

import pytest

from dal_nlp import UserError
from dal_nlp.session.label_descriptions import read_descriptions, read_guidelines


def put(folder: Path, data: str | bytes) -> Path:
    file = folder / "file"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


def test_descriptions_are_sentences_or_lists_of_them_by_label(tmp_path: Path) -> None:
    file = put(tmp_path, "good: Somebody liked it.\n1: [One star., It was poor.]\n' bad ': {description: Dull.}\n")
    assert read_descriptions(file) == {
        "good": "Somebody liked it.",
        "1": ["One star.", "It was poor."],
        "bad": {"description": "Dull."},
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("good: [", "is not valid YAML"),
        (b"good: \xff\xfe", "is not valid YAML"),
        ("good: 3\n", "must hold a line"),
        ("good:\n", "must hold a line"),
        ("a list\n", "must hold a line"),
        ("", "must hold a line"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, data: str | bytes, reason: str) -> None:
    file = put(tmp_path, data)
    with pytest.raises(UserError, match=reason) as refused:
        read_descriptions(file)
    assert str(file) in str(refused.value)


def test_a_file_that_is_not_there_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no file .*: correct --describe"):
        read_descriptions(tmp_path / "none.yaml")
    with pytest.raises(UserError, match=r"\(No such file or directory\): correct --guidelines"):
        read_guidelines(tmp_path / "none.md")


def test_guidelines_are_a_text(tmp_path: Path) -> None:
    assert read_guidelines(put(tmp_path, b"\xef\xbb\xbf  How to label.\n\n")) == "How to label."
    with pytest.raises(UserError, match="it is not UTF-8"):
        read_guidelines(put(tmp_path, b"\xff\xfe\x00"))
    with pytest.raises(UserError, match="is empty"):
        read_guidelines(put(tmp_path, " \n"))
