"""From predictions to Table 1, with tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from ifmmin import averaging

SIX = ["a", "v", "t", "av", "at", "vt"]


def predictions(right):
    """Utterances of classes 0 0 0 1 for each condition, of which the first `right` are right."""
    rows = [
        (condition, label, label if i < n else 1 - label)
        for condition, n in right.items()
        for i, label in enumerate((0, 0, 0, 1))
    ]
    return pd.DataFrame(rows, columns=["condition", "label", "predicted"])


def test_a_condition_is_scored_by_itself():
    """2 of 3 and 0 of 1 right: WA 2/4, UA 1/3. All right but the last: WA 3/4, UA 1/2."""
    scores = averaging.score(predictions({"a": 2, "vt": 3}), 2).set_index("condition")

    assert scores.loc["a"].tolist() == pytest.approx([2 / 4, 1 / 3])
    assert scores.loc["vt"].tolist() == pytest.approx([3 / 4, 1 / 2])


def test_the_average_is_over_the_six_conditions_and_never_over_the_full_input():
    """WA 4, 3, 2, 1, 0, 2 quarters: mean 2/4; the full input's 4/4 does not count."""
    right = dict(zip(SIX, (4, 3, 2, 1, 0, 2), strict=True)) | {"avt": 4}

    scores = averaging.score(predictions(right), 2).set_index("condition")

    assert list(scores.index) == [*SIX, "avt", "average"]
    assert scores.loc["average", "wa"] == pytest.approx(12 / 4 / 6)
    assert scores.loc["average", "ua"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 6 + 0 + 1 / 3) / 6)
    assert scores.loc["avt", "wa"] == 1


def test_the_average_does_not_depend_on_the_order_of_rows():
    right = dict(zip(SIX, (4, 3, 2, 1, 0, 2), strict=True)) | {"avt": 4}
    table = predictions(right)

    shuffled = averaging.score(table.sample(frac=1, random_state=0), 2)

    pd.testing.assert_frame_equal(shuffled, averaging.score(table, 2))


def scores(runs):
    """Scores from (system, fold, seed) to one WA for every condition; UA is half of it, the full input 1."""
    return pd.DataFrame(
        [
            (system, fold, seed, c, 1.0 if c == "avt" else wa, 1.0 if c == "avt" else wa / 2)
            for (system, fold, seed), wa in runs.items()
            for c in (*SIX, "avt", "average")
        ],
        columns=["system", "fold", "seed", "condition", "wa", "ua"],
    )


def test_the_table_is_the_mean_over_folds_within_a_seed_then_over_seeds():
    """Seed 0: folds 0.2, 0.4; seed 1: fold 0.8 alone. (0.3 + 0.8) / 2, not (0.2 + 0.4 + 0.8) / 3."""
    runs = {("x", 1, 0): 0.2, ("x", 2, 0): 0.4, ("x", 1, 1): 0.8}

    table = averaging.table(scores(runs), ["x"]).set_index("condition")

    assert table.loc["a", "wa"] == pytest.approx(0.55)
    assert table.loc["a", "ua"] == pytest.approx(0.275)
    assert table.loc["average", "wa"] == pytest.approx(0.55)
    assert table.loc["a", "n_folds"] == 2
    assert table.loc["a", "n_seeds"] == 2


def test_the_deviation_is_over_all_runs_with_one_degree_of_freedom_less():
    """0.2, 0.4, 0.9 about 0.5: (0.09 + 0.01 + 0.16) / 2."""
    runs = {("x", 1, 0): 0.2, ("x", 2, 0): 0.4, ("x", 1, 1): 0.9}

    table = averaging.table(scores(runs), ["x"]).set_index("condition")

    assert table.loc["v", "wa_std"] == pytest.approx(np.sqrt(0.13))
    assert table.loc["v", "ua_std"] == pytest.approx(np.sqrt(0.13) / 2)
    assert table.loc["avt", "wa_std"] == pytest.approx(0)


def test_the_deviation_of_a_single_run_is_missing():
    table = averaging.table(scores({("x", 1, 0): 0.2}), ["x"])

    assert table["wa_std"].isna().all()
    assert table["ua_std"].isna().all()


