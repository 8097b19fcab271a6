"""Sources of rows: files of every kind that people have, and what a value in them means."""
