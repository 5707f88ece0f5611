"""Training history of one run: one row per epoch.

    data/histories/<name>/<fold>-<seed>.csv

    epoch                   from 1
    chosen                  1 for the epoch whose weights are kept (first epoch with the best validation UA),
                            otherwise 0; chosen_a ... chosen_vt for a system with one network per condition
    lr                      learning rate of the epoch
    L, L_...                mean of each loss over the training utterances of the epoch; terms are not
                            weighted, and summed over the networks if there are several
    validation_L_cls        cross entropy, pooled over the validation utterances and the conditions that
                            select the epoch (the six; for pretraining and late_fusion_floor, the full
                            input)
    validation_wa, _ua      WA and UA, pooled likewise, in [0, 1]; validation_ua_a ... _vt as for chosen
    validation_probe, _rank_at, _R2_a ... _vt, _L_inv_available, _missing, _all, _constant, _floor,
    _L_cmd_plain, _scale_free
                            what `diagnose` measures, see nn/measures.py and docs/mechanism.md: L_cmd in
                            invariant pretraining, R2 and L_inv in systems with invariant features
    active_x, std_x         for each monitored feature x (h_a ... H_t; a.joint ...): fraction of active units,
                            whose std over the validation utterances exceeds 0.001, and the mean std over all
                            units

Written by the stages pretrain and train; read by draw.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ifmmin.core.files import ArtifactError, read_csv, write_csv

REQUIRED = ("epoch", "lr", "L", "validation_L_cls", "validation_wa", "validation_ua")


def write(path: Path, history: pd.DataFrame) -> None:
    """Check a history and write it."""
    write_csv(path, _validated(path, history))


def read(path: Path) -> pd.DataFrame:
    """Read a history and check it.

    Raises:
        ArtifactError: if the file is not a CSV of numbers, a column is missing, a value is not finite, or
            not exactly one epoch is chosen.
    """
    return _validated(path, read_csv(path))


def _validated(path: Path, history: pd.DataFrame) -> pd.DataFrame:
    missing = [name for name in REQUIRED if name not in history]
    chosen = history.columns[history.columns.str.startswith("chosen")]
    if missing or chosen.empty:
        raise ArtifactError(
            f"{path}: column {[*missing, 'chosen'][0]!r} is missing. Rerun the stage that writes it."
        )
    not_numeric = [name for name, kind in history.dtypes.items() if kind.kind not in "iuf"]
    if not_numeric:
        raise ArtifactError(
            f"{path}: column {not_numeric[0]!r} is not numeric; expected numbers. "
            "Rerun the stage that writes it."
        )
    for name in history.columns[~np.isfinite(history.to_numpy(np.float64)).all(axis=0)]:
        raise ArtifactError(
            f"{path}: a value in column {name!r} is not finite; expected complete epochs. "
            "Rerun the stage that writes it."
        )
    for name in chosen[history[chosen].sum() != 1]:
        raise ArtifactError(
            f"{path}: {history[name].sum()} epochs are marked {name}; expected one. "
            "Rerun the stage that writes it."
        )
    return history
