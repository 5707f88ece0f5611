"""From predictions to Table 1, on small hand-made tables."""

import numpy as np
import pandas as pd
import pytest

from ifmmin.results import table1

SIX = ["a", "v", "t", "av", "at", "vt"]


def predictions(right):
    """Utterances of classes 0 0 0 1 in each condition; `right` says how many of the first are correct."""
    rows = [
        (condition, label, label if i < n else 1 - label)
        for condition, n in right.items()
        for i, label in enumerate((0, 0, 0, 1))
    ]
    return pd.DataFrame(rows, columns=["condition", "label", "predicted"])


def test_conditions_are_scored_separately():
    """In a, 2 of 3 and 0 of 1 are correct: WA 2/4, UA 1/3. In vt, all but the last: WA 3/4, UA 1/2."""
    scores = table1.score(predictions({"a": 2, "vt": 3}), 2).set_index("condition")

    assert scores.loc["a"].tolist() == pytest.approx([2 / 4, 1 / 3])
    assert scores.loc["vt"].tolist() == pytest.approx([3 / 4, 1 / 2])


def test_the_average_excludes_the_full_input():
    """WA is 4, 3, 2, 1, 0 and 2 quarters, with mean 2/4; the full input's 4/4 does not count."""
    right = dict(zip(SIX, (4, 3, 2, 1, 0, 2), strict=True)) | {"avt": 4}

    scores = table1.score(predictions(right), 2).set_index("condition")

    assert list(scores.index) == [*SIX, "avt", "average"]
    assert scores.loc["average", "wa"] == pytest.approx(12 / 4 / 6)
    assert scores.loc["average", "ua"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 6 + 0 + 1 / 3) / 6)
    assert scores.loc["avt", "wa"] == 1


def test_the_average_does_not_depend_on_the_order_of_rows():
    right = dict(zip(SIX, (4, 3, 2, 1, 0, 2), strict=True)) | {"avt": 4}
    table = predictions(right)

    shuffled = table1.score(table.sample(frac=1, random_state=0), 2)

    pd.testing.assert_frame_equal(shuffled, table1.score(table, 2))


def scores(runs):
    """A score table from WA by (system, fold, seed), equal in all conditions. UA is half; avt has 1."""
    return pd.DataFrame(
        [
            (system, fold, seed, c, 1.0 if c == "avt" else wa, 1.0 if c == "avt" else wa / 2)
            for (system, fold, seed), wa in runs.items()
            for c in (*SIX, "avt", "average")
        ],
        columns=["system", "fold", "seed", "condition", "wa", "ua"],
    )


def test_table_1_averages_over_folds_within_a_seed_and_then_over_seeds():
    """Seed 0 has folds 0.2 and 0.4, seed 1 only 0.8: (0.3 + 0.8) / 2, not (0.2 + 0.4 + 0.8) / 3."""
    runs = {("x", 1, 0): 0.2, ("x", 2, 0): 0.4, ("x", 1, 1): 0.8}

    table = table1.table(scores(runs), ["x"]).set_index("condition")

    assert table.loc["a", "wa"] == pytest.approx(0.55)
    assert table.loc["a", "ua"] == pytest.approx(0.275)
    assert table.loc["average", "wa"] == pytest.approx(0.55)
    assert table.loc["a", "n_folds"] == 2
    assert table.loc["a", "n_seeds"] == 2


def test_the_std_is_the_sample_std_over_all_runs():
    """0.2, 0.4, 0.9 with mean 0.5: the variance is (0.09 + 0.01 + 0.16) / 2."""
    runs = {("x", 1, 0): 0.2, ("x", 2, 0): 0.4, ("x", 1, 1): 0.9}

    table = table1.table(scores(runs), ["x"]).set_index("condition")

    assert table.loc["v", "wa_std"] == pytest.approx(np.sqrt(0.13))
    assert table.loc["v", "ua_std"] == pytest.approx(np.sqrt(0.13) / 2)
    assert table.loc["avt", "wa_std"] == pytest.approx(0)


