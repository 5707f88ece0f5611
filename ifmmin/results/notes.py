"""The notes below Table 1. Tables in, sentences out; no I/O."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ifmmin.results import marks, significance, table1

SYNTHETIC = "synthetic corpus: marks and differences between systems mean nothing"
"""Note of each row of table1.csv on such a corpus."""


def below(
    table: pd.DataFrame,
    corpus: Mapping[str, Any],
    run_metadata: Mapping[tuple[str, int, int], Mapping[str, Any]],
    tests: pd.DataFrame,
    compared: Mapping[str, Any],
) -> list[str]:
    """Explain the numbers, the marks and the significance tests.

    Args:
        table: Table 1 with its marks.
        corpus: name and synthetic, from corpus.json.
        run_metadata: (system, fold, seed) to the metadata of its predictions.
        tests: result of `significance.compared`.
        compared: the section comparison of params.yaml.

    Returns:
        Sentences.
    """
    return [
        *table1.notes(table, corpus, run_metadata),
        *marks.legend(table, **compared),
        *significance.footnote(tests),
    ]
