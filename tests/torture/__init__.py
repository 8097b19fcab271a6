"""Kills at random moments, each followed by the same command, compared with undisturbed twins: ``make torture``."""
