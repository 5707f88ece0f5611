"""Run time and memory of stages: records in, table out. No I/O."""

from collections.abc import Collection

import pandas as pd


def summed(records: pd.DataFrame, stages: Collection[str]) -> pd.DataFrame:
    """Summarise run time and memory of each stage and system.

    Args:
        records: stage (as DVC names it, "train_invariant@if_mmin-1-0"), seconds, peak_rss_bytes, processor,
            device, precision.
        stages: stages of the pipeline; other records are ignored.

    Returns:
        what (stage and system), runs, seconds (their sum), share (of all seconds), longest (seconds),
        peak_rss_bytes (the largest), where (processor, device and precision, separated by semicolons); sorted
        by seconds, descending.
    """
    parts = records["stage"].astype(str).str.extract(r"^([^@]*)(?:@(?:(.+)-)?\d+-\d+)?$")
    selected = records[parts[0].isin(stages)]
    if selected.empty:
        return pd.DataFrame(
            columns=["what", "runs", "seconds", "share", "longest", "peak_rss_bytes", "where"]
        )
    what = parts[0] + parts[1].radd(" ").fillna("")
    where = selected["processor"] + ", " + selected["device"] + " " + selected["precision"]
    where = where.str.removesuffix(", - -")
    table = selected.assign(what=what, where=where).groupby("what", sort=False)
    summary = table.agg(
        runs=("seconds", "size"),
        seconds=("seconds", "sum"),
        longest=("seconds", "max"),
        peak_rss_bytes=("peak_rss_bytes", "max"),
        where=("where", lambda names: "; ".join(sorted(set(names)))),
    )
    summary.insert(2, "share", summary["seconds"] / summary["seconds"].sum())
    return summary.sort_values("seconds", ascending=False, kind="stable").reset_index()
