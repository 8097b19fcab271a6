"""Questions about a file, put to people: a whole file at a stated error, and the test of a finished model."""
