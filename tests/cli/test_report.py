"""Figures and tables for papers, from the command line."""

import shutil
from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.report.plots import inches
from tests.cli.conftest import invoke
from tests.cli.test_imports import RUN


@pytest.mark.pictures
def test_the_figure_of_a_run_has_its_size_its_kind_and_text_that_is_text(tmp_path: Path) -> None:
    svg, pdf = tmp_path / "curve.svg", tmp_path / "no" / "such folder" / "curve.pdf"
    for path in (svg, pdf):
        done = invoke("report", str(RUN), "--figure", str(path), "--width", "3.3in", "--metric", "macro_f1")
        assert done.exit_code == 0 and done.stdout.strip() == str(path), done.output
    text = svg.read_text()
    assert 'width="237.6pt"' in text and ">macro F1</text>" in text and ">accuracy</text>" not in text
    assert pdf.read_bytes().startswith(b"%PDF") and b"/Type3" not in pdf.read_bytes()
    before = pdf.read_bytes()
    invoke("report", str(RUN), "--figure", str(pdf), "--width", "3.3in", "--metric", "macro_f1")
    assert pdf.read_bytes() == before


def test_the_table_of_a_run_is_printed(tmp_path: Path) -> None:
    done = invoke("report", str(RUN), "--table", "markdown")
    assert done.stdout.startswith("| round | labels | accuracy |")
    assert "\\toprule" in invoke("report", str(RUN), "--table", "latex").stdout


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--figure", "curve.gif"], "no kind of picture 'gif'"),
        (["--figure", "curve.svg", "--font", "No Such Font"], "no font 'No Such Font'"),
        (["--figure", "curve.svg", "--width", "wide"], "--width wants"),
        (["--figure", "curve.svg", "--metric", "acuracy"], "did you mean 'accuracy'"),
        (["--table", "html"], "no form of a table 'html'"),
        (["--metric", "accuracy"], "name its file with --figure"),
        (["--width", "3in", "--table", "latex"], "name its file with --figure"),
        (["--strategies", "margin"], "is no comparison"),
    ],
)
@pytest.mark.pictures
def test_what_cannot_be_drawn_is_told(
    flags: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(RUN, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    done = invoke("report", "run", *flags)
    assert done.exit_code == 2 and words in " ".join(done.output.split()) and not Path(flags[1]).exists()


def test_widths_have_units() -> None:
    assert inches("3.3in") == inches("3.3") == 3.3
    assert inches("84mm") == pytest.approx(inches("8.4cm")) == pytest.approx(8.4 / 2.54)
    with pytest.raises(UserError):
        inches("0in")
