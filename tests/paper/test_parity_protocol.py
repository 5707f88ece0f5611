"""Parity of schedule, scores and folds with the public code and pack (fixtures i, j, k)."""

import re

import pandas as pd
import pytest

from ifmmin.core import scoring
from ifmmin.core.terms import CONDITIONS, ROLES
from ifmmin.corpus import splitting
from ifmmin.results import table1
from ifmmin.training.schedule import learning_rate
from paper import reference
from paper.reference import check


def test_parity_learning_rate():
    fixture = reference.load("i_lr_schedule.npz")
    for name, rates in fixture.items():
        constant, decay = map(int, re.fullmatch(r"niter(\d+)_decay(\d+)", name).groups())

        got = [
            learning_rate(epoch, lr=2e-4, constant=constant, decay=decay)
            for epoch in range(1, constant + decay + 1)
        ]

        check(got, rates, 1e-15, name)


@pytest.mark.parametrize(
    "name", ["plain", "class_never_predicted", "class_absent_from_both", "class_absent_from_labels"]
)
def test_parity_scores(name):
    """WA and UA; for a class absent from the labels, UA averages over all fixed labels."""
    fixture = reference.load("j_metrics.npz")
    y, p = fixture[f"{name}.y"], fixture[f"{name}.p"]

    check(scoring.wa(y, p), fixture[f"{name}.wa"], 1e-12, "wa")
    check(scoring.ua(y, p, 4), fixture.get(f"{name}.ua_labels_fixed", fixture[f"{name}.ua"]), 1e-12, "ua")


def test_parity_scores_by_condition():
    fixture = reference.load("j_metrics.npz")
    table = pd.DataFrame(
        {
            "condition": [CONDITIONS[c] for c in fixture["six.condition"]],
            "label": fixture["six.y"],
            "predicted": fixture["six.p"],
        }
    )

    scores = table1.score(table, 4).set_index("condition")

    check(scores.loc[list(CONDITIONS), "wa"], fixture["six.wa"], 1e-12, "six.wa")
    check(scores.loc[list(CONDITIONS), "ua"], fixture["six.ua"], 1e-12, "six.ua")
    assert scores.loc["average", "ua"] == pytest.approx(fixture["six.ua"].mean(), abs=1e-12)
    check(
        [scoring.wa(table["label"], table["predicted"]), scoring.ua(table["label"], table["predicted"], 4)],
        fixture["six.pooled"][:2],
        1e-12,
        "pooled",
    )


def test_parity_folds_of_iemocap_by_rule():
    """Speakers, sizes and class counts of each split are those of the published pack, except its fold 8."""
    want = pd.read_csv(reference.FOLDER / "k_folds.csv")
    classes = ["angry", "happy", "neutral", "sad"]
    rows = []
    for line in want[want["split"] == "tst"].itertuples():
        for label, name in enumerate(classes):
            rows += [
                (f"{line.speakers}-{label}-{i}", line.speakers, label) for i in range(getattr(line, name))
            ]
    index = pd.DataFrame(rows, columns=["utterance_id", "speaker", "label"])

    for line in want.itertuples():
        roles = splitting.rule_roles(index, line.fold).merge(index, on="utterance_id")
        part = roles[roles["role"] == dict(zip(("trn", "val", "tst"), ROLES, strict=True))[line.split]]

        assert sorted(set(part["speaker"])) == line.speakers.split(), (line.fold, line.split)
        assert len(part) == line.n
        assert [int((part["label"] == k).sum()) for k in range(4)] == [
            getattr(line, name) for name in classes
        ]
