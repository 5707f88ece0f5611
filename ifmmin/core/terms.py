"""Modalities, testing conditions, metrics and roles, each in the order used throughout the code.

Source: paper, sections 1 and 3.3. The released code concatenates [a, t, v]; here it is always a, v, t.
"""

from collections.abc import Iterable

MODALITIES = ("a", "v", "t")
"""Acoustic, visual, textual: the order of every concatenation."""

CONDITIONS = ("a", "v", "t", "av", "at", "vt")
"""The six testing conditions of Table 1, each written as its available modalities."""

FULL = "avt"
"""All three modalities available. Evaluated as well, but excluded from averages over conditions."""

AUTO = "auto"
"""Instead of a condition: use all modalities that an utterance has."""

PACK_FILES = {"a": "A/comparE.h5", "v": "V/denseface.h5", "t": "L/bert_large.h5"}
"""Feature file of each modality in a feature pack, as published by the authors of MMIN."""

AVERAGE = "average"
"""Label of the mean over the six conditions in tables."""

METRICS = ("wa", "ua")
"""Weighted and unweighted accuracy."""

LOGIT = "logit_"
"""Prefix of the logit columns in tables; the class name follows."""

ROLES = ("train", "validation", "test")
"""Roles of utterances in a fold."""


def logit_columns(columns: Iterable[object]) -> list[str]:
    """The logit columns of a table, in table order (label order in our files)."""
    return [name for name in map(str, columns) if name.startswith(LOGIT)]


def braces(condition: str) -> str:
    """Format a condition as in the paper: {a,v}."""
    return f"{{{','.join(condition)}}}"


def availability(condition: str) -> tuple[bool, ...]:
    """Whether each modality, in the order a, v, t, is available in a condition.

    Args:
        condition: available modalities, for example "av".

    Returns:
        Three booleans.

    Raises:
        ValueError: if the condition is not one of the six or the full input.

    Source:
        Paper, section 3.3.
    """
    if condition not in (*CONDITIONS, FULL):
        known = ", ".join((*CONDITIONS, FULL))
        raise ValueError(f"condition {condition!r} is not known; expected one of {known}.")
    return tuple(m in condition for m in MODALITIES)
