"""Answers of files joined to examples, by id and by text."""
