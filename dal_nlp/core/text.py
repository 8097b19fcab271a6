"""Numbers as people write them."""

from pathlib import Path


def counted(number: int, thing: str) -> str:
    """Return how many there are of a thing: "1 label", "2,000 labels"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def without_folders(place: str) -> str:
    """Return what a file or folder is called, without where it lies on this machine; names on the Hub stay whole."""
    path = Path(place)
    return path.name if path.is_absolute() or ".." in path.parts or place.startswith("~") else place


def duration(seconds: float) -> str:
    """Return a time span in the two units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(count: float) -> str:
    """Return bytes in megabytes, or in gigabytes where there are that many."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(count / 1e6, 0.1):,.1f} MB"
