"""Machines as witnesses to parts of texts, answers and entities: what they say is located there, and weighed."""
