"""The field's terms, stated once: modalities, testing conditions and roles.

Each is in the order used everywhere.

Source: paper, sections 1 and 3.3. The released code concatenates [a, t, v]; here it is always a, v, t.
"""

from collections.abc import Iterable

MODALITIES = ("a", "v", "t")
"""Acoustic, visual, textual: the order of every concatenation."""

CONDITIONS = ("a", "v", "t", "av", "at", "vt")
"""The six testing conditions of Table 1, each written as its available modalities."""

FULL = "avt"
"""The full input. It is evaluated too, and is never part of an average."""

AVERAGE = "average"
"""The mean over the six conditions, where it stands among them."""

METRICS = ("wa", "ua")
"""Weighted and unweighted accuracy."""

LOGIT = "logit_"
"""In a table: before the name of the class whose logit a column holds."""

ROLES = ("train", "validation", "test")
"""What an utterance can be to a fold."""


def logit_columns(columns: Iterable[object]) -> list[str]:
    """Names of those columns of a table that hold logits, in label order."""
    return [name for name in map(str, columns) if name.startswith(LOGIT)]


def braces(condition: str) -> str:
    """Print a condition as the paper does: {a,v}."""
    return f"{{{','.join(condition)}}}"


def availability(condition: str) -> tuple[bool, ...]:
    """Say for each modality, in the order a, v, t, whether a condition has it.

    Args:
        condition: the available modalities, for instance "av".

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
