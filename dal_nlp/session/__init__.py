"""One run: its files, its loop, its stopping rules."""