def test_the_std_of_a_single_run_is_missing():
    table = table1.table(scores({("x", 1, 0): 0.2}), ["x"])

    assert table["wa_std"].isna().all()
    assert table["ua_std"].isna().all()


def test_systems_have_the_order_of_rows_and_conditions_that_of_the_table():
    table = table1.table(scores({("x", 1, 0): 0.2, ("b", 1, 0): 0.3, ("m", 1, 0): 0.4}), ["x", "m", "b"])

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


def test_the_nested_table_has_systems_in_order_and_unrounded_scores():
    table = table1.table(scores({("x", 1, 0): 1 / 3, ("b", 1, 0): 0.3}), ["x", "b"])

    nested = table1.nested(table)

    assert list(nested) == ["x", "b"]
    assert list(nested["x"]) == ["average", *SIX, "avt"]
    assert nested["x"]["average"] == {"ua": 1 / 6, "wa": 1 / 3}
    assert nested["b"]["avt"] == {"ua": 1.0, "wa": 1.0}


def test_each_run_is_scored_under_its_system_fold_and_seed():
    runs = {
        ("x", 1, 0): predictions({"a": 4}),
        ("x", 2, 0): predictions({"a": 1}),
        ("b", 1, 3): predictions({"a": 0}),
    }

    table = table1.scores(runs, 2)

    got = table[table["condition"] == "a"].set_index(["system", "fold", "seed"])["wa"]
    assert got.to_dict() == {("x", 1, 0): 1.0, ("x", 2, 0): 0.25, ("b", 1, 3): 0.0}


def test_cells_without_predictions_are_missing_and_count_no_folds():
    """System x has full-input scores in one of two folds, b in none."""
    runs = scores({("x", 1, 0): 0.2, ("x", 2, 0): 0.4, ("b", 1, 0): 0.3, ("b", 2, 0): 0.5})
    absent = (runs["condition"] == "avt") & ((runs["system"] == "b") | (runs["fold"] == 2))

    table = table1.table(runs[~absent], ["x", "b"]).set_index(["system", "condition"])

    assert table.loc[("b", "avt"), ["wa", "ua", "wa_std", "ua_std"]].isna().all()
    assert table.loc[("b", "avt"), ["n_folds", "n_seeds"]].tolist() == [0, 0]
    assert table.loc[("x", "avt"), ["wa", "n_folds", "n_seeds"]].tolist() == [1.0, 1, 1]
    assert table.loc[("b", "vt"), ["wa", "n_folds", "n_seeds"]].tolist() == [0.4, 2, 1]
    assert [str(table[name].dtype) for name in ("n_folds", "n_seeds")] == ["int64", "int64"]


def test_the_nested_table_omits_missing_cells():
    runs = scores({("x", 1, 0): 0.2, ("b", 1, 0): 0.3})
    absent = (runs["condition"] == "avt") & (runs["system"] == "b")

    nested = table1.nested(table1.table(runs[~absent], ["x", "b"]))

    assert list(nested["x"]) == ["average", *SIX, "avt"]
    assert list(nested["b"]) == ["average", *SIX]


PAIRS = {
    ("x", 1, 0): [("v", 0, 1), ("avt", 0, 0), ("a", 0, 0), ("a", 0, 1), ("a", 2, 2)],
    ("b", 1, 0): [("a", 1, 0), ("a", 0, 2)],
    ("x", 2, 0): [("a", 0, 1), ("a", 0, 1), ("a", 1, 1)],
    ("x", 1, 5): [("a", 0, 0), ("a", 1, 2), ("a", 2, 2), ("a", 2, 1)],
}
"""(condition, label, predicted) by (system, fold, seed), for three classes."""

CLASSES = ["sad", "happy", "angry"]


def pairs():
    return {
        run: pd.DataFrame(rows, columns=["condition", "label", "predicted"]) for run, rows in PAIRS.items()
    }


