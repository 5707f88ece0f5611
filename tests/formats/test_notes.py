"""The notes below Table 1."""

import pandas as pd
import pytest
import samples

from ifmmin.results import notes

COMPARED = {"proposed": "b", "baselines": ["x"], "ablations": [], "on_par": 0.01}
REAL = {"name": "IEMOCAP", "synthetic": False}


def primary(p):
    row = {"other": "x", "condition": "average", "metric": "ua", "difference": 0.012, "detectable": 0.034}
    return pd.DataFrame([{**row, "p": p, "p_holm": p, "n_folds": 10, "note": "too few"}])


def below(corpus, p):
    return " ".join(notes.below(samples.table(), corpus, {}, primary(p), COMPARED, {"b": "Bee", "x": "Ex"}))


def test_marks_and_tests_are_explained_with_display_names_and_points():
    text = below(REAL, 0.03)

    assert "Marks of Bee: ↑ above every baseline (Ex)" in text
    assert "Ex +1.2 (p = 0.030, detectable 3.4)" in text


@pytest.mark.parametrize("p", [0.03, float("nan")], ids=["tested", "untested"])
def test_a_synthetic_corpus_has_no_marks_and_no_results_of_tests(p):
    text = below({**REAL, "synthetic": True}, p)

    assert "Marks" not in text
    assert "significant at" not in text
    assert ("too few" in text) == (p != p)  # why there is no test is said in any case
