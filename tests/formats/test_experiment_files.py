"""A comparison, as it is printed and written."""

import numpy as np
import pandas as pd

from ifmmin.results import experiment_files


def table(p_holm=0.01, note=""):
    """System x differs by 0.1 in WA and not in UA; system y not at all."""
    rows = [
        {
            "system": system,
            "condition": condition,
            "metric": metric,
            "n_folds": 4,
            "n_seeds": 2,
            "reference": 0.5,
            "other": 0.5 + by,
            "difference": by,
            "low": by / 2,
            "high": 1.5 * by,
            "p": p_holm / 2,
            "p_holm": p_holm,
            "note": note,
        }
        for system, moved in (("x", 0.1), ("y", 0.0))
        for condition in ("average", "av")
        for metric, by in (("wa", moved), ("ua", 0.0))
    ]
    return pd.DataFrame(rows)


def test_what_differs_has_lines_and_what_does_not_its_name():
    lines = experiment_files.text(table(), "main", "exp/1", {"K": (5, 3)}).splitlines()

    assert lines[:3] == ["## exp/1 against main", "", "- `K`: 5 -> 3"]
    assert [line.split("|")[1:3] for line in lines if "+0.1000" in line] == [
        [" x      ", " average   "],
        [" x      ", " {a,v}     "],
    ]
    assert "+0.1000* [+0.0500, +0.1500]" in "\n".join(lines)
    assert "Folds: 4, seeds: 2." in "\n".join(lines)
    assert "* also significant over folds, p < 0.05 after Holm (corrected resampled t-test): 4 of 4." in lines
    assert lines[-1].endswith("seeds averaged: y.")


def test_a_difference_that_does_not_hold_has_no_star_and_one_without_a_test_its_reason():
    held = experiment_files.text(table(0.05), "a", "b", {})
    untested = experiment_files.text(table(np.nan, "too few folds"), "a", "b", {})

    assert "- nothing in params.yaml" in held
    assert "+0.1000 [" in held
    assert "0 of 4." in held
    assert "No test over folds: too few folds." in untested


def test_a_slash_in_the_name_becomes_a_dash(tmp_path):
    experiment_files.write(tmp_path, "a..exp/1", table(), "said")

    assert (tmp_path / "a..exp-1.md").read_text("utf-8") == "said"
    assert len(pd.read_csv(tmp_path / "a..exp-1.csv")) == 8
