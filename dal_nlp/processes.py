"""Several processes of one run (``accelerate launch``): the first one decides, all learn what it decided.

Accelerate is imported when it is needed: reading a ledger must not take the seconds that torch does.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from accelerate import PartialState

T = TypeVar("T")


def process_state() -> "PartialState":
    """Return which of how many processes this is; ``ACCELERATE_USE_CPU`` counts as it does for ``Accelerator``."""
    from accelerate import PartialState
    from accelerate.utils import parse_flag_from_env

    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))


def is_main() -> bool:
    """Tell whether this is the process that decides and writes."""
    return bool(process_state().is_main_process)


def share(value: T) -> T:
    """Return the first process's value in every process; all must call it."""
    from accelerate.utils import broadcast_object_list

    if process_state().num_processes == 1:
        return value
    box = [value]
    broadcast_object_list(box)
    return box[0]


def share_each(items: Iterable[T]) -> Iterator[T]:
    """Yield the first process's items in every process, one by one; the others never touch their own ``items``."""
    source = iter(items) if is_main() else iter(())
    while True:
        box = share(_take_one(source))
        if not box:
            return
        yield box[0]


def _take_one(source: Iterator[T]) -> list[T]:
    for item in source:
        return [item]
    return []
