"""What stands below Table 1, wherever it is printed. Pure: tables in, sentences out."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ifmmin import averaging, marks, significance


def below(
    table: pd.DataFrame,
    corpus: Mapping[str, Any],
    made: Mapping[tuple[str, int, int], Mapping[str, Any]],
    tests: pd.DataFrame,
    compared: Mapping[str, Any],
) -> list[str]:
    """Say what the numbers are, what the marks mean, and how differences were tested.

    Args:
        table: Table 1 with its marks.
        corpus: name and synthetic, as corpus.json has them.
        made: (system, fold, seed) to what its predictions say of their run.
        tests: what `significance.compared` gives.
        compared: the group comparison of params.yaml.

    Returns:
        Sentences.
    """
    return [
        *averaging.notes(table, corpus, made),
        *marks.legend(table, **compared),
        *significance.footnote(tests),
    ]
