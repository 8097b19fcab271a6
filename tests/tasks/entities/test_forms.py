"""Forms of files with entities, as tools, shared tasks and people's programs write them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from dal_nlp import RunConfig
from dal_nlp.answer_formats.entities import EntityFormat
from dal_nlp.core.errors import UserError
from dal_nlp.data.entities import answer_of, join_words
from dal_nlp.data.examples import ExampleReader
from dal_nlp.readers.entities.tags import TaggedSpan
from dal_nlp.tasks import make_task
from dal_nlp.tasks.entities.metrics import ENTITY_F1
from tests import tiny
from tests.tasks.entities.test_rows import read

WORDS = ["Ada", "Lovelace", "met", "him"]
PERSON = [(0, 2, "PER")]
TAGS = ["B-PER", "I-PER", "O", "O"]
TEXT = "Ada Lovelace met him"

CONLL = {
    "no empty line at the end": "Ada B-PER\nLovelace I-PER\nmet O\nhim O",
    "Windows": "Ada B-PER\r\nLovelace I-PER\r\nmet O\r\nhim O\r\n",
    "byte order mark": "\ufeffAda B-PER\nLovelace I-PER\nmet O\nhim O\n",
    "blanks at the ends": "Ada B-PER \nLovelace I-PER\nmet O  \nhim O\n \n",
    "tab at the ends": "Ada\tB-PER\t\nLovelace\tI-PER\t\nmet\tO\t\nhim\tO\t\n",
    "comments of CoNLL-U": "# newdoc id = 7\n# text = Ada met O\nAda B-PER\nLovelace I-PER\nmet O\nhim O\n",
    "a remark of a person": "# who is meant\nAda B-PER\nLovelace I-PER\nmet O\nhim O\n\n# end\n",
    "OntoNotes": "#begin document (a); part 0\nAda B-PER\nLovelace I-PER\nmet O\nhim O\n\n#end document\n",
    "numbered from 1": "1\tAda\tB-PER\n2\tLovelace\tI-PER\n3\tmet\tO\n4\thim\tO\n",
    "numbered from 0": "0 Ada B-PER\n1 Lovelace I-PER\n2 met O\n3 him O\n",
    "numbers that go on": "1 Ada B-PER\n2 Lovelace I-PER\n3 met O\n4 him O\n\n5 No O\n6 one O\n",
    "numbers with noughts": "001 Ada B-PER\n002 Lovelace I-PER\n003 met O\n004 him O\n",
    "numbers with dots": "1. Ada B-PER\n2. Lovelace I-PER\n3. met O\n4. him O\n",
    "ranges of CoNLL-U": "1-2 _ _\n1 Ada B-PER\n2 Lovelace I-PER\n3 met O\n3.1 _ _\n4 him O\n",
    "small tags first": "b-per Ada\ni-per Lovelace\no met\no him\n",
    "bare tags first": "PER Ada\nPER Lovelace\nO met\nO him\n",
    "numbered, tags first": "1 B-PER Ada\n2 I-PER Lovelace\n3 O met\n4 O him\n",
    "tags first": "B-PER Ada\nI-PER Lovelace\nO met\nO him\n",
    "small letters": "Ada b-PER\nLovelace i-PER\nmet o\nhim o\n",
    "small BIOES": "Ada b-PER\nLovelace e-PER\nmet o\nhim o\n",
    "a small o": "Ada B-PER\nLovelace I-PER\nmet o\nhim o\n",
    "underscores": "Ada B_PER\nLovelace I_PER\nmet O\nhim O\n",
}


@pytest.mark.parametrize("form", CONLL)
def test_forms_of_conll_mean_the_same(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.conll"
    path.write_bytes(CONLL[form].encode())
    found, remarks, _ = read(path)
    label = "per" if form == "small tags first" else "PER"
    assert found[0] == (WORDS, [(0, 2, label)])
    assert len(found) == 1 + (form == "numbers that go on")
    said = {"ranges of CoNLL-U": 2, "numbered, tags first": 2}
    of_columns = form.startswith("number") or form.endswith("tags first")
    assert len(remarks) == said.get(form, int("#" in CONLL[form] or of_columns))


def test_one_line_may_be_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("1\tAda\tB-PER\n")
    assert read(tmp_path / "a.conll")[0] == [(["Ada"], [(0, 1, "PER")])]


def test_numbers_that_do_not_rise_are_words_of_conll(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("1990 CD B-YEAR\n, PUNCT O\n1815 CD B-YEAR\n\n7 CD O\n9 CD O\n")
    found, remarks, _ = read(tmp_path / "a.conll")
    assert [words for words, _ in found] == [["1990", ",", "1815"], ["7", "9"]]
    assert not remarks


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1 Ada B-PER\n2 met O\n4 him O\n\n1 x O\n", "has a number in each first column, not one more each time"),
        ("Ada PER\nmet O\n\n# end\n", "read as words, for they have a word's columns: 1 line with #"),
    ],
)
def test_what_is_in_doubt_is_a_word_of_conll_and_said(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.conll").write_text(content)
    (remark,) = read(tmp_path / "a.conll")[1]
    assert said in remark


HASHTAGS = ["# o", "#id O", "#newpar O", "#s=3 O", "# b-per", "#NowPlaying O", "# O"]


@pytest.mark.parametrize("line", HASHTAGS)
def test_words_with_a_hash_are_no_comments(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.conll").write_text(f"Ada B-PER\nmet O\n\n{line}\nhim O\n")
    found, remarks, _ = read(tmp_path / "a.conll")
    assert found[1][0] == [line.split()[0], "him"]
    assert not remarks


def test_a_hash_in_small_letters_is_a_word(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("# o\nAda b-per\n\n# o\nmet o\n")
    assert [words for words, _ in read(tmp_path / "a.conll")[0]] == [["#", "Ada"], ["#", "met"]]


def test_a_word_of_three_columns_is_no_end_of_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("Ada NN B-PER\nmet VB O\n\n#end document O\nhim PR O\n")
    assert read(tmp_path / "a.conll")[0][1][0] == ["#end", "him"]


def test_with_bare_labels_a_comment_has_other_columns_than_words(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("# PER\nAda PER\n\n# a remark of us\n# text = O\nAda PER\n")
    found, remarks, _ = read(tmp_path / "a.conll")
    assert [words for words, _ in found] == [["#", "Ada"], ["Ada"]]
    assert [remark.partition(": ")[2] for remark in remarks] == [
        "passed over as comments, before texts: 2 lines with #.",
        "read as words, for they have a word's columns: 1 line with #.",
    ]


def test_other_blanks_belong_to_words_of_conll(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("10\u00a0000 B-N\nA\u2028b O\n\nNew York\tB-LOC\nis\tO\n")
    found, _, _ = read(tmp_path / "a.conll")
    assert found == [(["10\u00a0000", "A\u2028b"], [(0, 1, "N")]), (["New York", "is"], [(0, 1, "LOC")])]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("Ada B-PER\nmet\n", "line 2 has 1 column, and a CoNLL file has 2 to 4"),
        ("Ada x B-PER\nmet O\n", "line 2 has 2 columns, and line 1 has 3"),
        ("Ada\t\tB-PER\nmet\tx\tO\n", "line 1 has nothing in one of its 3 columns"),
        ("Ada B-PER\nmet 0\n", "has the number 0 for a tag"),
        ("Ada B-PER\n# sent_id = 3\nmet O\n", "line 2 begins with # and has no tag: .* put it before the first word"),
        ("Ada PER\n# sent_id = 3\nmet O\n", "line 2 has 4 columns, and line 1 has 2: .* If it is a comment"),
        ("1\tAda\tx\ty\tz\tB-PER\n", "line 1 has 5 columns behind the number, and a CoNLL file has 2 to 4"),
        ("Ada O\n#hash\nmet O\n", "line 2 has 1 column, .* If it is a comment"),
        ("1 Ada B-PER\n2 met O\n3 him O\n\n" * 4 + "met x O\n", "line 17 has no number before its word"),
        ("Ada -\nmet -\n", "has '-' for a tag: write O"),
        ("Ada B-\nmet O\n", "has 'B-' for a tag"),
        ("word tag\nAda B-PER\n", "has the tags 'B-PER' and 'tag': write O"),
        ("Ada B-PER\nmet NONE\n", "has the tags 'B-PER' and 'NONE': write O"),
    ],
)
def test_lines_of_conll_that_say_nothing_are_refused_with_the_reason(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.conll").write_text(content)
    with pytest.raises(UserError, match=reason):
        read(tmp_path / "a.conll")


def test_e_mail_alone_is_a_label(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("a@b.c e-mail\nmet O\n")
    assert read(tmp_path / "a.conll")[0] == [(["a@b.c", "met"], [(0, 1, "e-mail")])]


@pytest.mark.parametrize("names", [["O", "B", "I"], ["o", "b", "i"]])
def test_tags_without_a_label_have_one_and_that_is_said(tmp_path: Path, names: list[str]) -> None:
    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=names))})
    rows = Dataset.from_dict({"tokens": [WORDS], "ner_tags": [[1, 2, 0, 0]]}, features=features)
    rows.to_parquet(tmp_path / "a.parquet")
    found, remarks, _ = read(tmp_path / "a.parquet")
    assert found == [(WORDS, [(0, 2, "entity")])]
    assert remarks == ["Tags without a label (B, I) were read as entities of the label 'entity'."]


def test_labels_with_b_and_i_behind_are_refused() -> None:
    task: Any = make_task(RunConfig(task="ner", data="a.jsonl"))
    target = task.read_target({"tokens": WORDS, "ner_tags": ["PER-B", "PER-I", "O", "O"]})
    with pytest.raises(UserError, match=r"'PER-B' looks like a tag: write B-PER, .*--labels"):
        task.learn_labels([target])


@pytest.mark.parametrize(
    ("texts", "label", "mend"),
    [
        (["PER-B O", "O LOC-B"], "LOC-B", "B-LOC, the prefix before"),
        (["PER-I O"], "PER-I", "I-PER"),
        (["NONE NONE", "B-PER O"], "NONE", "O where there is no entity"),
        (["B:PER O"], "B:PER", "B-PER, with a hyphen"),
        (["B.PER I.PER"], "B.PER", "B-PER, with a hyphen"),
        (["b-per o", "s-per s-per"], "s-per", "S-per, the prefix as a capital"),
        (["B I", "O S"], "S", "S-entity"),
    ],
)
def test_tags_that_became_labels_are_refused_unless_labels_are_named(texts: list[str], label: str, mend: str) -> None:
    rows = [{"tokens": ["a", "b"], "ner_tags": text.split()} for text in texts]
    task: Any = make_task(RunConfig(task="ner", data="a.jsonl"))
    with pytest.raises(UserError, match=f"The label '{label}' looks like a tag: write {mend}.*--labels"):
        task.learn_labels([task.read_target(row) for row in rows])
    named = ["PER", "per", "entity", "LOC-B", "PER-B", "PER-I", "B.PER", "I.PER", label]
    fixed: Any = make_task(RunConfig(task="ner", data="a.jsonl", labels=list(dict.fromkeys(named))))
    fixed.learn_labels([fixed.read_target(row) for row in rows])


def test_marked_parts_may_have_labels_that_look_like_tags() -> None:
    task: Any = make_task(RunConfig(task="ner", data="a.jsonl", text_column=["text"], label_column="spans"))
    task.learn_labels([task.read_target({"text": TEXT, "spans": [[0, 3, "hepatitis-B"]]})])
    assert task.labels == ["hepatitis-B"]


def test_texts_with_and_without_prefixes_are_said(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("a b-cell\nb o\n\nc t-cell\n\nd B-x\n")
    found, remarks, _ = read(tmp_path / "a.conll")
    assert [runs for _, runs in found] == [[(0, 1, "cell")], [(0, 1, "t-cell")], [(0, 1, "x")]]
    said = "Tags without a prefix were read as labels in 1 text ('t-cell'), beside 2 texts with prefixes (B-, I-)."
    whole = "'B-cell' was read as the tag B or I of 'cell': if it is a label, write 'B-B-cell' and 'I-B-cell'."
    assert remarks == [said, whole]


def test_words_side_by_side_that_each_begin_an_entity_are_said_where_nothing_goes_on(tmp_path: Path) -> None:
    row = {"tokens": ["B", "cell"], "ner_tags": ["B-cell", "B-cell"]}
    found, remarks, _ = read(Path(tiny.write(tmp_path / "a.jsonl", [row])))
    assert found[0][1] == [(0, 1, "cell"), (1, 2, "cell")]
    assert "'B-cell' stands at words side by side in 1 text, and no tag goes on with 'cell'" in remarks[0]
    for tags in (["B-cell", "I-cell"], ["B-cell", "B-city"]):
        other = {"tokens": ["a", "b"], "ner_tags": tags}
        assert read(Path(tiny.write(tmp_path / "a.jsonl", [row, other])))[1] == []
    people = {"tokens": ["Ada", "Bob", "met"], "ner_tags": ["B-PER", "B-PER", "O"]}
    assert read(Path(tiny.write(tmp_path / "a.jsonl", [people])))[1] == []


def test_blanks_behind_a_prefix_are_of_no_label(tmp_path: Path) -> None:
    row = {"tokens": WORDS, "ner_tags": ["B- PER", "I - PER", "O", "O"]}
    assert read(Path(tiny.write(tmp_path / "a.jsonl", [row])))[0] == [(WORDS, PERSON)]


def test_a_text_of_b_alone_has_the_unnamed_label(tmp_path: Path) -> None:
    rows = [{"tokens": ["a", "b"], "ner_tags": tags} for tags in (["O", "B"], ["B", "I"], ["B", "E"])]
    found, _, _ = read(Path(tiny.write(tmp_path / "a.jsonl", rows)))
    assert [runs for _, runs in found] == [[(1, 2, "entity")], [(0, 2, "entity")], [(0, 2, "entity")]]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a.tsv:Ada\tB-PER\nmet\tO\n", "give it the ending .conll"),
        ("a.csv:Sentence #,Word,Tag\n1,Ada,B-per\n,met,O\n", "has a word in every row"),
    ],
)
def test_tables_of_words_are_refused_as_such(tmp_path: Path, content: str, reason: str) -> None:
    name, _, text = content.partition(":")
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=reason):
        read(tmp_path / name)


def test_a_missing_column_of_words_is_named(tmp_path: Path) -> None:
    source = tiny.write(tmp_path / "a.jsonl", [{"tokenized_text": WORDS, "ner": []}])
    config = RunConfig(task="ner", data=source)
    with pytest.raises(UserError, match=r"no column 'tokens' .*but 'tokenized_text', .*--text-column"):
        ExampleReader(source, make_task(config), config).check_columns()


SPANS: dict[str, Any] = {"start": 0, "end": 12, "label": "PER"}
CELLS: list[str] = [
    json.dumps([SPANS]),
    str([SPANS]),
    "[[0, 12, 'PER']]",
    "[(0, 12, 'PER')]",
    "[Ada Lovelace](PER) met him",
    "B-PER I-PER O O",
    "B-PER,I-PER,O,O",
    str(TAGS),
    "[1, 2, 0, 0]",
    "[1 2 0 0]",
    json.dumps({"start": [0], "end": [12], "label": ["PER"]}),
]


@pytest.mark.parametrize("cell", CELLS)
def test_cells_of_tables_with_a_column_text(tmp_path: Path, cell: str) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["text", "entities"], [TEXT, cell], ["No one", "[]"], ["Who knows", ""]])
    found, _, _ = read(tmp_path / "a.csv", task_options={"tags": ["O", "B-PER", "I-PER"]})
    assert found == [(WORDS, PERSON), (["No", "one"], []), (["Who", "knows"], None)]


@pytest.mark.parametrize("spans", [[SPANS], {"start": [0], "end": [12], "label": ["PER"]}, [{**SPANS, "end": 12.0}]])
def test_parquet_with_texts_and_spans(tmp_path: Path, spans: Any) -> None:
    Dataset.from_dict({"text": [TEXT], "spans": [spans]}).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == [(WORDS, PERSON)]


@pytest.mark.parametrize(
    "row",
    [
        {"text": TEXT, "ents": [SPANS]},  # spaCy's Doc.to_json
        {"text": TEXT, "spans": [{**SPANS, "start": 0.0, "end": 12.0}]},
        {"text": TEXT, "spans": [{**SPANS, "end": 13}]},
        {"tokens": WORDS, "ner_tags": [1.0, 2.0, 0.0, 0.0]},
        {"tokens": WORDS, "ner_tags": ["1", "2", "0", "0"]},
    ],
)
def test_further_forms_of_rows(tmp_path: Path, row: dict[str, Any]) -> None:
    path = Path(tiny.write(tmp_path / "a.jsonl", [row]))
    assert read(path, task_options={"tags": ["O", "B-PER", "I-PER"]})[0] == [(WORDS, PERSON)]


def test_what_prodigy_accepted_without_spans_has_no_entity(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": TEXT, "spans": [SPANS], "answer": "accept"},
        {"text": "No one", "answer": "accept"},
        {"text": "Who knows", "answer": "ignore"},
    ]
    found, _, _ = read(Path(tiny.write(tmp_path / "a.jsonl", rows)))
    assert [runs for _, runs in found] == [PERSON, [], None]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": TEXT, "spans": [["PER", 0, 12]]}, r"start and end are no whole numbers \('PER', 0\)"),
        ({"text": TEXT, "spans": [{**SPANS, "label": 1}]}, "whose label is 1 and not the name of one"),
        ({"text": TEXT, "spans": [{**SPANS, "label": ["PER", "X"]}]}, r"whose label is \['PER', 'X'\]"),
        ({"text": TEXT, "spans": [{**SPANS, "label": "O"}]}, "which says that there is no entity"),
        ({"text": TEXT, "spans": [{**SPANS, "start": 1, "end": 13, "text": "Ada Lovelace"}]}, "'Ada Lovelace' is not"),
        ({"text": TEXT, "tags": "B-PER I-PER O"}, "has 3 tags for 4 words"),
        ({"tokens": WORDS, "ner_tags": [1, 2, 0, -100]}, "number -100 for a tag, which stands for none"),
        ({"tokens": WORDS, "ner_tags": [1, 2, 0, 9]}, "number 9 for a tag, and task_options.tags has 3 names"),
        ({"tokens": WORDS, "ner_tags": ["B-PER", "I-PER", "O", None]}, "has no tag for word 4"),
        ({"tokens": WORDS, "ner_tags": ["1", "2", "0", "--5"]}, "has '--5' for a tag"),
        ({"tokens": WORDS, "ner_tags": ["1", "2", "0", "7" * 5000]}, "has '7777+ for a tag"),
        ({"tokens": WORDS, "spans": [[0, 2, "PER"]]}, "places count the characters of its words"),
    ],
)
def test_answers_that_say_nothing_are_refused_with_the_reason(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    path = Path(tiny.write(tmp_path / "a.jsonl", [row]))
    with pytest.raises(UserError, match=reason):
        read(path, task_options={"tags": ["O", "B-PER", "I-PER"]})


def test_words_of_blanks_come_back_from_conll(tmp_path: Path) -> None:
    words = ["New\nYork", "", " ", "is"]
    text, starts, ends = join_words(words)
    fields = {"text": text, "starts": starts, "ends": ends, "tokenized": True}
    write = EntityFormat(["LOC"], ENTITY_F1).further_files["conll"]
    (tmp_path / "a.conll").write_text(write(answer_of([TaggedSpan(0, 1, "LOC")], fields), fields))
    assert read(tmp_path / "a.conll")[0] == [(["New York", "_", "_", "is"], [(0, 1, "LOC")])]
