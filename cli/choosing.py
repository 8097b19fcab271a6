"""A label or a command, chosen by single keys: the same keys for any number of labels."""

from collections.abc import Callable, Mapping

from dal_nlp.core.text import harmless

#: The commands by their keys, with what they do; the same for every number of labels.
COMMANDS = {
    "s": ("skip", "skip"),
    "?": ("unsure", "unsure"),
    "y": ("yes", "accept"),
    "e": ("edit", "editor"),
    " ": ("page", "page"),
    "u": ("undo", "undo"),
    "h": ("help", "help"),
    "q": ("quit", "quit"),
}
_END, _ENTER, _BACKSPACE = "\x04", "\r\n", "\x7f\b"
#: Most labels that a message names.
_NAMED = 9


def read_choice(next_key: Callable[[], str], numbers: Mapping[str, str]) -> tuple[str, str]:
    """Return the command that was chosen, "" for none, and the answer: a label, or what was typed in its place.

    All digits of a number choose its label; where a longer number begins with them, Enter does. A slash is followed by
    a part of a label's name, and Enter.

    Args:
        next_key: Waits for a key.
        numbers: The labels by their numbers.
    """
    digits = ""
    while True:
        typed = _next(next_key)
        if digits and typed in [*_ENTER]:
            break
        if digits and typed in [*_BACKSPACE]:
            digits = digits[:-1]
            print("\b \b", end="", flush=True)
        elif typed and any(number.startswith(digits + typed) for number in numbers):
            digits += typed
            if [number for number in numbers if number.startswith(digits)] == [digits]:
                print(harmless(numbers[digits]))
                return "", numbers[digits]
            print(typed, end="", flush=True)
        elif digits:
            digits += typed
            break
        elif typed == "/":
            return "", _named(next_key, list(numbers.values()))
        else:
            command = "quit" if typed == _END else COMMANDS.get(typed, ("", ""))[0]
            print(harmless(command or typed))
            return command, typed
    print()
    return "", numbers.get(digits, digits)


def _named(next_key: Callable[[], str], labels: list[str]) -> str:
    """Return the label of whose name a part is typed after the slash, "" where it is not the part of one alone."""
    print("/", end="", flush=True)
    name = ""
    while (typed := _next(next_key)) not in [*_ENTER]:
        if typed == _END:  # the input has ended, or was ended: nobody has chosen the label
            print()
            return ""
        if typed in [*_BACKSPACE]:
            print("\b \b" if name else "", end="", flush=True)
            name = name[:-1]
        else:
            print(harmless(typed), end="", flush=True)
            name += typed
    print()
    letters = name.strip().casefold()
    exact = [label for label in labels if label.casefold() == letters]
    matches = exact or [label for label in labels if letters and letters in label.casefold()]
    if len(matches) == 1:
        print(harmless(matches[0]))
        return matches[0]
    more = ", ..." if len(matches) > _NAMED else ""
    there = f"{len(matches)} labels hold that: {', '.join(map(harmless, matches[:_NAMED]))}{more}"
    print(f"Not taken: {there if matches else 'no label holds that'}.")
    return ""


def _next(next_key: Callable[[], str]) -> str:
    typed = next_key()
    if typed == "\x03":  # where the system does not make a signal of it
        raise KeyboardInterrupt
    return typed
