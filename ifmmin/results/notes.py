"""The notes below Table 1. Tables in, sentences out; no I/O."""

import re
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
    names: Mapping[str, str],
) -> list[str]:
    """Explain the numbers, the marks and the significance tests.

    Args:
        table: Table 1 with its marks.
        corpus: name and synthetic, from corpus.json.
        run_metadata: (system, fold, seed) to the metadata of its predictions.
        tests: result of `significance.compared`.
        compared: the section comparison of params.yaml.
        names: system to display name; others keep their identifier.

    Returns:
        Sentences. For a synthetic corpus they neither explain marks nor give results of tests.
    """
    sentences = table1.notes(table, corpus, run_metadata)
    if not corpus["synthetic"]:
        sentences += marks.legend(table, **compared)
    if not corpus["synthetic"] or tests["p"].isna().all():
        sentences += significance.footnote(tests)
    return [named(sentence, names) for sentence in sentences]


def named(sentence: str, names: Mapping[str, str]) -> str:
    """Replace the identifiers of systems by their display names."""
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), sentence)
