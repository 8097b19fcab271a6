"""Self-contained html pages: templates of the package, one style, pictures inside."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from dal_nlp.core.text import counted, duration, without_folders
from dal_nlp.report.summary import cell

if TYPE_CHECKING:
    from jinja2 import Environment

SHOWN_CHARACTERS, TITLE_CHARACTERS = 280, 2000


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """Fill a template of the package; texts are escaped, and a name that is missing is an error."""
    from markupsafe import Markup

    style = resources.files("dal_nlp.report").joinpath("page.css").read_text(encoding="utf-8")
    return _environment().get_template(template).render(values, style=Markup(style)).encode()


@cache
def _environment() -> "Environment":
    """The templates of the package: made once, as it keeps what it has compiled."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dal_nlp.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "counted": counted, "cut": cut, "duration": duration, "number": "{:,}".format}
    environment.filters |= {"without_folders": without_folders, "reasons": reasons}
    environment.globals |= {"shown": SHOWN_CHARACTERS, "in_title": TITLE_CHARACTERS}
    return environment


def as_table(header: Sequence[str], rows: Iterable[Sequence[Any]], below: Iterable[str] = ()) -> str:
    """Return a table for a notebook, and sentences below it; everything is escaped."""
    from markupsafe import escape

    top = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row)}</tr>" for row in rows)
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in below)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{paragraphs}"


def inline(svg: bytes, colours: Mapping[str, str]) -> str:
    """Return a drawn svg for a page, its colours by the names of the page's; from numbers and escaped names only."""
    from markupsafe import Markup

    text = svg.decode()
    for name, colour in colours.items():
        text = text.replace(colour, f"var(--{name})")
    return Markup(text[text.index("<svg") :])


def reasons(rejected: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return how many rows were left out by "FILE: REASON", without the folders of this machine."""
    parted = [(*name.partition(": "), count) for name, count in rejected.items()]
    return [(f"{without_folders(file)}{colon}{reason}", count) for file, colon, reason, count in parted]


def cut(text: str, length: int) -> str:
    """Return at most so many characters of a text."""
    return text if len(text) <= length else f"{text[:length].rstrip()} ..."
