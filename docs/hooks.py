"""A hook of the site's build: no option is cut at a line's end, and a strategy's fields stand on lines of their own."""

import re
from typing import Any

#: How the lines at the end of a strategy's docstring begin.
FIELDS = re.compile(r"\b(Reads|Cost|Tasks|Reference|Deviations): ")
#: An option of a command.
OPTION = re.compile(r"(?<=[\s>])--[a-z][\w-]*")


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Keep options whole, and break the lines of the page of strategies before each field."""
    html = OPTION.sub(lambda found: f'<span class="option">{found[0]}</span>', html)
    if page.file.src_uri != "strategies.md":
        return html
    return FIELDS.sub(lambda found: f"<br><strong>{found[1]}:</strong> ", html).replace("<p><br>", "<p>")
