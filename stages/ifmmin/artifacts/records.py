"""What each stage cost, as `entry` records it beside the pipeline.

    logs/<stage>.json   stage, seconds, peak_rss_bytes, processor, versions; of what computes also device,
                        precision and threads

Outside git and DVC: of the last run of each stage on this machine. Read by records.
"""

from pathlib import Path

import pandas as pd

from ifmmin.files import ArtifactError, read_json

REQUIRED = {"stage": str, "seconds": int | float, "peak_rss_bytes": int, "processor": str}
REMEDY = "Delete it: the next run of its stage writes it anew."


def read(folder: Path) -> pd.DataFrame:
    """Read all records.

    Returns:
        A line for each, with what it holds; device and precision are "-" where nothing is computed on one.

    Raises:
        ArtifactError: if a file is no record.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        record = read_json(path, REMEDY)
        wrong = [key for key, kind in REQUIRED.items() if not isinstance(record.get(key), kind)]
        if wrong:
            raise ArtifactError(
                f"{path}: {wrong[0]!r} is {record.get(wrong[0], 'missing')!r}; "
                f"expected a record of a stage. {REMEDY}"
            )
        records.append({"device": "-", "precision": "-", **record})
    return pd.DataFrame(records, columns=[*REQUIRED, "device", "precision"])
