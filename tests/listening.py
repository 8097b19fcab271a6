"""A progress that keeps what is said, for tests of what a run says."""

from dal_nlp.core.progress import Silent


class Listening(Silent):
    """Keeps the sentences.

    Attributes:
        said: In the order in which they came.
    """

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep a sentence."""
        self.said.append(text)
