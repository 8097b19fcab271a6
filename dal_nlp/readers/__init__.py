"""Files that people have, read as rows."""
