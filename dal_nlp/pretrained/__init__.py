"""Pretrained models and their tokenizers: found, checked, and how they are fed."""
