"""A comparison of experiments as it is printed and written."""

import numpy as np
import pandas as pd

from ifmmin.results import experiment_files


def table(p_holm=0.01, note="", seed_std=0.02):
    """System x differs by 0.1 in WA and by 0 in UA; system y does not differ."""
    rows = [
        {
            "system": system,
            "condition": condition,
            "metric": metric,
            "n_folds": 4,
            "n_seeds": 2,
            "reference": 0.5,
            "other": 0.5 + difference,
            "difference": difference,
            "low": difference / 2,
            "high": 1.5 * difference,
            "seed_std": seed_std,
            "p": p_holm / 2,
            "p_holm": p_holm,
            "note": note,
        }
        for system, wa_difference in (("x", 0.1), ("y", 0.0))
        for condition in ("average", "av")
        for metric, difference in (("wa", wa_difference), ("ua", 0.0))
    ]
    return pd.DataFrame(rows)


def test_systems_that_differ_have_rows_and_the_others_are_listed():
    lines = experiment_files.text(table(), "main", "exp/1", {"K": (5, 3)}).splitlines()

    assert lines[:3] == ["## exp/1 vs. main", "", "- `K`: 5 -> 3"]
    assert [line.split("|")[1:3] for line in lines if "+0.1000" in line] == [
        [" x      ", " average   "],
        [" x      ", " {a,v}     "],
    ]
    assert "+0.1000* [+0.0500, +0.1500] ± 0.0200" in "\n".join(lines)
    assert "Folds: 4, seeds: 2." in "\n".join(lines)
    assert (
        "* average UA differs significantly over folds too, corrected resampled t-test, "
        "Holm-corrected p < 0.05: 4 of 4." in lines
    )
    assert "± standard deviation over seeds." in lines[-3]
    assert lines[-1].endswith("in the six conditions: y.")


def test_one_seed_has_fixed_networks_and_no_std():
    text = experiment_files.text(table(seed_std=np.nan).assign(n_seeds=1), "a", "b", {})

    assert "trained networks fixed" in text
    assert "±" not in text


def test_stars_mark_significance_and_a_missing_test_has_a_reason():
    not_significant = experiment_files.text(table(0.05), "a", "b", {})
    untested = experiment_files.text(table(np.nan, "too few folds"), "a", "b", {})

    assert "- no change in params.yaml" in not_significant
    assert "+0.1000 [" in not_significant
    assert "0 of 4." in not_significant
    assert "No test over folds: too few folds." in untested


def test_a_slash_in_a_revision_becomes_a_dash_in_the_file_name(tmp_path):
    experiment_files.write(tmp_path, "a..exp/1", table(), "text")

    assert (tmp_path / "a..exp-1.md").read_text("utf-8") == "text"
    assert len(pd.read_csv(tmp_path / "a..exp-1.csv")) == 8
