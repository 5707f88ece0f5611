"""Roles of utterances in each fold, and the acoustic scaling of a fold. No I/O.

Source: the published pack, whose splits follow this rule except in fold 8 (listed in
zuzianto/Gender-Bias-Multimodal, dataset/summary.csv); paper, section 3 ("8:1:1").
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.core.terms import ROLES


def rule_roles(index: pd.DataFrame, fold: int) -> pd.DataFrame:
    """Split IEMOCAP by speaker.

    Folds 2s - 1 and 2s hold out session s. An odd fold tests on its female speaker and validates on its male
    speaker; an even fold does the reverse.

    Args:
        index: utterance_id and speaker (session and gender, for example Ses01F).
        fold: fold number, from 1.

    Returns:
        utterance_id and role of every utterance; the speakers of all other sessions are in train.
    """
    session = f"Ses{(fold + 1) // 2:02d}"
    test, validation = ("F", "M") if fold % 2 else ("M", "F")
    roles = index["speaker"].map({session + test: "test", session + validation: "validation"}).fillna("train")
    return pd.DataFrame({"utterance_id": index["utterance_id"], "role": roles})


def assign(index: pd.DataFrame, pack_folds: pd.DataFrame, fold: int, *, by_rule: bool) -> pd.DataFrame:
    """Assign roles to the utterances of a fold, by the rule or from the pack's target files."""
    if by_rule:
        return rule_roles(index, fold)
    rows = pack_folds.loc[pack_folds["fold"] == fold, ["utterance_id", "role"]]
    return rows.sort_values("utterance_id", ignore_index=True)


def faults(fold: int, roles: pd.DataFrame, index: pd.DataFrame, classes: list[str]) -> list[str]:
    """List the reasons why a fold cannot be used.

    Args:
        fold: fold number, for the messages.
        roles: utterance_id and role.
        index: utterance_id and label of the whole corpus.
        classes: class names in label order.

    Returns:
        One error message for each empty role, and for each class without utterances in train (it cannot be
        learned) or in test (its recall is undefined).
    """
    messages = []
    labels = roles.merge(index[["utterance_id", "label"]], on="utterance_id", how="left")
    for role in ROLES:
        present = set(labels.loc[labels["role"] == role, "label"])
        if not present:
            messages.append(
                f"fold {fold}: no utterance is in {role}; expected at least one. "
                "Check the target files, or the key folds in params.yaml."
            )
        messages += [
            f"fold {fold}: class {name!r} has no utterance in {role}; expected every class. "
            "Check the target files, or the key folds in params.yaml."
            for k, name in enumerate(classes)
            if role != "validation" and present and k not in present
        ]
    return messages


class Plan(NamedTuple):
    """The requested folds, with errors and warnings.

    Attributes:
        roles: fold to its table of utterance_id and role.
        faults: error messages; with any, the folds cannot be used.
        warnings: messages about folds that can be used but may be wrong.
    """

    roles: dict[int, pd.DataFrame]
    faults: list[str]
    warnings: list[str]


def plan(
    index: pd.DataFrame,
    pack_folds: pd.DataFrame,
    folds: Sequence[int],
    corpus: Mapping[str, Any],
    *,
    folds_from: str,
) -> Plan:
    """Make the requested folds and check them.

    Args:
        index: utterance_id, speaker, label.
        pack_folds: fold, utterance_id, role of the pack's target files.
        folds: requested fold numbers.
        corpus: classes (names in label order) and iemocap (whether the ids are IEMOCAP's).
        folds_from: "rule", "pack", or "auto": the rule for IEMOCAP's ids, else the pack.

    Returns:
        The plan. With the pack's folds, the speaker warnings cover all folds of the pack, because a speaker
        who is tested twice shows only across folds.
    """
    if folds_from == "rule" and not corpus["iemocap"]:
        return Plan(
            {},
            [
                "params.yaml, key split.folds_from is 'rule', but the ids of this pack are not IEMOCAP's; "
                "expected 'pack' or 'auto'."
            ],
            [],
        )
    by_rule = folds_from != "pack" and corpus["iemocap"]
    available = sorted(range(1, 2 * _sessions(index) + 1) if by_rule else set(pack_folds["fold"]))
    errors = [
        f"params.yaml, key folds: fold {fold} does not exist; expected folds among {_listed(available)}."
        for fold in folds
        if fold not in available
    ]
    roles = {fold: assign(index, pack_folds, fold, by_rule=by_rule) for fold in available}
    requested = {fold: roles[fold] for fold in folds if fold in roles}
    for fold, fold_roles in requested.items():
        errors += faults(fold, fold_roles, index, corpus["classes"])
    if not by_rule:
        return Plan(requested, errors, speaker_warnings(roles, index))
    return Plan(
        requested,
        errors,
        [
            f"fold {fold}: the test set in the pack's target files differs from that of the rule. The rule "
            "is used; to use the target files, set split.folds_from to pack in params.yaml."
            for fold in differing_folds(requested, pack_folds)
        ],
    )


