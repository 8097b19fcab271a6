"""The letters of files in other encodings than UTF-8, and texts that only look like such."""
# ruff: noqa: RUF001

from pathlib import Path

import pytest

from dal_nlp.core.errors import UserError
from dal_nlp.readers.encodings import decode
from tests.data.files import ALL, ROWS, complaint, put, read, table


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "it’s “great” – the soup cost €5… café"),
        ("cp1252", "le garçon à l’école était très fâché, où est-il ? Ça coûte 5 €"),
        ("cp1252", "temperature 20°C ±2 µm © ACME ½ price"),
        ("mac_roman", "für Größe und Öl, ähnlich süß"),
        ("cp850", "für Größe"),
        ("cp1250", "Zupa była bardzo dobra, obsługa była niemiła i powolna"),
        ("cp1250", "Nagyon jó termék, köszönöm szépen, őszintén ajánlom, a fűtés is jó"),
        ("cp1250", "Produs foarte bun, mulţumesc. A ajuns repede şi bine ambalat, fără să stau pe gânduri"),
        ("cp1254", "Ürün çok güzel, teşekkürler, kargo hızlıydı ama şarjı kötü, İstanbul'da böyle bir yer yok ğ"),
        ("cp1257", "Labai gera prekė, ačiū. Pardavėjas neatsakė į mano klausimą, kambarys buvo švarus, žemė"),
        ("cp1252", "Þetta er mjög góð vara, ég keypti þetta í gær og það bilaði strax"),
        ("cp1251", "Это был очень хороший суп"),
        ("koi8-r", "Это был очень хороший суп"),
        ("cp1253", "Η σούπα ήταν πολύ νόστιμη"),
        ("gb18030", "这汤非常好喝我很喜欢它"),
        ("shift_jis", "このスープはとても美味しかったです"),
        # Written with bytes of ASCII.
        ("iso2022_jp", "このスープはとても美味しかったです"),
        ("iso2022_jp_ext", "ｽｰﾌﾟ とても美味しかった"),
        ("iso2022_jp_2004", "俱楽部でとても美味しかった"),
        ("iso2022_kr", "이 수프는 정말 맛있었어요"),
    ],
)
def test_letters_of_other_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    rows = [{"text": f"{text} {i}", "label": "good"} for i in range(8)]
    found, remarks = read(put(tmp_path, "p.csv", table(rows).decode().encode(encoding)))
    assert found == [(row["text"], "good") for row in rows], remarks
    assert "is not UTF-8" in remarks[0]


@pytest.mark.parametrize(("encoding", "text"), [("iso2022_jp", "とても美味しい"), ("iso2022_kr", "이 수프는 정말")])
def test_letters_that_are_written_with_bytes_of_ascii_in_blocks(
    tmp_path: Path, encoding: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dal_nlp.readers.encodings.BLOCK", 7)
    rows = [{"text": "plain", "label": "good"}, *({"text": f"{text} {i}", "label": "good"} for i in range(3))]
    content = table(rows).decode().encode(encoding)
    found, remarks = read(put(tmp_path, "p.csv", content))
    assert [text for text, _ in found] == [row["text"] for row in rows]
    assert len(remarks) == 1
    assert decode(content) == (table(rows).decode(), remarks[0].split(" as ")[1].split(":")[0]), "as ingest reads it"
    read_so = read(put(tmp_path, "p.csv", content), encoding="utf-8")
    assert read_so[1] == [], "unless it is named"
    assert "\x1b" in read_so[0][1][0]


@pytest.mark.parametrize("written", ["utf-16-le", "utf-16-be", "utf-32-be"])
def test_a_file_says_which_utf16_it_is_in(tmp_path: Path, written: str) -> None:
    content = ("\ufeff" + table(ROWS).decode()).encode(written)
    named = written[:6]
    assert read(put(tmp_path, "p.csv", content), encoding=named) == (ALL, [])
    assert decode(content, named)[0] == table(ROWS).decode()


def test_texts_that_hold_the_signs_of_such_encodings_are_ascii(tmp_path: Path) -> None:
    texts = [
        "\x1b[31mred\x1b(B\x1b[m",
        "call +4989123, +4930-1",
        "C++ and 1 + 1",
        "~{^^~} ~{oo~}",
        "~{~}",
        "TV+internet",
        "R+new",
    ]
    for text in texts:
        rows = [{"text": f"{text} {i}", "label": "good"} for i in range(8)]
        assert read(put(tmp_path, "p.csv", table(rows))) == ([(row["text"], "good") for row in rows], [])


def test_such_letters_that_are_none_are_refused(tmp_path: Path) -> None:
    chinese = put(tmp_path, "p.csv", b"text,label\n\x1b$)A\x0eVPND\x0f,good\n")
    assert "p.csv is in ISO-2022-CN" in complaint(chinese)
    beyond = put(tmp_path, "p.csv", b"text,label\nfine,good\n\x1b$B-!\x1b(B,good\n")
    assert "line 3 is not iso2022_jp_ext" in complaint(beyond)
    with pytest.raises(UserError, match="is not iso2022_jp_ext throughout"):
        decode(beyond.read_bytes())
