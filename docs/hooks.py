"""A hook of the site's build: what a strategy reads, costs and comes from stands on lines of its own."""

import re
from typing import Any

#: How the lines at the end of a strategy's docstring begin.
FIELDS = re.compile(r"\b(Reads|Cost|Tasks|Reference|Deviations): ")


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Break the lines of the page of strategies before each field."""
    if page.file.src_uri != "strategies.md":
        return html
    return FIELDS.sub(lambda found: f"<br><strong>{found[1]}:</strong> ", html).replace("<p><br>", "<p>")
