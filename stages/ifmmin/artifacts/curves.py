"""Training curves of all systems, for `dvc plots`.

    metrics/curves.csv   system, epoch, and the mean over folds and seeds of each column of the histories
                         (without chosen)

Written by draw.
"""

from pathlib import Path

import pandas as pd

from ifmmin.files import write_csv


def write(path: Path, curves: pd.DataFrame) -> None:
    """Write the curves."""
    write_csv(path, curves)
