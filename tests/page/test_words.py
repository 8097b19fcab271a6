"""The languages of the page."""

import re
from collections import Counter
from importlib import resources

import pytest

from dal_nlp.page.words import WORDS, language_of


def test_all_languages_say_the_same_things_with_the_same_values_in_them() -> None:
    english = WORDS["en"]
    for words in WORDS.values():
        assert words.keys() == english.keys()
        for name, text in words.items():
            assert text.strip()
            assert Counter(re.findall(r"\{\w+\}", text)) == Counter(re.findall(r"\{\w+\}", english[name])), name


def test_the_page_uses_what_there_is_and_there_is_what_it_uses() -> None:
    folder = resources.files("dal_nlp.report")
    text = "".join(file.read_text() for file in folder.iterdir() if file.name.startswith("annotate"))
    used = set(re.findall(r"\b(?:words|phrases)\.(\w+)", text)) | set(re.findall(r'told\("(\w+)"', text))
    used |= set(re.findall(r'"(why_\w+)"', text)) | {name for name in WORDS["en"] if name.startswith("theme_")}
    used |= {f"help_{widget}" for widget in ("label", "labels", "span", "entities", "text")}
    assert used - {"findIndex", "length"} == WORDS["en"].keys()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"),
        ("fr-FR,fr;q=0.9,de;q=0.4,en;q=0.5", "en"),
        ("fr", "en"),
        ("de;q=0, en;q=0.1", "en"),
        ("", "en"),
        (";;q=x,,de", "de"),
    ],
)
def test_the_language_is_the_one_that_the_browser_likes_best(accepted: str, language: str) -> None:
    assert language_of(accepted) == language
