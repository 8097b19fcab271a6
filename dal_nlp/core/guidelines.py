"""Guidelines: what people are told of a task and its labels, wherever they answer.

One source for the page, the terminal, the head of sheets, Label Studio, and the prompts of language models: the setting
``guidelines``, and what the label set says of each label.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dal_nlp.core.config import LabelDetails, Settings

#: The elements of a text, by the tag that Markdown has for them: headings are below those of a page.
TAGS = {
    **{f"h{level}": f"h{min(6, level + 2)}" for level in range(1, 7)},
    **{tag: tag for tag in ("p", "ul", "ol", "li", "em", "strong", "code", "blockquote", "hr", "br")},
    **{tag: tag for tag in ("table", "thead", "tbody", "tr", "th", "td")},
}


@dataclass(frozen=True)
class LabelNote:
    """What is said of one label.

    Attributes:
        name: Of the label.
        about: Sentences that describe it, "" for none.
        examples: Texts that have it.
        color: As "#rrggbb"; None for one of the page's own.
    """

    name: str
    about: str = ""
    examples: Sequence[str] = ()
    color: str | None = None


@dataclass(frozen=True)
class Guidelines:
    """The guidelines of a run.

    Attributes:
        text: In Markdown, "" for none.
        labels: All labels of the task in their order, with what is said of them.
    """

    text: str = ""
    labels: Sequence[LabelNote] = ()

    @classmethod
    def of(cls, config: Settings, labels: Sequence[Any]) -> "Guidelines":
        """Return what a configuration says of a task and its labels."""
        sentences, details = config.descriptions or {}, config.label_details
        names = [str(label) for label in labels]
        return cls(
            config.guidelines.strip(),
            [
                LabelNote(name, " ".join(sentences.get(name, [])), detail.examples, detail.color)
                for name in names
                for detail in [details.get(name, LabelDetails())]
            ],
        )

    @property
    def given(self) -> bool:
        """Whether anybody has written anything."""
        return bool(self.text) or any(label.about or label.examples for label in self.labels)

    def lines(self) -> list[str]:
        """Return the guidelines as lines of plain text: the text, then each label with what is said of it."""
        lines = self.text.splitlines()
        if self.labels:
            lines += ["", "Labels:"] if lines else ["Labels:"]
        for label in self.labels:
            lines.append(f"  {label.name}: {label.about}" if label.about else f"  {label.name}")
            lines += [f"    for example: {' '.join(example.split())}" for example in label.examples]
        return lines

    def tree(self) -> list[Any]:
        """Return the text as elements: letters, or [tag, children] with a tag of ``TAGS``.

        A page builds it up from these, so nothing of the text is read as HTML. A link is its words and its address.
        """
        from markdown_it.tree import SyntaxTreeNode

        return _elements(SyntaxTreeNode(_reader().parse(self.text)))

    def page(self) -> str:
        """Return the text and the labels as HTML, for a program that takes that; all HTML of the text is letters."""
        from html import escape

        if not self.given:
            return ""
        rows = []
        for label in self.labels:
            examples = "".join(f"<li>{escape(example)}</li>" for example in label.examples)
            rows.append(
                f"<dt><b>{escape(label.name)}</b></dt><dd>{escape(label.about)}"
                f"{f'<ul>{examples}</ul>' if examples else ''}</dd>"
            )
        return str(_reader().render(self.text)) + (f"<dl>{''.join(rows)}</dl>" if rows else "")


def _reader() -> Any:
    """Return what reads Markdown: HTML is letters, and pictures are left as links."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def _elements(node: Any) -> list[Any]:
    """Return the children of a node of Markdown as elements."""
    elements: list[Any] = []
    for child in node.children:
        if child.type in ("fence", "code_block"):
            elements.append(["pre", [child.content]])
        elif child.type == "code_inline":
            elements.append(["code", [child.content]])
        elif child.type == "softbreak":
            elements.append("\n")
        elif child.type == "link":
            elements += [*_elements(child), f" ({child.attrs['href']})"]
        elif child.tag in TAGS and not child.hidden:
            elements.append([TAGS[child.tag], _elements(child)])
        else:
            elements += _elements(child) if child.children else [child.content] if child.content else []
    return elements