def test_systems_stand_in_the_order_of_rows_and_conditions_in_the_table_s():
    table = averaging.table(scores({("x", 1, 0): 0.2, ("b", 1, 0): 0.3, ("m", 1, 0): 0.4}), ["x", "m", "b"])

    assert list(dict.fromkeys(table["system"])) == ["x", "m", "b"]
    assert list(table.loc[table["system"] == "m", "condition"]) == ["average", *SIX, "avt"]
    assert list(table.columns) == [
        "system",
        "condition",
        "wa",
        "ua",
        "wa_std",
        "ua_std",
        "n_folds",
        "n_seeds",
    ]


def test_the_nested_table_has_systems_on_top_in_order_and_unrounded_numbers():
    table = averaging.table(scores({("x", 1, 0): 1 / 3, ("b", 1, 0): 0.3}), ["x", "b"])

    nested = averaging.nested(table)

    assert list(nested) == ["x", "b"]
    assert list(nested["x"]) == ["average", *SIX, "avt"]
    assert nested["x"]["average"] == {"ua": 1 / 6, "wa": 1 / 3}
    assert nested["b"]["avt"] == {"ua": 1.0, "wa": 1.0}


def test_every_run_is_scored_under_its_key():
    runs = {
        ("x", 1, 0): predictions({"a": 4}),
        ("x", 2, 0): predictions({"a": 1}),
        ("b", 1, 3): predictions({"a": 0}),
    }

    table = averaging.scores(runs, 2)

    got = table[table["condition"] == "a"].set_index(["system", "fold", "seed"])["wa"]
    assert got.to_dict() == {("x", 1, 0): 1.0, ("x", 2, 0): 0.25, ("b", 1, 3): 0.0}


def test_confusion_pairs_are_those_of_one_system_over_its_runs_by_class_name():
    """In condition a, two of four right in one run and four in the other; b is another system."""
    runs = {
        ("x", 1, 0): predictions({"a": 2, "v": 4}),
        ("b", 1, 0): predictions({"a": 0}),
        ("x", 2, 0): predictions({"a": 4, "avt": 0}),
    }

    pairs = averaging.confusions(runs, "x", ["sad", "happy"])

    assert list(pairs) == SIX
    assert [tuple(row) for row in pairs["a"].itertuples(index=False)] == [
        ("sad", "sad"),
        ("sad", "sad"),
        ("sad", "happy"),
        ("happy", "sad"),
        ("sad", "sad"),
        ("sad", "sad"),
        ("sad", "sad"),
        ("happy", "happy"),
    ]
    assert len(pairs["v"]) == 4
    assert len(pairs["vt"]) == 0


RUN = {
    "pretrained": {"device": "cpu", "precision": "float32"},
    "trained": {"device": "cpu", "precision": "float32"},
    "evaluated": {"device": "cpu", "precision": "float32"},
    "collapsed": [],
}


def notes(runs, synthetic=False):
    table = averaging.table(scores(dict.fromkeys(runs, 0.5)), sorted({system for system, _, _ in runs}))
    return averaging.notes(table, {"name": "MOSI", "synthetic": synthetic}, runs)


def test_the_note_says_corpus_folds_and_seeds():
    found = notes({("x", 1, 0): RUN, ("x", 2, 0): RUN, ("x", 1, 4): RUN, ("x", 2, 4): RUN, ("x", 5, 0): RUN})

    assert len(found) == 1
    assert "MOSI" in found[0]
    assert "3 folds" in found[0]
    assert "2 seeds" in found[0]


def test_the_note_warns_of_a_generated_corpus():
    assert any("generated" in note for note in notes({("x", 1, 0): RUN}, synthetic=True))


def test_the_note_names_devices_and_precisions_only_where_they_are_mixed():
    gpu = {**RUN, "trained": {"device": "cuda", "precision": "bf16"}}

    mixed = [note for note in notes({("x", 1, 0): RUN, ("x", 2, 0): gpu}) if "mixed" in note]

    assert len(mixed) == 1
    assert "cpu float32" in mixed[0]
    assert "cuda bf16" in mixed[0]


def test_the_note_names_runs_whose_encoders_collapsed():
    dead = {**RUN, "collapsed": ["h_t", "H_t"]}

    collapsed = [n for n in notes({("x", 1, 0): RUN, ("x", 7, 2): dead}) if "ollapsed" in n]

    assert len(collapsed) == 1
    assert all(part in collapsed[0] for part in ("h_t", "H_t", "x", "fold 7", "seed 2"))
