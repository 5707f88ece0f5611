"""Records of run time and memory, written by `ifmmin.core.entry`.

    logs/<stage>.json   stage, seconds, peak_rss_bytes, processor, versions; stages that use torch also
                        device, precision and threads

Each file describes the last run of a stage on this machine; git and DVC ignore it. Read by ifmmin records.
"""

from pathlib import Path

import pandas as pd

from ifmmin.core.files import ArtifactError, read_json

REQUIRED = {"stage": str, "seconds": int | float, "peak_rss_bytes": int, "processor": str}
REMEDY = "Delete it: the next run of its stage writes it again."


def read(folder: Path) -> pd.DataFrame:
    """Read all records.

    Returns:
        One row for each record; device and precision are "-" for stages without torch.

    Raises:
        ArtifactError: if a file is not a valid record.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        record = read_json(path, REMEDY)
        invalid = [key for key, kind in REQUIRED.items() if not isinstance(record.get(key), kind)]
        if invalid:
            raise ArtifactError(
                f"{path}: {invalid[0]!r} is {record.get(invalid[0], 'missing')!r}; "
                f"expected a record of a stage. {REMEDY}"
            )
        records.append({"device": "-", "precision": "-", **record})
    return pd.DataFrame(records, columns=[*REQUIRED, "device", "precision"])