def test_confusions_are_summed_over_folds_and_seeds():
    """System x in a: 5 sad as 2 sad, 3 happy; 2 happy as 1 happy, 1 angry; 3 angry as 1 happy, 2 angry."""
    table = table1.confusions(pairs(), CLASSES)

    cell = table[(table["system"] == "x") & (table["condition"] == "a")]
    assert list(cell[["actual", "predicted", "count", "share"]].itertuples(index=False, name=None)) == [
        ("sad", "sad", 2, 2 / 5),
        ("sad", "happy", 3, 3 / 5),
        ("sad", "angry", 0, 0.0),
        ("happy", "sad", 0, 0.0),
        ("happy", "happy", 1, 1 / 2),
        ("happy", "angry", 1, 1 / 2),
        ("angry", "sad", 0, 0.0),
        ("angry", "happy", 1, 1 / 3),
        ("angry", "angry", 2, 2 / 3),
    ]


def test_confusions_keep_the_order_of_systems_and_sort_conditions():
    """Nine pairs each: x predicts a, v and the full input (which comes before a in its file), b only a."""
    table = table1.confusions(pairs(), CLASSES)

    assert list(table.columns) == ["system", "condition", "actual", "predicted", "count", "share"]
    cells = table.groupby(["system", "condition"], sort=False).size()
    assert cells.to_dict() == {("x", "a"): 9, ("x", "v"): 9, ("x", "avt"): 9, ("b", "a"): 9}
    assert list(cells.index) == [("x", "a"), ("x", "v"), ("x", "avt"), ("b", "a")]


def test_the_shares_of_a_class_without_utterances_are_missing():
    """In a, system b has one sad, one happy and no angry utterance."""
    table = table1.confusions(pairs(), CLASSES)

    shares = table[table["system"] == "b"].set_index(["actual", "predicted"])["share"]
    assert shares["sad"].tolist() == [0, 0, 1]
    assert shares["happy"].tolist() == [1, 0, 0]
    assert shares["angry"].isna().all()


def test_recalls_are_means_over_folds_within_a_seed_then_over_seeds():
    """System x in a. A class without utterances in a fold has recall 0 there.

    sad: 1/2 and 0/2 in the folds of seed 0, 1/1 in seed 5: (1/4 + 1) / 2. happy: 0 and 1/1, then 0/1:
    (1/2 + 0) / 2. angry: 1/1 and 0, then 1/2: (1/2 + 1/2) / 2.
    """
    table = table1.recalls(pairs(), CLASSES)

    cell = table[(table["system"] == "x") & (table["condition"] == "a")]
    assert cell["class"].tolist() == CLASSES
    assert cell["recall"].tolist() == pytest.approx([5 / 8, 1 / 4, 1 / 2])


