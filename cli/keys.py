"""Single keys of a terminal, without Enter: what is typed ahead is not lost."""

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Seconds in which the rest of an escape sequence (an arrow, say) has come.
_REST = 0.02
#: Seconds after which a Ctrl-C is heard that came just before the wait for a key began: such a wait does not end by it.
_DEAF = 0.2

if sys.platform == "win32":
    from msvcrt import getwch, kbhit

    @contextmanager
    def keys() -> Iterator[Callable[[], str]]:
        """Return what waits for the next key."""
        yield getwch

    def forget() -> bool:
        """Drop what was typed ahead; tell whether there was anything."""
        count = 0
        while kbhit():
            getwch()
            count += 1
        return count > 0

else:
    import termios
    import tty

    @contextmanager
    def keys() -> Iterator[Callable[[], str]]:
        """Return what waits for the next key; the terminal is as it was when the block ends."""
        terminal = sys.stdin.fileno()
        before = termios.tcgetattr(terminal)
        try:
            tty.setcbreak(terminal, termios.TCSANOW)
            yield lambda: _key(terminal)
        finally:
            termios.tcsetattr(terminal, termios.TCSANOW, before)

    def forget() -> bool:
        """Drop what was typed ahead; tell whether there was anything."""
        terminal = sys.stdin.fileno()
        there = bool(select.select([terminal], [], [], 0)[0])
        termios.tcflush(terminal, termios.TCIFLUSH)
        return there


def _key(terminal: int) -> str:
    """Return one character; "" for a key that sends several, and Ctrl-D's where the input has ended."""
    while not select.select([terminal], [], [], _DEAF)[0]:
        pass  # Python raises KeyboardInterrupt here
    data = os.read(terminal, 1)
    if not data:
        return "\x04"
    if data == b"\x1b":
        while select.select([terminal], [], [], _REST)[0]:
            os.read(terminal, 1)
        return ""
    more = {0b110: 1, 0b1110: 2, 0b11110: 3}
    data += b"".join(os.read(terminal, 1) for _ in range(next((n for b, n in more.items() if _starts(data[0], b)), 0)))
    return data.decode(errors="replace")


def _starts(byte: int, bits: int) -> bool:
    """Tell whether a byte begins with these bits."""
    return byte >> (8 - bits.bit_length()) == bits
