"""The summary of a table in three sentences."""

import numpy as np
import pandas as pd
import pytest

from ifmmin.results import findings

REAL = {"name": "IEMOCAP", "classes": ["angry", "happy", "neutral", "sad"], "synthetic": False}
NAMES = {"ours": "IF-MMIN", "b": "MMIN"}


def table(*systems):
    rows = [(system, c, 0.5, 10, 3) for system in systems for c in ("average", "a")]
    return pd.DataFrame(rows, columns=["system", "condition", "ua", "n_folds", "n_seeds"])


def primary(*rows):
    columns = ["other", "difference", "p_holm", "detectable", "note"]
    return pd.DataFrame(rows, columns=columns).assign(condition="average", metric="ua")


def summed(corpus, *rows, systems=("ours", "b", "c")):
    return findings.sentences(table(*systems), primary(*rows), corpus, NAMES, "ours")


def test_significant_differences_are_named_with_their_direction():
    found = summed(REAL, ("b", 0.02, 0.01, 0.01, ""), ("c", -0.03, 0.04, 0.01, ""))

    assert found == [
        "Corpus: IEMOCAP; 3 systems, up to 10 folds and 3 seeds per fold.",
        "IF-MMIN has an average UA of 50.0 %. It is significantly higher than that of MMIN (+2.0 points) and "
        "lower than that of c (-3.0 points) (Holm-corrected p < 0.05).",
        "Every tested difference is significant.",
    ]


def test_other_differences_are_named_with_what_was_detectable():
    found = summed(REAL, ("b", 0.002, 0.5, 0.012, ""), ("c", -0.001, 0.9, 0.025, ""))

    assert found[1].endswith(
        "It does not differ significantly from any compared system (Holm-corrected p < 0.05)."
    )
    assert found[2] == (
        "It does not differ significantly from MMIN (+0.2 points) and c (-0.1 points); one test at 0.05 "
        "would have detected a true difference of 2.5 points with a probability of 0.8."
    )


def test_untested_systems_are_counted():
    found = summed(REAL, ("b", 0.02, 0.01, 0.01, ""), ("c", np.nan, np.nan, np.nan, "c: no scores"))

    assert found[2] == "Every tested difference is significant. 1 system could not be tested."


def test_without_a_test_the_reason_is_given():
    found = summed(REAL, ("b", 0.1, np.nan, np.nan, "too few"), ("c", 0.1, np.nan, np.nan, "too few"))

    assert found[1:] == ["IF-MMIN has an average UA of 50.0 %.", "No difference is tested: too few."]


def test_systems_are_not_compared_on_a_synthetic_corpus():
    found = summed({**REAL, "synthetic": True}, ("b", 0.02, 0.01, 0.01, ""))

    assert found[1] == "IF-MMIN has an average UA of 50.0 %; chance is 25.0 %."
    assert found[2] == "The corpus is synthetic, so differences between systems mean nothing."


def test_a_table_without_the_proposed_system_says_so():
    assert summed(REAL, systems=("b", "c"))[1] == "IF-MMIN, the proposed system, is not among them."


@pytest.mark.parametrize(("condition", "metric"), [("a", "ua"), ("average", "wa")])
def test_only_the_average_ua_counts(condition, metric):
    rows = primary(("b", 0.02, 0.01, 0.01, "")).assign(condition=condition, metric=metric)

    found = findings.sentences(table("ours", "b"), rows, REAL, NAMES, "ours")

    assert "significant" not in " ".join(found)
