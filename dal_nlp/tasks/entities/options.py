"""The settings of the task of entities."""

from dataclasses import dataclass

from dal_nlp.core.errors import UserError

#: Where words of texts end.
SIGNS, BLANKS = "signs", "blanks"


@dataclass(frozen=True)
class NEROptions:
    """Settings of the task.

    Attributes:
        overlap: Share of a window that is in the next one too.
        tags: The tags that numbers in a file stand for, in their order.
        split: Where words of texts end: at "signs" and blanks (at blanks alone in a text whose tags number these
            parts), or at "blanks" alone in all texts.
    """

    overlap: float = 0.25
    tags: tuple[str, ...] = ()
    split: str = SIGNS

    def __post_init__(self) -> None:
        if self.split not in (SIGNS, BLANKS):
            raise UserError("task_options.split wants signs or blanks.")
        if not 0 <= self.overlap <= 0.5:
            raise UserError("task_options.overlap wants a share from 0 to 0.5.")
