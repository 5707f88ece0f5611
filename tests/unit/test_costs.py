"""Seconds and memory of each stage."""

import pandas as pd
import pytest

from ifmmin.parallel import costs

COLUMNS = ["stage", "seconds", "peak_rss_bytes", "processor", "device", "precision"]


def test_seconds_of_a_stage_and_system_are_summed_over_folds_and_seeds():
    """10 + 30 of 50 seconds; the record of a command (run) is not counted."""
    records = pd.DataFrame(
        [
            ("ingest", 2.0, 5, "P", "-", "-"),
            ("train_fusion@mmin_no_cycle-1-0", 10.0, 7, "P", "cpu", "float32"),
            ("train_fusion@mmin_no_cycle-10-2", 30.0, 6, "Q", "cuda", "bf16"),
            ("pretrain_fusion@1-0", 8.0, 4, "P", "cpu", "float32"),
            ("run", 99.0, 1, "P", "-", "-"),
        ],
        columns=COLUMNS,
    )

    table = costs.summed(records, ["ingest", "train_fusion", "pretrain_fusion"]).set_index("what")

    assert list(table.index) == ["train_fusion mmin_no_cycle", "pretrain_fusion", "ingest"]
    assert table["seconds"].tolist() == [40, 8, 2]
    assert table["share"].tolist() == pytest.approx([0.8, 0.16, 0.04])
    assert table["runs"].tolist() == [2, 1, 1]
    assert table["longest"].tolist() == [30, 8, 2]
    assert table["peak_rss_bytes"].tolist() == [7, 4, 5]
    assert table["where"].tolist() == ["P, cpu float32; Q, cuda bf16", "P, cpu float32", "P"]


def test_without_records_there_are_no_costs():
    assert costs.summed(pd.DataFrame(columns=COLUMNS), ["ingest"]).empty


def test_the_record_of_a_command_alone_gives_no_costs():
    """As after `ifmmin run --dry` in a fresh clone."""
    records = pd.DataFrame([("run", 1.0, 1, "P", "-", "-")], columns=COLUMNS)

    assert costs.summed(records, ["ingest"]).empty
