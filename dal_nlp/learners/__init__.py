"""Learners: what is trained on the labels, and what it starts from."""
