"""Machines as witnesses to parts of texts, answers and entities, located there and weighed; drafts that they write."""
