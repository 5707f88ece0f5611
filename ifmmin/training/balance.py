"""Balance of the loss: each weighted term beside the cross entropy, at the first and the chosen epoch."""

from collections.abc import Mapping

import pandas as pd

LARGE = 10.0
"""A weighted term above this multiple of the cross entropy is reported, as the others then barely count."""


def balance(history: pd.DataFrame, weights: Mapping[str, float]) -> tuple[str, bool]:
    """Describe the balance of a training run.

    Args:
        history: the history of a system with one checkpoint group.
        weights: name of a term of L to its weight.

    Returns:
        One line, empty if there is no term besides L_cls, and whether a term is above LARGE times L_cls.
    """
    terms = {name: weight for name, weight in weights.items() if name in history and weight}
    if not terms or "chosen" not in history:
        return "", False
    parts, any_large = [], False
    rows = {"first epoch": history.iloc[0], "chosen epoch": history[history["chosen"] == 1].iloc[0]}
    for epoch, row in rows.items():
        listed = [f"L_cls {row['L_cls']:.3g}"]
        for name, weight in terms.items():
            value = weight * row[name]
            large = value > LARGE * row["L_cls"]
            note = f" ({value / row['L_cls']:.0f} times L_cls)" if large else ""
            listed.append(f"{weight:g} x {name} {value:.3g}{note}")
            any_large |= bool(large)
        parts.append(f"{epoch} {row['epoch']:.0f}: {', '.join(listed)}")
    return "; ".join(parts), any_large
