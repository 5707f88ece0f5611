"""Who trains, validates and tests in each fold; and the acoustic scaling of a fold.

Pure: tables in, tables out.

Source: the published pack, whose splits follow this rule but for its fold 8 (listed in
zuzianto/Gender-Bias-Multimodal, dataset/summary.csv); paper, section 3 ("8:1:1").
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ifmmin.terms import ROLES


def rule_roles(index: pd.DataFrame, fold: int) -> pd.DataFrame:
    """Split IEMOCAP by speaker.

    An odd fold tests the female and validates on the male speaker of session ceil(fold / 2).

    Args:
        index: utterance_id and speaker (session and letter, Ses01F).
        fold: from 1.

    Returns:
        utterance_id and role of every utterance; the speakers of other sessions train.
    """
    session = f"Ses{(fold + 1) // 2:02d}"
    test, validation = ("F", "M") if fold % 2 else ("M", "F")
    roles = index["speaker"].map({session + test: "test", session + validation: "validation"}).fillna("train")
    return pd.DataFrame({"utterance_id": index["utterance_id"], "role": roles})


def assign(index: pd.DataFrame, pack_folds: pd.DataFrame, fold: int, *, by_rule: bool) -> pd.DataFrame:
    """Give each utterance of a fold its role, by the rule or by the pack's target files."""
    if by_rule:
        return rule_roles(index, fold)
    rows = pack_folds.loc[pack_folds["fold"] == fold, ["utterance_id", "role"]]
    return rows.sort_values("utterance_id", ignore_index=True)


def faults(fold: int, roles: pd.DataFrame, index: pd.DataFrame, classes: list[str]) -> list[str]:
    """Say why a fold cannot be used.

    Args:
        fold: its number, for the sentences.
        roles: utterance_id and role.
        index: utterance_id and label of the whole corpus.
        classes: class names in label order.

    Returns:
        One sentence for each empty role, and for each class that training or test lacks: it could not be
        learned, or its recall would not be defined.
    """
    found = []
    labels = roles.merge(index[["utterance_id", "label"]], on="utterance_id", how="left")
    for role in ROLES:
        present = set(labels.loc[labels["role"] == role, "label"])
        if not present:
            found.append(
                f"fold {fold}: no utterance is in {role}; expected some. "
                "Check the target files, or the key folds."
            )
        found += [
            f"fold {fold}: class {name!r} has no utterance in {role}; expected every class there."
            for k, name in enumerate(classes)
            if role != "validation" and present and k not in present
        ]
    return found


class Plan(NamedTuple):
    """All folds, and what there is to say about them.

    Attributes:
        roles: fold to utterance_id and role.
        faults: why some cannot be used, a sentence each.
        warnings: what a user should know, a sentence each.
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
    """Decide the folds.

    Args:
        index: utterance_id, speaker, label.
        pack_folds: fold, utterance_id, role of the pack's target files.
        folds: numbers asked for.
        corpus: classes, and iemocap: whether the ids are IEMOCAP's.
        folds_from: "rule", "pack", or "auto": the rule for IEMOCAP's ids, else the pack.

    Returns:
        The plan. Speakers are looked at over all folds of the pack where the pack is followed, as one is
        tested twice only where another fold shows it.
    """
    if folds_from == "rule" and not corpus["iemocap"]:
        return Plan(
            {},
            [
                "params.yaml, key split.folds_from is 'rule': the ids of this pack are not IEMOCAP's; "
                "expected 'pack' or 'auto'."
            ],
            [],
        )
    by_rule = folds_from != "pack" and corpus["iemocap"]
    offered = sorted(range(1, 2 * _sessions(index) + 1) if by_rule else set(pack_folds["fold"]))
    absent = [
        f"params.yaml, key folds: fold {fold} does not exist; expected some of {_listed(offered)}."
        for fold in folds
        if fold not in offered
    ]
    roles = {fold: assign(index, pack_folds, fold, by_rule=by_rule) for fold in offered}
    wanted = {fold: roles[fold] for fold in folds if fold in roles}
    found = [fault for fold, part in wanted.items() for fault in faults(fold, part, index, corpus["classes"])]
    if not by_rule:
        return Plan(wanted, absent + found, speaker_warnings(roles, index))
    return Plan(
        wanted,
        absent + found,
        [
            f"fold {fold}: the pack's target files test other utterances than the rule, which is followed; "
            "set split.folds_from to pack to follow them."
            for fold in differing_folds(wanted, pack_folds)
        ],
    )


def _sessions(index: pd.DataFrame) -> int:
    return int(index["speaker"].str[3:5].astype(int).max())


def speaker_warnings(roles_by_fold: dict[int, pd.DataFrame], index: pd.DataFrame) -> list[str]:
    """Say which speakers a set of folds tests twice or never, or has on both sides of a fold.

    Args:
        roles_by_fold: fold to utterance_id and role.
        index: utterance_id and speaker.

    Returns:
        One sentence for each finding, with the fold.
    """
    found: list[str] = []
    tested_in: dict[str, list[int]] = {name: [] for name in sorted(set(index["speaker"]))}
    for fold, roles in sorted(roles_by_fold.items()):
        speakers = roles.merge(index[["utterance_id", "speaker"]], on="utterance_id")
        by_role = {role: set(rows["speaker"]) for role, rows in speakers.groupby("role")}
        for name in sorted(by_role.get("test", set())):
            tested_in[name].append(fold)
            if name in by_role.get("train", set()):
                found.append(f"fold {fold}: speaker {name} is in training and in test.")
    for name, numbers in tested_in.items():
        if not numbers:
            found.append(f"speaker {name} is never tested by folds {_listed(roles_by_fold)}.")
        found += [
            f"fold {number}: speaker {name} is tested there and in fold {numbers[0]} too."
            for number in numbers[1:]
        ]
    return found


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def differing_folds(roles_by_fold: dict[int, pd.DataFrame], pack_folds: pd.DataFrame) -> list[int]:
    """List the folds whose test set differs from the one in the pack's target files.

    Folds without files do not count.
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
    """Mean and deviation of each acoustic dimension over all frames of a fold's training utterances.

    Args:
        frames: [frames, D_a] float32, the corpus end to end.
        index: utterance_id, a_offset, a_length.
        roles: utterance_id and role.

    Returns:
        mean and std, [D_a] float64; population deviation, 0 replaced by 1.

    Source:
        Released code (MMIN), preprocess/IEMOCAP/make_comparE.py.
    """
    training = index[index["utterance_id"].isin(roles.loc[roles["role"] == "train", "utterance_id"])]
    parts = [frames[o : o + n] for o, n in zip(training["a_offset"], training["a_length"], strict=True)]
    x = np.concatenate(parts).astype(np.float64)
    if not len(x):  # no training utterance has sound
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    constant = x.max(0) == x.min(
        0
    )  # told by its values: rounding gives the deviation of a constant 0.1 as 1e-17
    mean = np.where(constant, x[0], x.mean(0))
    x -= mean
    std = np.sqrt(np.square(x, out=x).mean(0))
    return mean, np.where(constant, 1.0, std)