def test_recalls_keep_the_order_of_systems_and_sort_conditions():
    table = table1.recalls(pairs(), CLASSES)

    assert list(table.columns) == ["system", "condition", "class", "recall"]
    assert list(table[["system", "condition"]].drop_duplicates().itertuples(index=False, name=None)) == [
        ("x", "a"),
        ("x", "v"),
        ("x", "avt"),
        ("b", "a"),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_of_the_recalls_is_the_ua_of_table_1(seed):
    """Random runs: most have one or two utterances per condition and lack classes, seeds lack folds."""
    drawn = np.random.default_rng(seed).integers(3, size=(60, 4))
    names = ["fold", "seed", "label", "predicted"]
    lines = pd.DataFrame(drawn, columns=names).assign(
        system=["x", "b"] * 30, condition=["a", "avt", "vt"] * 20
    )
    groups = lines.groupby(["system", "fold", "seed"])
    runs = {run: group[["condition", "label", "predicted"]] for run, group in groups}

    recalls = table1.recalls(runs, CLASSES).groupby(["system", "condition"])["recall"].mean()

    table = table1.table(table1.scores(runs, 3), ["x", "b"]).set_index(["system", "condition"])["ua"]
    expected = table.drop("average", level="condition").dropna()
    assert len(expected) == 6
    assert recalls.to_dict() == pytest.approx(expected.to_dict(), abs=1e-12)


RUN = {
    "pretrained": {"device": "cpu", "precision": "float32"},
    "trained": {"device": "cpu", "precision": "float32"},
    "evaluated": {"device": "cpu", "precision": "float32"},
    "collapsed": [],
}


def notes(runs, synthetic=False):
    table = table1.table(scores(dict.fromkeys(runs, 0.5)), sorted({system for system, _, _ in runs}))
    return table1.notes(table, {"name": "MOSI", "synthetic": synthetic}, runs)


def test_the_note_names_corpus_folds_and_seeds():
    lines = notes({("x", 1, 0): RUN, ("x", 2, 0): RUN, ("x", 1, 4): RUN, ("x", 2, 4): RUN, ("x", 5, 0): RUN})

    assert len(lines) == 2
    assert "MOSI" in lines[0]
    assert "3 folds" in lines[0]
    assert "2 seeds" in lines[0]


def test_the_note_explains_the_std_if_there_is_one():
    several, single = notes({("x", 1, 0): RUN, ("x", 2, 0): RUN}), notes({("x", 1, 0): RUN})

    assert [note for note in several if note.startswith("±")] == several[1:]
    assert len(single) == 1


def test_the_note_explains_empty_cells_if_there_are_any():
    runs = scores({("x", 1, 0): 0.2})
    table = table1.table(runs[runs["condition"] != "avt"], ["x"])

    lines = table1.notes(table, {"name": "MOSI", "synthetic": False}, {("x", 1, 0): RUN})

    assert lines[1:] == ["\N{EN DASH} means that the system does not support this input."]


def test_the_note_warns_of_a_synthetic_corpus():
    assert any("synthetic" in note for note in notes({("x", 1, 0): RUN}, synthetic=True))


def test_the_note_names_mixed_devices_and_precisions():
    gpu = {**RUN, "trained": {"device": "cuda", "precision": "bf16"}}

    mixed = [note for note in notes({("x", 1, 0): RUN, ("x", 2, 0): gpu}) if "mixed" in note]

    assert len(mixed) == 1
    assert "cpu float32" in mixed[0]
    assert "cuda bf16" in mixed[0]


def test_a_run_without_pretraining_has_no_pretraining_device():
    """A CPU run by itself is not mixed; together with a run pretrained on a GPU it is."""
    scratch, gpu = {**RUN, "pretrained": None}, {**RUN, "pretrained": {"device": "cuda", "precision": "bf16"}}

    alone, beside = notes({("x", 1, 0): scratch}), notes({("x", 1, 0): scratch, ("b", 1, 0): gpu})

    assert not [note for note in alone if "mixed" in note]
    assert [note for note in beside if "mixed" in note] == [
        "Devices and precisions are mixed: cpu float32, cuda bf16."
    ]


def test_the_note_names_runs_with_collapsed_encoders():
    collapsed_run = {**RUN, "collapsed": ["h_t", "H_t"]}

    collapsed = [n for n in notes({("x", 1, 0): RUN, ("x", 7, 2): collapsed_run}) if "ollapsed" in n]

    assert len(collapsed) == 1
    assert all(part in collapsed[0] for part in ("h_t", "H_t", "x", "fold 7", "seed 2"))


def test_each_device_and_precision_is_named_once():
    cpu, gpu = {"device": "cpu", "precision": "float32"}, {"device": "cuda", "precision": "bf16"}
    runs = {
        ("x", 1, 0): {"pretrained": gpu, "trained": cpu, "evaluated": cpu, "collapsed": []},
        ("y", 1, 0): {"pretrained": None, "trained": cpu, "evaluated": cpu, "collapsed": []},
    }

    assert table1.devices_and_precisions(runs) == ["cpu float32", "cuda bf16"]
