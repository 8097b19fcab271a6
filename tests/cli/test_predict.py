import csv
import io
from pathlib import Path
from typing import Any

from dal_nlp.core.task import Prediction
from dal_nlp.readers.sources import read_rows
from dal_nlp.tasks.classification import Classification
from tests.cli.conftest import Files, invoke
from tests.tiny import write
from tests.workflows.test_predict import save_run


def test_csv_on_standard_output_and_in_a_file(files: Files, finished: Path, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "text": "a good film,\nquite good"},
        {"id": "2", "text": " "},
        {"id": "3", "text": "a bad film"},
    ]
    source, out = write(tmp_path / "new.jsonl", rows), tmp_path / "out.csv"
    result = invoke("predict", str(finished), source, "--quiet")
    assert result.exit_code == 0, result.stderr
    table = list(csv.reader(io.StringIO(result.stdout)))
    assert table[0] == ["id", "text", "prediction", "confidence"]
    assert [row[:2] for row in table[1:]] == [["1", "a good film,\nquite good"], ["2", ""], ["3", "a bad film"]]
    assert table[2][2:] == ["", ""]
    for row in (table[1], table[3]):
        assert row[2] in ("negative", "positive")
        assert 0.5 <= float(row[3]) <= 1
    said = invoke("predict", str(finished), source, "--out", str(out)).stdout
    assert "".join(said.split()) == str(out)
    assert out.read_text(encoding="utf-8") == result.stdout
    said = invoke("predict", str(finished), source, "--out", str(out.with_suffix(".jsonl"))).stdout
    assert " ".join(said.split()).endswith("is a csv, whatever its ending says.")


def test_no_cell_of_the_table_is_a_formula_and_all_are_read_back(files: Files, finished: Path, tmp_path: Path) -> None:
    formula = "=cmd|'/c calc'!A1"
    rows = [{"id": f"{sign}1+1", "text": f"{sign}{formula}"} for sign in "=+-@"]
    out = tmp_path / "out.csv"
    done = invoke("predict", str(finished), write(tmp_path / "new.jsonl", rows), "--out", str(out))
    assert done.exit_code == 0, done.stderr
    cells = [cell for row in csv.reader(io.StringIO(out.read_text(encoding="utf-8"))) for cell in row]
    assert not any(cell.startswith(tuple("=+-@")) for cell in cells)
    found = [{"id": row["id"], "text": row["text"]} for _, row in read_rows(str(out))]
    assert found == rows


def test_the_file_may_name_its_texts_otherwise(files: Files, finished: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "new.jsonl", [{"id": "1", "mail": "a good film"}])
    result = invoke("predict", str(finished), source, "--quiet", "--text-column", "mail")
    assert result.exit_code == 0, result.stderr
    assert [row[:2] for row in csv.reader(io.StringIO(result.stdout))] == [["id", "mail"], ["1", "a good film"]]


def test_columns_keep_their_names_unless_the_answers_have_them(files: Files, finished: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "new.jsonl", [{"number": "7", "prediction": "a good film"}])
    columns = ["--text-column", "prediction", "--id-column", "number"]
    result = invoke("predict", str(finished), source, "--quiet", *columns)
    assert result.exit_code == 0, result.stderr
    assert next(csv.reader(io.StringIO(result.stdout))) == ["number", "text", "prediction", "confidence"]


class Spans(Classification):
    """Answers with the first word of the text, which ends where ``details`` says."""

    def predict(self, predicted: Any, batch: Any, examples: Any) -> list[Prediction]:
        words = [example["text"].split()[0] for example in examples]
        return [Prediction({"text": [word] if word != "none" else [], "ends": len(word)}, 0.25) for word in words]

    def details(self, target: Any) -> dict[str, str]:
        return {"end": str(target["ends"]) if target else ""}


def test_answers_are_readable_and_details_are_further_columns(tmp_path: Path) -> None:
    folder = save_run(tmp_path / "run", "tests.cli.test_predict:Spans")
    rows = [{"id": "1", "text": " "}, {"id": "2", "text": "good film"}, {"id": "3", "text": "none"}]
    result = invoke("predict", str(folder), write(tmp_path / "new.jsonl", rows), "--quiet")
    assert result.exit_code == 0, result.stderr
    assert list(csv.reader(io.StringIO(result.stdout))) == [
        ["id", "text", "prediction", "confidence", "end"],
        ["1", "", "", "", ""],
        ["2", "good film", "good", "0.250000", "4"],
        ["3", "none", "no answer", "0.250000", "4"],
    ]


def test_mistakes(files: Files, finished: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no-folder" / "out.csv")
    wrong = write(tmp_path / "wrong.jsonl", [{"sentence": "a film"}])
    for words, part in (
        ([files.test, "--out", nowhere], "give another --out"),
        ([str(tmp_path / "missing.csv")], "There is no file"),
        ([wrong], "no column 'text'"),
    ):
        result = invoke("predict", str(finished), *words)
        assert result.exit_code == 2
        assert part in result.stderr and result.stderr.count("\n") == 1
