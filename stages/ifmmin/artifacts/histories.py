"""Training history of one run, an epoch a row.

    data/histories/<name>/<fold>-<seed>.csv

    epoch                   from 1
    chosen                  1 for the epoch whose weights were kept (first best validation UA), else 0; of a
                            system with a network for each condition: chosen_a ... chosen_vt
    lr                      learning rate of the epoch
    L, L_...                mean of each loss over the epoch's training utterances, unweighted terms; summed
                            over the networks where there are several
    validation_L_cls        cross entropy over the validation rows: every utterance in each condition that
                            picks the epoch (the six; the full input in pretraining and of the floor)
    validation_wa, _ua      over the same rows pooled, in [0, 1]; validation_ua_a ... _vt as for chosen
    live_x, sd_x            for each feature x (h_a ... H_t; a.joint ...): share of its units whose standard
                            deviation over the validation utterances exceeds 0.001, and the mean of those
                            deviations over all units

Written by pretrain and train. Read by draw.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ifmmin.files import ArtifactError, read_csv, write_csv

REQUIRED = ("epoch", "lr", "L", "validation_L_cls", "validation_wa", "validation_ua")


def write(path: Path, history: pd.DataFrame) -> None:
    """Write a history, after checking it."""
    write_csv(path, _checked(path, history))


def read(path: Path) -> pd.DataFrame:
    """Read a history and check it.

    Raises:
        ArtifactError: if it is no CSV of numbers, columns are missing, a number is not finite, or not exactly
            one epoch was chosen.
    """
    return _checked(path, read_csv(path))


def _checked(path: Path, history: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in REQUIRED if name not in history]
    marks = history.columns[history.columns.str.startswith("chosen")]
    if missing or marks.empty:
        raise ArtifactError(
            f"{path}: column {[*missing, 'chosen'][0]!r} is missing. Rerun the stage that writes it."
        )
    words = [name for name, kind in history.dtypes.items() if kind.kind not in "iuf"]
    if words:
        raise ArtifactError(f"{path}: column {words[0]!r} is not of numbers. Rerun the stage that writes it.")
    for name in history.columns[~np.isfinite(history.to_numpy(np.float64)).all(axis=0)]:
        raise ArtifactError(
            f"{path}: a number in column {name!r} is not finite; expected an epoch that ran to its end. "
            "Rerun the stage that writes it."
        )
    for name in marks[history[marks].sum() != 1]:
        raise ArtifactError(f"{path}: {history[name].sum()} epochs are {name}; expected one.")
    return history
