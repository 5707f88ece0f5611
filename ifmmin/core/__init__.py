"""Shared by all stages: terms, errors, file I/O, the entry point of a stage, scoring."""
