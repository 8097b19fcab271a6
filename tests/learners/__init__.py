"""Tests of ``dal_nlp.learners``."""
