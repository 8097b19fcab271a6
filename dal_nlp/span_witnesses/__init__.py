"""Machines as witnesses to answers that are parts of a context: what they say is located there, and weighed."""
