"""What can go wrong through no fault of the code: each is one sentence with its mend."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in the input, the configuration or the environment; the command line exits with 2."""


class Locked(UserError):
    """Another living process writes to the same run folder."""


class Unsupported(UserError):
    """A strategy that has no meaning for the task or the model at hand."""


class NoStates(Unsupported):
    """A model without a hidden state for each token, where one is read."""


class BrokenModelError(UserError):
    """The model gave NaN, so nothing measured on it can be compared."""


class Stalled(Exception):
    """A process of a run waited in vain for the others."""


class RowError(ValueError):
    """A row that cannot be read as an example, with the reason; it stops the run."""


class UnusableRow(RowError):
    """A row without which the run can do; it is dropped and counted, with the reason (an error with ``--strict``)."""


class EmptyRow(UnusableRow):
    """A row with nothing to read."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean X?)" for the closest known name, or "" when nothing is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """Make the error for a name that is not in a table, with the nearest one and the whole list."""
    names = sorted(known)
    return UserError(f"There is no {kind} {name!r}{nearest(name, names)}; there are: {', '.join(names)}.")
