"""The task of entities in texts: its rows, windows, tensors and measures."""
