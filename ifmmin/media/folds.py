"""Speaker-disjoint folds for a corpus without predefined folds."""

from collections.abc import Sequence

import pandas as pd

from ifmmin.core.errors import UserError
from ifmmin.core.terms import ROLES
from ifmmin.corpus.splitting import rule_roles
from ifmmin.media.clips import Clip
from ifmmin.pack.ids import is_iemocap, speaker


def over_speakers(clips: Sequence[Clip]) -> dict[int, dict[str, list[str]]]:
    """Assign each utterance a role in each fold.

    IEMOCAP's ids follow its rule (splitting.rule_roles) with two folds for each session. Other corpora use
    leave-one-speaker-out: fold k tests on the k-th speaker in sorted order, validates on the next one (after
    the last, the first), and trains on the rest.

    Returns:
        Fold to role to utterance ids.

    Raises:
        UserError: if a role would have no utterances, or there are fewer than three speakers.
    """
    ids = [clip.utterance_id for clip in clips]
    if is_iemocap(ids):
        index = pd.DataFrame({"utterance_id": ids, "speaker": [speaker(name) for name in ids]})
        sessions = sorted({int(name[3:5]) for name in ids})
        tables = {fold: rule_roles(index, fold) for s in sessions for fold in (2 * s - 1, 2 * s)}
        folds = {
            fold: {role: list(table.loc[table["role"] == role, "utterance_id"]) for role in ROLES}
            for fold, table in tables.items()
        }
    else:
        folds = _leave_one_speaker_out(clips)
    for fold, roles in folds.items():
        for role, names in roles.items():
            if not names:
                raise UserError(
                    f"fold {fold}: no utterance would be in {role}; expected both speakers of each session, "
                    "and at least two sessions. Add recordings, or remove the labels."
                )
    return folds


def _leave_one_speaker_out(clips: Sequence[Clip]) -> dict[int, dict[str, list[str]]]:
    speakers = sorted({clip.speaker for clip in clips})
    if len(speakers) < 3:
        raise UserError(
            f"the labelled utterances come from {len(speakers)} speakers ({', '.join(speakers)}); "
            "expected at least three, to train, validate and test. Add speakers, or remove the labels."
        )
    following = dict(zip(speakers, speakers[1:] + speakers[:1], strict=True))
    return {
        fold: {
            "train": [c.utterance_id for c in clips if c.speaker not in (tested, following[tested])],
            "validation": [c.utterance_id for c in clips if c.speaker == following[tested]],
            "test": [c.utterance_id for c in clips if c.speaker == tested],
        }
        for fold, tested in enumerate(speakers, 1)
    }
