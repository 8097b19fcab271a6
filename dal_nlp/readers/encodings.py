"""The bytes of a file as UTF-8: decompressed, and decoded from whatever its letters are in."""

import bz2
import codecs
import gzip
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from dal_nlp.core.errors import DataError
from dal_nlp.readers.letters.eight_bits import guessed, is_damaged
from dal_nlp.readers.letters.seven_bits import decoded, escaped
from dal_nlp.readers.reading import Reading

#: Endings of compressed files, by what reads them.
COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
BLOCK = 2**23  # bytes read at a time
_LONGEST_LINE = 2**30

#: How files begin that are no text, what they are, and what to do.
_OTHERS = (
    (b"PK\x03\x04", "a workbook or an archive", "save it as `CSV UTF-8`, or end it in .xlsx; unpack an archive"),
    (b"\xd0\xcf\x11\xe0", "an old workbook (.xls)", "save it as .xlsx or as `CSV UTF-8`"),
    (b"\x1f\x8b", "a gzip file", "give it a further .gz"),
    (b"BZh", "a bzip2 file", "give it a further .bz2"),
    (b"\xfd7zXZ", "an xz file", "give it a further .xz"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "give it a further .zst"),
    (b"PAR1", "a parquet file", "give it the ending .parquet"),
    (b"ARROW1", "an Arrow file", "write it as parquet"),
    (b"SQLite format 3", "a database", "write its table as csv"),
    (b"%PDF", "a PDF document", "give its texts in a table"),
    (b"version https://git-lfs", "the place holder of a file in Git LFS", "fetch the file with `git lfs pull`"),
    (b"<!DOCTYPE html", "a web page, as of a download that went wrong", "fetch the file again"),
    (b"<html", "a web page, as of a download that went wrong", "fetch the file again"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def ending(path: Path) -> str:
    """Return the ending that tells a file's kind, that of a compression left out: ".csv" for pool.csv.gz."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def refuse_other(source: str, path: Path, kind: str) -> None:
    """Raise ``UserError`` for a file that is of another kind than its ending says, as its first bytes tell."""
    with path.open("rb") as file:
        start = file.read(32).removeprefix(codecs.BOM_UTF8).lstrip()
    own = {".gz": b"\x1f\x8b", ".bz2": b"BZh", ".xz": b"\xfd7zXZ", ".zst": b"\x28\xb5"}
    own |= {".parquet": b"PAR1", ".xlsx": b"PK"}
    for beginning, what, mend in _OTHERS:
        if start.lower().startswith(beginning.lower()) and not start.startswith(own.get(kind, b"\0")):
            raise DataError(f"{source} is {what}, whatever its ending says: {mend}.".lstrip())


@contextmanager
def opened(source: str, path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading its content, decompressed; raises ``UserError`` where it is damaged."""
    kind = path.suffix.lower()
    damaged: tuple[type[Exception], ...] = (zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile)
    if kind == ".zst":
        damaged = (*damaged, _pyarrow().ArrowInvalid)
    try:
        with cast(IO[bytes], _open(path, kind)) as file:
            yield file
    except damaged as error:
        raise DataError(f"{source} is no whole {kind} file ({error}): compress it anew.") from None
    except OSError as error:
        if kind not in COMPRESSED:
            raise DataError(f"{source} cannot be read ({error.strerror or error}): check it.") from None
        raise DataError(f"{source} is no whole {kind} file ({error}): compress it anew.") from None


def _open(path: Path, kind: str) -> object:
    if kind == ".gz":
        return gzip.open(path)
    if kind == ".bz2":
        return bz2.open(path)
    if kind == ".xz":
        return lzma.open(path)
    return _pyarrow().input_stream(str(path), compression="zstd") if kind == ".zst" else path.open("rb")


def _pyarrow() -> Any:
    """Return the package, which help and short commands need not wait for."""
    import pyarrow as package

    return package


def read_utf8(source: str, path: Path, reading: Reading) -> bytes:
    """Return the whole content of a file as UTF-8, its mark left out."""
    return b"".join(blocks(source, path, reading))


def blocks(source: str, path: Path, reading: Reading) -> Iterator[bytes]:
    """Yield the content of a file as UTF-8 in blocks, each of whole lines; the last may lack its end of line.

    Raises:
        UserError: It is not in the encoding that was named or found, with the line.
    """
    with opened(source, path) as file:
        first = file.read(BLOCK)
        mark, encoding = _marked(first)
        if reading.encoding:
            try:
                encoding = _known(reading.encoding, encoding)
            except DataError as error:
                raise DataError(f"{source} {error}") from None
            mark = mark if encoding.startswith(("utf-8", "utf-16", "utf-32")) else b""
        elif encoding not in ("", "utf-8"):
            reading.remark(f"{source} was read as {encoding.upper()}.")
        yield from _Decoder(source, path, encoding, reading).lines(file, first[len(mark) :])


def lines(source: str, path: Path, reading: Reading) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of a text file; old Macintosh line ends end a line too."""
    number = 0
    for block in blocks(source, path, reading):
        if b"\r" in block and b"\n" not in block:
            block = block.replace(b"\r", b"\n")
        for line in block.decode().split("\n")[: None if not block.endswith(b"\n") else -1]:
            number += 1
            yield number, line


def decode(data: bytes, named: str | None = None) -> tuple[str, str]:
    """Return the text of a whole file without its mark, and the encoding that was found out, "" for UTF-8.

    Args:
        data: Its bytes.
        named: Its encoding where that is known; it counts as found out.

    Raises:
        UserError: It is UTF-8 with bytes that are none, or has other sequences that are not what they should be; the
            message goes after the name of the file.
    """
    mark, encoding = _marked(data)
    if named is not None:
        encoding = _known(named, encoding)
        data = data[len(mark) :] if encoding.startswith("utf") else data
        try:
            return decoded(data, encoding), encoding
        except UnicodeDecodeError:
            raise DataError(f"is not {named}: name its encoding with --encoding, or save it as `CSV UTF-8`.") from None
    body = data[len(mark) :]
    if not encoding and body.isascii() and (encoding := escaped(body)):
        try:
            return decoded(body, encoding), encoding
        except UnicodeDecodeError:
            raise DataError(f"is not {encoding} throughout: save it as `CSV UTF-8`.") from None
    if encoding in ("", "utf-8"):
        try:
            return body.decode(), ""
        except UnicodeDecodeError:
            if encoding or is_damaged(body):
                raise DataError("is not UTF-8: save it as `CSV UTF-8`.") from None
        encoding = guessed(body)
    return body.decode(encoding, "replace"), encoding


def _known(encoding: str, marked: str) -> str:
    """Return the codec of an encoding that was named; which UTF-16 it is, a file may say."""
    try:
        name = codecs.lookup(encoding).name
        "a".encode(name)
    except (LookupError, UnicodeError):  # one of Python's encodings says that it is none
        raise DataError(
            f"cannot be read, as there is no encoding {encoding!r}: --encoding takes utf-8, cp1252, utf-16, gb18030, "
            "..."
        ) from None
    if name in ("utf-16", "utf-32") and marked.startswith(name):
        return marked
    # A file may lack its mark; without one, Windows wrote it.
    return {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}.get(name, name)


def _marked(start: bytes) -> tuple[bytes, str]:
    """Return the byte order mark at the start of a file and the encoding that it says; "" for none.

    UTF-16 without a mark is told by the zeros in every other byte of Latin letters.
    """
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return mark, encoding
    sample = start[:4096]
    even, odd = sample[::2], sample[1::2]
    if len(sample) >= 4 and 2 * odd.count(0) > len(odd) and even.count(0) * 10 < len(even):
        return b"", "utf-16-le"
    if len(sample) >= 4 and 2 * even.count(0) > len(even) and odd.count(0) * 10 < len(odd):
        return b"", "utf-16-be"
    return b"", ""


class _Decoder:
    """Turns blocks of bytes in one encoding into UTF-8 blocks of whole lines.

    Args:
        source: For messages.
        path: The file, to count its lines where one of them is wrong.
        encoding: "" for UTF-8 that need not be it: other bytes are looked into at the first of them.
        reading: Takes the remark.
    """

    def __init__(self, source: str, path: Path, encoding: str, reading: Reading) -> None:
        self._source, self._path, self._encoding, self._reading = source, path, encoding or "utf-8", reading
        self._certain = bool(encoding)
        self._done = 0  # bytes

    def lines(self, file: IO[bytes], first: bytes) -> Iterator[bytes]:
        """Yield the blocks."""
        rest: list[bytes] = []
        block, wide, mac = first, self._encoding.startswith(("utf-16", "utf-32")), True
        end = "\n".encode(self._encoding) if wide else b"\n"
        while block:
            cut = _after_last(block, end)
            if (mac := mac and end not in block) and cut == 0 and b"\r" in block and end == b"\n" and not rest:
                cut = block.rfind(b"\r", 0, -1) + 1  # line ends of old Macintosh
            if cut:
                yield self._decoded(b"".join([*rest, block[:cut]]))
                rest = [block[cut:]] if cut < len(block) else []
            else:
                rest.append(block)
                if sum(map(len, rest)) > _LONGEST_LINE:
                    raise DataError(
                        f"{self._source}, line {self._line(0)} has no end: give a text file with one row a line."
                    )
            block = file.read(BLOCK)
        if any(rest):
            yield self._decoded(b"".join(rest))

    def _decoded(self, block: bytes) -> bytes:
        ascii = block.isascii()
        if not self._certain:
            self._find_out(block, ascii)
        if self._encoding == "utf-8" and ascii:
            self._done += len(block)
            return block
        try:
            text = decoded(block, self._encoding)
        except UnicodeDecodeError as error:
            line = self._line(error.start)
            shown = self._encoding.upper() if self._encoding.startswith("utf") else self._encoding
            raise DataError(f"{self._source}, line {line} is not {shown}: {self._reading.decoded}.") from None
        self._done += len(block)
        return block if self._encoding == "utf-8" else text.encode("utf-8", "surrogatepass")

    def _line(self, further: int) -> int:
        """Return the number of the line that lies so many bytes behind what has been decoded."""
        with opened(self._source, self._path) as file:
            left, line = self._done + further, 1
            while left > 0 and (block := file.read(min(BLOCK, left))):
                line, left = line + block.count(b"\n"), left - len(block)
        return line

    def _find_out(self, block: bytes, ascii: bool) -> None:
        """Settle on an encoding at the first letter that is not ASCII, or that is written with ASCII."""
        if ascii:
            try:
                encoding = escaped(block)
            except DataError as error:
                raise DataError(f"{self._source} {error}") from None
            if encoding:
                self._settle(encoding)
            return
        self._certain = True
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            if not is_damaged(block):
                self._settle(guessed(block))

    def _settle(self, encoding: str) -> None:
        self._encoding, self._certain = encoding, True
        self._reading.remark(
            f"{self._source} is not UTF-8 and was read as {encoding}: where letters are wrong, {self._reading.decoded}."
        )


def _after_last(block: bytes, end: bytes) -> int:
    """Return where the last whole line of a block ends, 0 where there is none."""
    at = block.rfind(end)
    while at > 0 and at % len(end):
        at = block.rfind(end, 0, at)
    return at + len(end) if at >= 0 else 0
