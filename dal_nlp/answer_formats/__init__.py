"""The answer formats: one module for each kind of answer that people give."""