def _sessions(index: pd.DataFrame) -> int:
    return int(index["speaker"].str[3:5].astype(int).max())


def speaker_warnings(roles_by_fold: dict[int, pd.DataFrame], index: pd.DataFrame) -> list[str]:
    """List speakers that are tested twice or never, or are in both train and test of a fold.

    Args:
        roles_by_fold: fold to utterance_id and role.
        index: utterance_id and speaker.

    Returns:
        One warning for each such speaker, with the fold.
    """
    warnings: list[str] = []
    tested_in: dict[str, list[int]] = {name: [] for name in sorted(set(index["speaker"]))}
    for fold, roles in sorted(roles_by_fold.items()):
        speakers = roles.merge(index[["utterance_id", "speaker"]], on="utterance_id")
        by_role = {role: set(rows["speaker"]) for role, rows in speakers.groupby("role")}
        for name in sorted(by_role.get("test", set())):
            tested_in[name].append(fold)
            if name in by_role.get("train", set()):
                warnings.append(f"fold {fold}: speaker {name} is in train and in test.")
    for name, numbers in tested_in.items():
        if not numbers:
            warnings.append(f"speaker {name} is never tested (folds {_listed(roles_by_fold)}).")
        warnings += [
            f"fold {number}: speaker {name} is also tested in fold {numbers[0]}." for number in numbers[1:]
        ]
    return warnings


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def differing_folds(roles_by_fold: dict[int, pd.DataFrame], pack_folds: pd.DataFrame) -> list[int]:
    """List the folds whose test set differs from the one in the pack's target files.

    Folds without target files are skipped.
    """
    return [
        fold
        for fold, roles in sorted(roles_by_fold.items())
        if (pack_folds["fold"] == fold).any()
        and set(roles.loc[roles["role"] == "test", "utterance_id"])
        != set(pack_folds.loc[(pack_folds["fold"] == fold) & (pack_folds["role"] == "test"), "utterance_id"])
    ]


def fit_scaling(
    frames: NDArray[np.float32], index: pd.DataFrame, roles: pd.DataFrame
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and std of each acoustic dimension over all frames of a fold's training utterances.

    Args:
        frames: [frames, D_a] float32, concatenated frames of the corpus.
        index: utterance_id, a_offset, a_length.
        roles: utterance_id and role.

    Returns:
        mean and std, [D_a] float64; population std (ddof 0), 0 replaced by 1.

    Source:
        Released code (MMIN), preprocess/IEMOCAP/make_comparE.py.
    """
    training = index[index["utterance_id"].isin(roles.loc[roles["role"] == "train", "utterance_id"])]
    sequences = [frames[o : o + n] for o, n in zip(training["a_offset"], training["a_length"], strict=True)]
    x = np.concatenate(sequences).astype(np.float64)
    if not len(x):  # no training utterance has acoustic features
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    # By min and max: through rounding, the std of a constant 0.1 is about 1e-17, not 0.
    constant = x.max(0) == x.min(0)
    mean = np.where(constant, x[0], x.mean(0))
    x -= mean
    std = np.sqrt(np.square(x, out=x).mean(0))
    return mean, np.where(constant, 1.0, std)
