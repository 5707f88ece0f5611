"""metrics/mechanism.csv."""

import pandas as pd
import pytest
import samples

from ifmmin.core.files import ArtifactError
from ifmmin.results import mechanism


def test_measures_are_read_as_they_were_written(tmp_path):
    mechanism.write(tmp_path / "m.csv", samples.MECHANISM)

    pd.testing.assert_frame_equal(mechanism.read(tmp_path / "m.csv"), samples.MECHANISM)


def test_a_missing_column_of_the_measures_is_named(tmp_path):
    samples.MECHANISM.drop(columns="value").to_csv(tmp_path / "m.csv", index=False)

    with pytest.raises(ArtifactError, match=r"m\.csv: column 'value' is missing.*Rerun measure\."):
        mechanism.read(tmp_path / "m.csv")


def test_the_summary_averages_folds_and_seeds_in_the_order_of_the_table():
    table = pd.concat([samples.MECHANISM, samples.MECHANISM.assign(fold=3, value=[1.0, 3.0])])

    summary = mechanism.summary(table)

    assert summary["network"].tolist() == ["pretraining", "λ"]
    assert summary["value"].tolist() == pytest.approx([2 / 3, 1.5])
    assert summary["reference"].isna().tolist() == [False, True]
