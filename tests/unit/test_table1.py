"""From predictions to Table 1, with tables made by hand."""

import numpy as np
import pandas as pd
import pytest

from ifmmin.results import table1

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
    scores = table1.score(predictions({"a": 2, "vt": 3}), 2).set_index("condition")

    assert scores.loc["a"].tolist() == pytest.approx([2 / 4, 1 / 3])
    assert scores.loc["vt"].tolist() == pytest.approx([3 / 4, 1 / 2])


def test_the_average_is_over_the_six_conditions_and_never_over_the_full_input():
    """WA 4, 3, 2, 1, 0, 2 quarters: mean 2/4; the full input's 4/4 does not count."""
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

    table = table1.table(scores(runs), ["x"]).set_index("condition")

    assert table.loc["a", "wa"] == pytest.approx(0.55)
    assert table.loc["a", "ua"] == pytest.approx(0.275)
    assert table.loc["average", "wa"] == pytest.approx(0.55)
    assert table.loc["a", "n_folds"] == 2
    assert table.loc["a", "n_seeds"] == 2


def test_the_deviation_is_over_all_runs_with_one_degree_of_freedom_less():
    """0.2, 0.4, 0.9 about 0.5: (0.09 + 0.01 + 0.16) / 2."""
    runs = {("x", 1, 0): 0.2, ("x", 2, 0): 0.4, ("x", 1, 1): 0.9}

    table = table1.table(scores(runs), ["x"]).set_index("condition")

    assert table.loc["v", "wa_std"] == pytest.approx(np.sqrt(0.13))
    assert table.loc["v", "ua_std"] == pytest.approx(np.sqrt(0.13) / 2)
    assert table.loc["avt", "wa_std"] == pytest.approx(0)


def test_the_deviation_of_a_single_run_is_missing():
    table = table1.table(scores({("x", 1, 0): 0.2}), ["x"])

    assert table["wa_std"].isna().all()
    assert table["ua_std"].isna().all()


def test_systems_stand_in_the_order_of_rows_and_conditions_in_the_table_s():
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


def test_the_nested_table_has_systems_on_top_in_order_and_unrounded_numbers():
    table = table1.table(scores({("x", 1, 0): 1 / 3, ("b", 1, 0): 0.3}), ["x", "b"])

    nested = table1.nested(table)

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

    table = table1.scores(runs, 2)

    got = table[table["condition"] == "a"].set_index(["system", "fold", "seed"])["wa"]
    assert got.to_dict() == {("x", 1, 0): 1.0, ("x", 2, 0): 0.25, ("b", 1, 3): 0.0}


def test_cells_that_no_run_predicts_are_missing_and_count_no_folds():
    """System x is scored on the full input in one of two folds, b never."""
    runs = scores({("x", 1, 0): 0.2, ("x", 2, 0): 0.4, ("b", 1, 0): 0.3, ("b", 2, 0): 0.5})
    absent = (runs["condition"] == "avt") & ((runs["system"] == "b") | (runs["fold"] == 2))

    table = table1.table(runs[~absent], ["x", "b"]).set_index(["system", "condition"])

    assert table.loc[("b", "avt"), ["wa", "ua", "wa_std", "ua_std"]].isna().all()
    assert table.loc[("b", "avt"), ["n_folds", "n_seeds"]].tolist() == [0, 0]
    assert table.loc[("x", "avt"), ["wa", "n_folds", "n_seeds"]].tolist() == [1.0, 1, 1]
    assert table.loc[("b", "vt"), ["wa", "n_folds", "n_seeds"]].tolist() == [0.4, 2, 1]
    assert [str(table[name].dtype) for name in ("n_folds", "n_seeds")] == ["int64", "int64"]


def test_the_nested_table_has_no_line_for_a_missing_cell():
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
"""(system, fold, seed) to (condition, label, predicted) of three classes."""

CLASSES = ["sad", "happy", "angry"]


def pairs():
    return {
        run: pd.DataFrame(rows, columns=["condition", "label", "predicted"]) for run, rows in PAIRS.items()
    }


def test_confusions_count_each_system_over_its_folds_and_seeds():
    """In a, x takes 5 sad for 2 sad, 3 happy; 2 happy for 1 happy, 1 angry; 3 angry for 1 happy, 2 angry."""
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


def test_confusions_have_systems_as_they_come_and_the_conditions_that_each_predicts():
    """Nine pairs each: x has a, v and the full input, which comes first in its predictions; b has a."""
    table = table1.confusions(pairs(), CLASSES)

    assert list(table.columns) == ["system", "condition", "actual", "predicted", "count", "share"]
    cells = table.groupby(["system", "condition"], sort=False).size()
    assert cells.to_dict() == {("x", "a"): 9, ("x", "v"): 9, ("x", "avt"): 9, ("b", "a"): 9}
    assert list(cells.index) == [("x", "a"), ("x", "v"), ("x", "avt"), ("b", "a")]


