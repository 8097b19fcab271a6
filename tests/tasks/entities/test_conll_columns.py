"""CoNLL files whose columns are others than a word, its tag, and what is no tag between."""

from pathlib import Path

import pytest

from dal_nlp.answer_formats.entities import EntityFormat
from dal_nlp.core.errors import UserError
from dal_nlp.data.entities import answer_of, join_words
from dal_nlp.readers.entities.tags import TaggedSpan
from dal_nlp.tasks.entities.metrics import ENTITY_F1
from tests.tasks.entities.test_rows import read

TWO = [
    ("numbered, outer and inner", "# x [2009]\n1\tFC\tB-ORG\tO\n2\tKöln\tI-ORG\tB-LOC\n", "'B-ORG' in column 3 of 4"),
    ("outer alone", "1\tAda\tB-PER\tO\n2\tmet\tO\tO\n", "'B-PER' in column 3 of 4 and 'O' in the last one"),
    ("gold and predicted", "Ada B-PER I-LOC\nmet O O\n", "'B-PER' in column 2 of 3 and 'I-LOC'"),
    ("inner tags far below", "Ada O B-PER\nmet O O\n\n" * 60 + "Rom B-LOC O\n", "line 181 has the tag 'B-LOC' in"),
    ("a score behind", "Ada B-PER 0.90\nmet O 0.99\n", "decimal numbers in its last column.*scores"),
    ("inner tags before, _ for none", "FC _ B-ORG\nKöln B-LOC I-ORG\nrejects _ O\n", "'B-LOC' in column 2 of 3"),
    ("a sign among the tags", "0 - O\nAda B-PER O\nmet O O\n", "'B-PER' in column 2 of 3"),
    ("a strange cell among many", "x ? O\ny X O\n\n" + "Ada B-PER O\n" * 9, "'B-PER' in column 2 of 3"),
    ("nested without prefixes", "Ada PER O\nsaw O O\nFC ORG O\nKöln ORG LOC\nfor O O\n", "'PER' in column 2 of 3"),
    ("a score behind bare labels", "Ada PER 0.90\nmet O 0.99\n", "decimal numbers in its last column.*scores"),
    ("a score alone", "Ada 0.90\nmet 0.99\n", "are these scores"),
    ("parts of speech behind", "Ada\tB-PER\tNNP\nmet\tO\tVBD\n", "and 'NNP' in the last one, where the tag is read"),
]


@pytest.mark.parametrize(("content", "reason"), [each[1:] for each in TWO], ids=[each[0] for each in TWO])
def test_a_tag_beside_the_last_column_is_not_passed_over(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.conll").write_text(content)
    with pytest.raises(UserError, match=reason):
        read(tmp_path / "a.conll")


@pytest.mark.parametrize(
    "content",
    [
        "EU NNP B-NP B-ORG\nhas VBZ B-VP O\n",
        "EU NNP B-NP B-ORG\nhas VM B-VGF O\n",
        "EU NNP B-NP B-ORG\nhas VM B-ADJ O\n\na CC O O\nb IN O O\n",
        "EU NNP O B-ORG\nhas VBZ O O\n",
        "EU B-MISC B-ORG\nhas lemma O\n",
        "EU N B-ORG\nhas O O\n",
        "EU ORG B-ORG\nhas O O\n",
        "EU NP B-ORG\nhas O O\n",
    ],
)
def test_columns_of_chunks_and_of_other_things_are_passed_over(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.conll").write_text(content)
    assert read(tmp_path / "a.conll")[0][0] == (["EU", "has"], [(0, 1, "ORG")])


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "a.txt",
            "the quick brown fox\njumps over lazy dogs\n",
            r"has neither O nor a tag with a prefix .* the ending \.conll",
        ),
        ("a.txt", "I met Ada in Rome\nfine\n", "write plain texts into a table or JSON lines, with a column 'text'"),
        ("a.conll", "Ada a b c B-PER\n", "the word first and its tag last: leave out the columns between"),
        ("a.tsv", "#\thttp://x [2009]\n1\tAda\tB-PER\n", "give it the ending .conll"),
        ("a.testa", "Ada B-PER\n", "give it the one that its content is, .conll for a word and its tag a line"),
    ],
)
def test_other_files_are_refused_with_what_helps(tmp_path: Path, name: str, content: str, reason: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=reason):
        read(tmp_path / name)


def test_words_with_columns_may_stand_in_txt(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Ada NN PER\nmet VB O\n")
    assert read(tmp_path / "a.txt")[0] == [(["Ada", "met"], [(0, 1, "PER")])]


@pytest.mark.parametrize("words", [["-DOCSTART-", "is", "Rome"], ["a", "-DOCSTART-", "Rome"]])
def test_a_word_that_is_the_mark_of_a_document_comes_back(tmp_path: Path, words: list[str]) -> None:
    text, starts, ends = join_words(words)
    fields = {"text": text, "starts": starts, "ends": ends, "tokenized": True}
    write = EntityFormat(["LOC"], ENTITY_F1).further_files["conll"]
    (tmp_path / "a.conll").write_text(write(answer_of([TaggedSpan(2, 3, "LOC")], fields), fields))
    assert read(tmp_path / "a.conll")[0] == [(words, [(2, 3, "LOC")])]
