"""Several processes of one run (``accelerate launch``): the first one decides, all learn what it decided.

Accelerate is imported when it is needed: reading a ledger must not take the seconds that torch does.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def is_main() -> bool:
    """Tell whether this is the process that decides and writes."""
    from accelerate import PartialState

    return bool(PartialState().is_main_process)


def share(value: T) -> T:
    """Return the first process's value in every process; all must call it."""
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    if PartialState().num_processes == 1:
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
