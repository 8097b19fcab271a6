"""The pace at which people answer, read off the clock of their answers."""

from collections import defaultdict, deque
from datetime import datetime

#: Seconds between two answers from which on somebody was away, and answers that the pace is taken from.
AWAY, RECENT = 120.0, 50
#: Answers below which no pace is told.
FEWEST = 3


class Pace:
    """Seconds from answer to answer: of each person, and of all together under the name ""."""

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}
        self._gaps: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))

    def note(self, who: str, at: str) -> None:
        """Take up an answer, given at a time in ISO 8601; one whose time cannot be read counts for nothing."""
        try:
            now = datetime.fromisoformat(at)
        except ValueError:
            return
        for name in (who, ""):
            before = self._last.get(name)
            self._last[name] = now
            if before is not None and 0 <= (gap := (now - before).total_seconds()) <= AWAY:
                self._gaps[name].append(gap)

    def seconds(self, who: str = "") -> float | None:
        """Return the seconds of one answer, of one person or of all together; None where too few are known."""
        gaps = self._gaps[who]
        return sum(gaps) / len(gaps) if len(gaps) >= FEWEST else None