def test_the_share_of_a_class_without_utterances_is_missing():
    """System b sees sad and happy once each in a, angry never."""
    table = table1.confusions(pairs(), CLASSES)

    shares = table[table["system"] == "b"].set_index(["actual", "predicted"])["share"]
    assert shares["sad"].tolist() == [0, 0, 1]
    assert shares["happy"].tolist() == [1, 0, 0]
    assert shares["angry"].isna().all()


def test_recalls_are_means_over_folds_within_a_seed_then_over_seeds():
    """Of x in a. A class that a fold lacks counts as 0 there.

    sad: 1/2 and 0/2 in the folds of seed 0, 1/1 in seed 5: (1/4 + 1) / 2. happy: 0 and 1/1, then 0/1:
    (1/2 + 0) / 2. angry: 1/1 and 0, then 1/2: (1/2 + 1/2) / 2.
    """
    table = table1.recalls(pairs(), CLASSES)

    cell = table[(table["system"] == "x") & (table["condition"] == "a")]
    assert cell["class"].tolist() == CLASSES
    assert cell["recall"].tolist() == pytest.approx([5 / 8, 1 / 4, 1 / 2])


def test_recalls_have_systems_as_they_come_and_the_conditions_that_each_predicts():
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
    """Whatever classes a run lacks, with one or two utterances in most conditions, and folds a seed lacks."""
    drawn = np.random.default_rng(seed).integers(3, size=(60, 4))
    names = ["fold", "seed", "label", "predicted"]
    lines = pd.DataFrame(drawn, columns=names).assign(
        system=["x", "b"] * 30, condition=["a", "avt", "vt"] * 20
    )
    groups = lines.groupby(["system", "fold", "seed"])
    runs = {run: part[["condition", "label", "predicted"]] for run, part in groups}

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


def test_the_note_says_corpus_folds_and_seeds():
    found = notes({("x", 1, 0): RUN, ("x", 2, 0): RUN, ("x", 1, 4): RUN, ("x", 2, 4): RUN, ("x", 5, 0): RUN})

    assert len(found) == 2
    assert "MOSI" in found[0]
    assert "3 folds" in found[0]
    assert "2 seeds" in found[0]


def test_the_note_says_what_a_spread_is_where_there_is_one():
    several, one = notes({("x", 1, 0): RUN, ("x", 2, 0): RUN}), notes({("x", 1, 0): RUN})

    assert [note for note in several if note.startswith("±")] == several[1:]
    assert len(one) == 1


def test_the_note_says_what_an_empty_cell_is_where_there_is_one():
    runs = scores({("x", 1, 0): 0.2})
    table = table1.table(runs[runs["condition"] != "avt"], ["x"])

    found = table1.notes(table, {"name": "MOSI", "synthetic": False}, {("x", 1, 0): RUN})

    assert found[1:] == ["\N{EN DASH} stands where a system does not predict from that input."]


def test_the_note_warns_of_a_generated_corpus():
    assert any("generated" in note for note in notes({("x", 1, 0): RUN}, synthetic=True))


def test_the_note_names_devices_and_precisions_only_where_they_are_mixed():
    gpu = {**RUN, "trained": {"device": "cuda", "precision": "bf16"}}

    mixed = [note for note in notes({("x", 1, 0): RUN, ("x", 2, 0): gpu}) if "mixed" in note]

    assert len(mixed) == 1
    assert "cpu float32" in mixed[0]
    assert "cuda bf16" in mixed[0]


def test_a_run_without_pretraining_has_no_device_of_pretraining():
    """Alone on the processor it mixes nothing; beside a run pretrained on a GPU it does."""
    scratch, gpu = {**RUN, "pretrained": None}, {**RUN, "pretrained": {"device": "cuda", "precision": "bf16"}}

    alone, beside = notes({("x", 1, 0): scratch}), notes({("x", 1, 0): scratch, ("b", 1, 0): gpu})

    assert not [note for note in alone if "mixed" in note]
    assert [note for note in beside if "mixed" in note] == [
        "Devices and precisions are mixed: cpu float32, cuda bf16."
    ]


def test_the_note_names_runs_whose_encoders_collapsed():
    dead = {**RUN, "collapsed": ["h_t", "H_t"]}

    collapsed = [n for n in notes({("x", 1, 0): RUN, ("x", 7, 2): dead}) if "ollapsed" in n]

    assert len(collapsed) == 1
    assert all(part in collapsed[0] for part in ("h_t", "H_t", "x", "fold 7", "seed 2"))


def test_devices_and_precisions_are_named_once_each():
    cpu, gpu = {"device": "cpu", "precision": "float32"}, {"device": "cuda", "precision": "bf16"}
    made = {
        ("x", 1, 0): {"pretrained": gpu, "trained": cpu, "evaluated": cpu, "collapsed": []},
        ("y", 1, 0): {"pretrained": None, "trained": cpu, "evaluated": cpu, "collapsed": []},
    }

    assert table1.made_on(made) == ["cpu float32", "cuda bf16"]
