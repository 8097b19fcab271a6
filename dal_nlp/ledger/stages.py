"""The time of what happens around the rounds of a run: loading, and encoding by a frozen encoder."""


class Stages:
    """Seconds of loading and of encoding since the start of a process, and how many texts an encoder has read.

    Example:
        >>> stages = Stages()
        >>> stages.loaded(2.0)
        >>> stages.further()
        {'load_seconds': 2.0, 'encode_seconds': 0.0}
        >>> stages.further()["load_seconds"]
        0.0
    """

    def __init__(self) -> None:
        self.load_seconds = self.encode_seconds = 0.0
        self.encoded = 0
        self._told = (0.0, 0.0)

    def loaded(self, seconds: float) -> None:
        """Take up what a start took before its first step, part of which was encoding."""
        self.load_seconds = seconds - self.encode_seconds

    def further(self) -> dict[str, float]:
        """Return the seconds since the last call, as fields of an event."""
        now = self.load_seconds, self.encode_seconds
        load, encode = (seconds - told for seconds, told in zip(now, self._told, strict=True))
        self._told = now
        return {"load_seconds": load, "encode_seconds": encode}
