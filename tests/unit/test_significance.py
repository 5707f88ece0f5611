"""Significance tests against results by hand, other implementations and properties."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from ifmmin.results import significance, table1

LINES = ["average", "a", "v", "t", "av", "at", "vt"]
COLUMNS = [
    "other",
    "condition",
    "metric",
    "n_folds",
    "n_seeds",
    "difference",
    "ci_low",
    "ci_high",
    "p",
    "p_holm",
    "detectable",
    "effect_size",
    "note",
]
NUMBERS = ["difference", "ci_low", "ci_high", "p", "detectable", "effect_size"]


def roles(fold, n_test, n_train, session=None):
    """Roles of a fold: its own test utterances, two for validation, and its session's training utterances."""
    prefixes = [("test", f"f{fold}_"), ("validation", "v_"), ("train", f"t{session or fold}_")]
    return pd.DataFrame(
        [
            (f"{prefix}{n}", role)
            for (role, prefix), count in zip(prefixes, (n_test, 2, n_train), strict=True)
            for n in range(count)
        ],
        columns=["utterance_id", "role"],
    )


FOLDS = {1: roles(1, 1, 4), 2: roles(2, 1, 12), 3: roles(3, 1, 6)}
"""n_test / n_train is 1/4, 1/12 and 1/6: 1/6 on average."""

SIXTH = {fold: roles(fold, 1, 6) for fold in range(1, 21)}


def scores(wa, conditions=(*LINES, "avt")):
    """A score table from WA by (system, fold, seed), equal in all conditions; UA is a quarter of WA."""
    return pd.DataFrame(
        [(system, fold, seed, c, x, x / 4) for (system, fold, seed), x in wa.items() for c in conditions],
        columns=["system", "fold", "seed", "condition", "wa", "ua"],
    )


def ahead(differences, seed=0):
    """WA of runs of x and y: x is ahead by one given difference per fold, from fold 1."""
    return {("y", fold, seed): 0.5 for fold in range(1, len(differences) + 1)} | {
        ("x", fold, seed): 0.5 + d for fold, d in enumerate(differences, 1)
    }


def compared(wa, folds=SIXTH, others=("y",)):
    table = wa if isinstance(wa, pd.DataFrame) else scores(wa)
    return significance.compared(table, folds, proposed="x", others=others)


def line(table, condition="a", metric="wa", other="y"):
    [row] = table[
        (table["other"] == other) & (table["condition"] == condition) & (table["metric"] == metric)
    ].to_dict("records")
    return row


# The test itself.


def test_the_corrected_test_of_three_folds_worked_out_by_hand():
    """Differences 0.02, 0.04, 0.06 over two seeds each: mean 0.04, s 0.02, k = 3; n_test / n_train 1/6.

    The variance is (1/3 + 1/6) 0.0004 = 0.0002, so t = 0.04 / sqrt(0.0002) = sqrt(8). With two degrees of
    freedom p has a closed form: 1 - t / sqrt(2 + t^2) = 1 - sqrt(8 / 10). The 97.5 % quantile is
    0.95 sqrt(2) / sqrt(1 - 0.95^2), so the half-width of the interval is 0.95 * 0.02 / sqrt(1 - 0.95^2).
    d_z = 0.04 / 0.02.
    """
    differences = {1: (0.01, 0.03), 2: (0.06, 0.02), 3: (0.06, 0.06)}
    wa = {("y", fold, seed): 0.5 for fold in differences for seed in (0, 1)} | {
        ("x", fold, seed): 0.5 + d for fold, pair in differences.items() for seed, d in enumerate(pair)
    }

    table = compared(wa, FOLDS)
    row = line(table)

    half = 0.95 * 0.02 / math.sqrt(1 - 0.95**2)
    assert (row["n_folds"], row["n_seeds"]) == (3, 2)
    assert row["difference"] == pytest.approx(0.04)
    assert row["p"] == pytest.approx(1 - math.sqrt(0.8))
    assert row["ci_low"] == pytest.approx(0.04 - half)
    assert row["ci_high"] == pytest.approx(0.04 + half)
    assert row["effect_size"] == pytest.approx(2)
    assert row["note"] == ""
    assert line(table, "average", "ua")["p_holm"] == pytest.approx(row["p"])  # UA is a multiple of WA


def test_the_detectable_difference_is_detected_with_power_80_per_cent():
    """10 units without shared training data: simulated rejections at this true difference."""
    generator = np.random.default_rng(20230604)
    differences = generator.standard_normal(10)
    differences = (differences - differences.mean()) / differences.std(ddof=1)

    detectable = significance.corrected_t_test(differences, 0.0).detectable

    samples = generator.standard_normal((20_000, 10)) + detectable
    power = (stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05).mean()
    assert power == pytest.approx(0.8, abs=0.0113)  # four standard errors


def test_the_correction_enlarges_the_detectable_difference_as_it_does_the_interval():
    differences = np.array([0.0, 0.1, 0.2, 0.4])

    plain, corrected = (significance.corrected_t_test(differences, ratio) for ratio in (0.0, 0.5))

    assert corrected.detectable / plain.detectable == pytest.approx(math.sqrt((1 / 4 + 0.5) / (1 / 4)))


def test_the_corrected_test_agrees_with_a_published_example():
    """scikit-learn, example "Statistical comparison of models using grid search".

    100 differences with mean 0.01 and uncorrected t = 2.611. With n_test / n_train = 10 / 90 the corrected t
    is 0.750, the one-sided p is 0.227 and the 95 % interval is -0.016445 to 0.036445. The tolerance of the
    interval reflects the rounding of 2.611.
    """
    raw = np.arange(100.0) - 49.5
    differences = 0.01 + raw / raw.std(ddof=1) * (0.01 * math.sqrt(100) / 2.611)

    result = significance.corrected_t_test(differences, 10 / 90)

    assert result.difference == pytest.approx(0.01)
    assert result.p == pytest.approx(2 * 0.227, abs=0.001)
    assert (result.ci_low, result.ci_high) == pytest.approx((-0.016445, 0.036445), abs=6e-6)


SPREAD = arrays.arrays(np.float64, st.integers(3, 12), elements=st.floats(-1, 1, width=32)).filter(
    lambda x: x.std(ddof=1) > 1e-3
)


@given(SPREAD)
def test_without_shared_training_data_the_test_is_student_s(differences):
    """P value and interval are those of SciPy's one-sample t-test."""
    expected = stats.ttest_1samp(differences, 0)

    result = significance.corrected_t_test(differences, 0.0)

    interval = expected.confidence_interval(0.95)
    assert result.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert (result.ci_low, result.ci_high) == pytest.approx(
        (interval.low, interval.high), rel=1e-6, abs=1e-12
    )
    assert result.effect_size == pytest.approx(expected.statistic / math.sqrt(len(differences)), abs=1e-9)


@given(SPREAD, st.floats(0, 1))
def test_the_correction_is_student_s_test_with_a_larger_variance(differences, ratio):
    """Scaling the deviations from the mean by sqrt(1 + k ratio) gives the corrected variance."""
    mean, k = differences.mean(), len(differences)
    wider = mean + (differences - mean) * math.sqrt(1 + k * ratio)

    result = significance.corrected_t_test(differences, ratio)

    assert result.p == pytest.approx(stats.ttest_1samp(wider, 0).pvalue, rel=1e-6, abs=1e-12)
    assert result.ci_high - result.ci_low >= 0


def test_the_corrected_test_has_a_type_1_error_of_five_per_cent():
    """Nadeau and Bengio's model: all pairs of differences have correlation n_test / (n_test + n_train) = 1/9.

    The corrected t then follows a t distribution exactly. With 2,000 draws the rate is 0.05 with a standard
    error of 0.0049; the bounds are four of these. Student's test underestimates the variance by a factor of
    1 + 10/8 and rejects more than twice as often.
    """
    generator = np.random.default_rng(20230604)
    shared, independent = generator.standard_normal((2000, 1)), generator.standard_normal((2000, 10))
    differences = math.sqrt(1 / 9) * shared + math.sqrt(8 / 9) * independent

    rejected = np.mean([significance.corrected_t_test(d, 1 / 8).p < 0.05 for d in differences])

    assert 0.03 < rejected < 0.07
    assert np.mean(stats.ttest_1samp(differences, 0, axis=1).pvalue < 0.05) > 0.1


def test_equal_learners_differ_significantly_in_at_most_five_per_cent():
    """500 ten-fold cross-validations of 60 samples; a learner predicts the nearer class mean of its feature.

    Both features have the same distribution, so the learners are equally good, and folds share training data.
    The bound is 0.05 plus four standard errors of 0.0097.
    """
    generator = np.random.default_rng(20230604)
    labels = np.tile([0, 1], (500, 30))
    x = generator.standard_normal((2, 500, 60)) + 0.8 * labels
    accuracy = np.empty((2, 500, 10))
    for fold in range(10):
        test = np.arange(60) // 6 == fold
        train = x[:, :, ~test]
        low, high = ((train * (labels[:, ~test] == k)).sum(2, keepdims=True) / 27 for k in (0, 1))
        predicted = np.abs(x[:, :, test] - high) < np.abs(x[:, :, test] - low)
        accuracy[:, :, fold] = (predicted == labels[:, test]).mean(2)

    p = np.array([significance.corrected_t_test(d, 6 / 54).p for d in accuracy[0] - accuracy[1]])

    assert np.mean(p < 0.05) < 0.05 + 4 * 0.0097


def sessions(n=5, speakers=2):
    """Roles of a leave-one-speaker-out split by sessions: the folds of a session share their training set."""
    return {
        fold: roles(fold, 1, 8, session=f"s{(fold - 1) // speakers}_") for fold in range(1, n * speakers + 1)
    }


def test_the_two_folds_of_a_session_are_one_unit():
    """The session means 0.02, 0.04, 0.06 are the case worked out by hand, with n_test / n_train = 2/12."""
    folds = {fold: roles(fold, 1, 12, session=f"s{(fold - 1) // 2}_") for fold in range(1, 7)}

    row = line(compared(ahead([0.01, 0.03, 0.06, 0.02, 0.06, 0.06]), folds))

    assert row["n_folds"] == 6
    assert row["p"] == pytest.approx(1 - math.sqrt(0.8))
    assert row["note"].startswith(
        "folds 1 and 2 share their training or test utterances and count once; folds 3"
    )


@pytest.mark.slow
def test_sessions_as_units_keep_the_type_1_error_and_folds_do_not():
    """Ten folds in five sessions: correlation 0.5 within a session and 0.15 between sessions.

    Then session means have correlation 0.15 / 0.75 = 0.2 = n_test / (n_test + n_train) with 2 test and 8
    training speakers, so the test over sessions is exact. Over folds it assumes 1/9 for every pair; the mean
    correlation is 0.189. Bounds: 0.05 with four standard errors of 0.0063 (1,200 draws).
    """
    generator = np.random.default_rng(20230604)
    shared, session = (
        generator.standard_normal((1200, 1)),
        generator.standard_normal((1200, 5)).repeat(2, axis=1),
    )
    noise = generator.standard_normal((1200, 10))
    draws = math.sqrt(0.15) * shared + math.sqrt(0.35) * session + math.sqrt(0.5) * noise

    runs = pd.MultiIndex.from_product([range(1, 11), [0]], names=["fold", "seed"])

    def rejected(folds):
        units = significance._fold_units(set(folds), folds)
        return np.mean([significance._tested(pd.Series(d, runs), units).p < 0.05 for d in draws])

    assert 0.025 < rejected(sessions()) < 0.075
    assert rejected({fold: roles(fold, 1, 8) for fold in range(1, 11)}) > 0.075


# The table of comparisons.


def test_the_table_has_all_lines_in_order_even_without_scores():
    """Five others, seven conditions and two metrics give 70 lines; c, d, e and f have no runs."""
    table = compared(ahead([0.1, 0.2, 0.4]), others=["c", "d", "y", "e", "f"])

    assert list(table.columns) == COLUMNS
    assert list(table[["other", "condition", "metric"]].itertuples(index=False, name=None)) == [
        (other, condition, metric) for other in "cdyef" for condition in LINES for metric in ("wa", "ua")
    ]
    absent = table[table["other"] != "y"]
    assert len(absent) == 56
    assert absent[NUMBERS].isna().all(axis=None)
    assert set(absent.loc[absent["other"] == "c", "note"]) == {"c: no scores"}
    assert (absent[["n_folds", "n_seeds"]] == 0).all(axis=None)
    assert table.loc[table["other"] == "y", "p"].notna().all()


def test_without_the_proposed_system_all_lines_are_empty():
    table = compared({("y", 1, 0): 0.5, ("y", 2, 0): 0.5, ("y", 3, 0): 0.5}, others=["y", "z"])

    assert len(table) == 28
    assert table[NUMBERS].isna().all(axis=None)
    assert set(table["note"]) == {"x: no scores", "x and z: no scores"}


def test_each_condition_and_metric_is_compared_separately():
    """The mean WA difference is 0.02 in v, -0.03 in t and 0.04 elsewhere; UA has a quarter of it."""
    table = pd.concat(
        [
            scores(ahead([0.01, 0.02, 0.03]), ["v"]),
            scores(ahead([-0.02, -0.03, -0.04]), ["t"]),
            scores(ahead([0.03, 0.04, 0.05]), ["average", "a", "av", "at", "vt"]),
            scores(ahead([0.8, 0.9, 0.7]), ["avt"]),
        ]
    )

    comparisons = compared(table)

    expected = {"v": 0.02, "t": -0.03} | dict.fromkeys(["average", "a", "av", "at", "vt"], 0.04)
    assert {c: line(comparisons, c)["difference"] for c in LINES} == pytest.approx(expected)
    assert {c: line(comparisons, c, "ua")["difference"] for c in LINES} == pytest.approx(
        {c: d / 4 for c, d in expected.items()}
    )


@settings(max_examples=5, deadline=None)
@given(st.integers(3, 5), st.integers(1, 3), st.randoms(use_true_random=False))
def test_the_difference_is_that_of_the_means_in_table_1(n_folds, n_seeds, random):
    wa = {
        (system, fold, seed): random.random()
        for system in "xy"
        for fold in range(1, n_folds + 1)
        for seed in range(n_seeds)
    }
    means = table1.table(scores(wa), ["x", "y"]).set_index(["system", "condition"])

    comparisons = compared(wa)

    for condition in LINES:
        for metric in ("wa", "ua"):
            expected = means.loc[("x", condition), metric] - means.loc[("y", condition), metric]
            assert line(comparisons, condition, metric)["difference"] == pytest.approx(expected)


@settings(max_examples=5, deadline=None)
@given(st.integers(3, 5), st.integers(1, 2), st.randoms(use_true_random=False))
def test_swapping_the_systems_changes_only_the_signs(n_folds, n_seeds, random):
    wa = {
        (system, fold, seed): random.random()
        for system in "xy"
        for fold in range(1, n_folds + 1)
        for seed in range(n_seeds)
    }

    forward = compared(wa)
    swapped = significance.compared(scores(wa), SIXTH, proposed="y", others=["x"])

    for column, mirrored, sign in (
        ("difference", "difference", -1),
        ("ci_low", "ci_high", -1),
        ("ci_high", "ci_low", -1),
        ("effect_size", "effect_size", -1),
        ("p", "p", 1),
        ("p_holm", "p_holm", 1),
        ("detectable", "detectable", 1),
    ):
        np.testing.assert_allclose(forward[column], sign * swapped[mirrored], rtol=1e-9, atol=1e-12)
    assert forward["note"].tolist() == swapped["note"].tolist()


@settings(max_examples=5, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_and_folds_changes_no_bit(random):
    """Folds 3 and 4 test the same utterances, and the note names them in order."""
    wa = {(s, fold, seed): random.random() for s in "xyz" for fold in (1, 2, 3, 4) for seed in (0, 1, 2)}
    folds, table = FOLDS | {4: FOLDS[3]}, scores(wa)
    shuffled = table.sample(frac=1, random_state=random.randrange(2**32))

    expected = compared(table, folds, others=["y", "z"])

    for reordered in (shuffled, table.iloc[::-1]):
        result = compared(reordered, dict(reversed(folds.items())), others=["y", "z"])
        pd.testing.assert_frame_equal(result, expected, check_exact=True)


# Folds, seeds and runs.


def test_seeds_are_averaged_and_do_not_count_as_samples():
    """Two more seeds with the same differences change no number."""
    one_seed = ahead([0.02, 0.04, 0.06])
    three_seeds = {
        (system, fold, seed): wa for (system, fold, _), wa in one_seed.items() for seed in (0, 1, 2)
    }

    single, triple = line(compared(one_seed)), line(compared(three_seeds))

    assert [triple[name] for name in NUMBERS] == pytest.approx([single[name] for name in NUMBERS])
    assert (single["n_seeds"], triple["n_seeds"]) == (1, 3)


def test_folds_that_test_the_same_utterances_count_once():
    """Folds 3 and 4 test the same: 0.05 and 0.07 become 0.06, as in the case worked out by hand.

    The mean ratio of the four folds (1/4, 1/12, 1/6, 1/6) is still 1/6.
    """
    folds = FOLDS | {4: FOLDS[3]}

    row = line(compared(ahead([0.02, 0.04, 0.05, 0.07]), folds))

    assert row["n_folds"] == 4
    assert row["difference"] == pytest.approx(0.04)
    assert row["p"] == pytest.approx(1 - math.sqrt(0.8))
    assert "folds 3 and 4 share their training or test utterances and count once" in row["note"]


def test_the_order_of_test_utterances_does_not_matter():
    turned = roles(3, 5, 6).iloc[::-1]

    row = line(compared(ahead([0.02, 0.04, 0.05, 0.07]), FOLDS | {3: roles(3, 5, 6), 4: turned}))

    assert "folds 3 and 4 share their training or test utterances and count once" in row["note"]


def test_folds_with_the_same_test_utterances_can_leave_too_few_folds():
    folds = FOLDS | {3: FOLDS[2]}

    row = line(compared(ahead([0.02, 0.04, 0.05]), folds))

    assert row["difference"] == pytest.approx((0.02 + (0.04 + 0.05) / 2) / 2)  # folds 2 and 3 are one unit
    assert [row[name] for name in NUMBERS[1:]] == pytest.approx([math.nan] * 5, nan_ok=True)
    assert row["note"].startswith(
        "3 folds, 1 seed: too few for a test; expected folds with at least 3 different"
    )
    assert row["note"].endswith("folds 2 and 3 share their training or test utterances and count once")


@pytest.mark.parametrize(
    ("runs", "n_folds", "n_seeds", "difference", "start"),
    [
        pytest.param(ahead([0.1]), 1, 1, 0.1, "1 fold, 1 seed: too few", id="one run"),
        pytest.param(ahead([0.1, 0.2]), 2, 1, 0.15, "2 folds, 1 seed: too few", id="the demonstration"),
        pytest.param(
            ahead([0.1, 0.2]) | ahead([0.1, 0.3], seed=5),
            2,
            2,
            0.175,
            "2 folds, 2 seeds: too few",
            id="more seeds",
        ),
    ],
)
def test_too_few_folds_leave_a_difference_without_a_test(runs, n_folds, n_seeds, difference, start):
    table = compared(runs)

    assert line(table, "v", "wa")["difference"] == pytest.approx(difference)
    assert table[NUMBERS[1:]].isna().all(axis=None)
    assert (table["n_folds"] == n_folds).all()
    assert (table["n_seeds"] == n_seeds).all()
    assert table["note"].str.startswith(start).all()
    assert table["note"].str.contains("at least 3 different training sets").all()


def test_a_single_seed_is_tested_with_a_note():
    row = line(compared(ahead([0.02, 0.04, 0.06])))
    several = line(compared(ahead([0.02, 0.04, 0.06]) | ahead([0.02, 0.05, 0.06], seed=1)))

    assert row["p"] == pytest.approx(1 - math.sqrt(0.8))
    assert row["note"].endswith("one seed: the std over seeds is unknown")
    assert "one seed" not in several["note"]


@pytest.mark.parametrize("difference", [0.0, 0.1])
def test_without_variance_there_is_a_difference_but_no_test(difference):
    """0.6 - 0.5 and 0.4 - 0.3 differ in the last bit, which does not count as variance."""
    wa = {("y", 1, 0): 0.5, ("y", 2, 0): 0.3, ("y", 3, 0): 0.7}
    wa |= {("x", fold, 0): x + difference for (_, fold, _), x in wa.items()}

    row = line(compared(wa))

    assert row["difference"] == pytest.approx(difference)
    assert [row[name] for name in NUMBERS[1:]] == pytest.approx([math.nan] * 5, nan_ok=True)
    assert "no variance" in row["note"]


def test_only_runs_of_both_systems_are_compared():
    """Fold 4 of y and seed 1 of fold 1 of x have no counterpart, which leaves 0.02, 0.04 and 0.06.

    Seed 1 of fold 2 has a counterpart: (0.03 + 0.05) / 2 = 0.04.
    """
    wa = ahead([0.02, 0.03, 0.06]) | {("y", 4, 0): 0.9, ("x", 1, 1): 0.9}
    wa |= {("x", 2, 1): 0.55, ("y", 2, 1): 0.5}

    row = line(compared(wa))

    assert (row["n_folds"], row["n_seeds"]) == (3, 2)
    assert row["p"] == pytest.approx(1 - math.sqrt(0.8))
    assert row["note"].endswith("both systems have 4 of 6 runs")


def test_systems_without_common_runs_are_not_compared():
    wa = {("x", fold, 0): 0.5 for fold in (1, 2, 3)} | {("y", fold, 1): 0.5 for fold in (1, 2, 3)}

    row = line(compared(wa))

    assert (row["n_folds"], row["n_seeds"]) == (0, 0)
    assert row["note"] == "the two systems have no run in common"


def test_a_condition_without_predictions_is_empty_and_affects_no_other():
    full, partial = ahead([0.02, 0.04, 0.06]), {}
    for key in [key for key in full if key[0] == "y"]:
        partial[key] = full.pop(key)

    table = compared(pd.concat([scores(full), scores(partial, ["average", "a"])]))

    assert line(table, "a")["p"] == pytest.approx(1 - math.sqrt(0.8))
    assert math.isnan(line(table, "v")["p"])
    assert line(table, "v")["note"] == "the two systems have no run in common"


def test_a_fold_without_roles_is_refused():
    with pytest.raises(ValueError, match="fold 3 has scores but no roles"):
        compared(ahead([0.1, 0.2, 0.3]), {1: FOLDS[1], 2: FOLDS[2]})


@pytest.mark.parametrize(
    ("n_test", "n_train"), [pytest.param(0, 5, id="no test"), pytest.param(5, 0, id="no training")]
)
def test_a_fold_without_training_or_test_utterances_is_refused(n_test, n_train):
    with pytest.raises(ValueError, match=f"fold 2 has {n_train} training and {n_test} test utterances"):
        compared(ahead([0.1, 0.2, 0.3]), FOLDS | {2: roles(2, n_test, n_train)})


# The primary family and its footnote.


def systems_ahead(*shifts, folds=8):
    """WA of x and of systems y, z, ...: x is ahead by about each shift."""
    generator = np.random.default_rng(1)
    wa = {("x", fold, 0): 0.5 for fold in range(1, folds + 1)}
    for name, shift in zip("yzw", shifts, strict=False):
        wa |= {
            (name, fold, 0): 0.5 - shift + 0.02 * generator.standard_normal() for fold in range(1, folds + 1)
        }
    return wa


def test_holm_corrects_the_average_ua_alone():
    """Three primary p values: the smallest times 3, the next times 2, monotone and at most 1."""
    table = compared(systems_ahead(0.1, 0.02, 0.0), others=["y", "z", "w"])
    primary = table[(table["condition"] == "average") & (table["metric"] == "ua")].sort_values("p")

    first, second, third = primary["p"]
    expected = np.minimum(np.maximum.accumulate([3 * first, 2 * second, third]), 1)
    assert primary["p_holm"].tolist() == pytest.approx(expected)
    assert table.drop(primary.index)["p_holm"].isna().all()
    assert table["p"].notna().all()


def test_the_footnote_has_every_primary_result():
    table = compared(systems_ahead(0.1, 0.0), others=["y", "z"])
    rows = [line(table, "average", "ua", other) for other in "yz"]

    [text] = significance.footnote(table)

    for row in rows:
        result = f"p = {row['p_holm']:.3f}, detectable {100 * row['detectable']:.1f}"
        assert f"{row['other']} {100 * row['difference']:+.1f} ({result})" in text
    assert "1 of 2 significant at 0.05" in text
    assert text.endswith("All other tests in significance.csv are exploratory and uncorrected.")


def test_the_footnote_says_if_none_is_significant_or_testable():
    """System y is never ahead; z has two runs."""
    wa = systems_ahead(0.0) | {("z", 1, 0): 0.4, ("z", 2, 0): 0.4}

    [text] = significance.footnote(compared(wa, others=["y", "z"]))

    assert "(1 more could not be tested). None of 1 significant" in text


def test_a_p_value_equal_to_the_level_is_not_significant():
    table = compared(systems_ahead(0.1)).assign(p_holm=0.05)

    assert "None of 1 significant at 0.05" in significance.footnote(table)[0]


def test_the_footnote_reports_too_few_folds_once():
    [text] = significance.footnote(compared(ahead([0.1, 0.2]), others=["y", "z"]))

    assert text.startswith("No difference is tested for significance: 2 folds, 1 seed: too few")
    assert text.count("too few") == 1


def test_the_footnote_refers_to_the_notes_if_reasons_differ():
    comparisons = compared(
        {**ahead([0.1]), ("x", 2, 0): 0.5, ("z", 1, 0): 0.5, ("z", 2, 0): 0.5}, others=["y", "z"]
    )

    assert significance.footnote(comparisons) == [
        "No difference is tested for significance: see the notes in significance.csv."
    ]


def test_the_footnote_gives_the_reason_if_it_is_the_same_everywhere():
    comparisons = compared({("x", 1, 0): 0.5}, others=["y"])

    assert significance.footnote(comparisons) == ["No difference is tested for significance: y: no scores."]


def test_without_comparisons_there_is_no_footnote():
    assert significance.footnote(compared({("x", 1, 0): 0.5}, others=[])) == []


def test_the_interval_of_a_mean_is_that_of_the_corrected_test():
    """0.5, 0.6, 0.7: 0.6 ± 4.302653 * 0.1 sqrt(1/3 + 1/6), with the t quantile of two degrees of freedom."""
    runs = scores({("x", 1, 0): 0.5, ("x", 2, 0): 0.6, ("x", 3, 0): 0.7, ("y", 1, 0): 0.5, ("y", 2, 0): 0.6})
    table = pd.DataFrame(
        {"system": ["x", "y", "x", "z"], "condition": ["a", "a", "avt", "a"], "wa": 0.6, "ua": 0.15}
    )

    result = significance.with_intervals(table, runs, FOLDS)

    half = 4.302653 * 0.1 * math.sqrt(1 / 3 + 1 / 6)
    for row in (0, 2):
        ends = result.loc[row, ["wa_low", "wa_high", "ua_low", "ua_high"]].to_numpy(float)
        np.testing.assert_allclose(
            ends, [0.6 - half, 0.6 + half, 0.15 - half / 4, 0.15 + half / 4], atol=1e-7
        )
    assert result.loc[[1, 3], ["wa_low", "wa_high", "ua_low", "ua_high"]].isna().all(axis=None)


def test_seeds_and_folds_with_the_same_test_utterances_count_once():
    """The two seeds average to the single value; fold 4 has the test utterances and score of fold 3."""
    single = scores({("x", 1, 0): 0.5, ("x", 2, 0): 0.6, ("x", 3, 0): 0.7})
    repeated = scores(
        {
            ("x", 1, 0): 0.4,
            ("x", 1, 1): 0.6,
            ("x", 2, 0): 0.6,
            ("x", 2, 1): 0.6,
            ("x", 3, 0): 0.7,
            ("x", 3, 1): 0.7,
            ("x", 4, 0): 0.7,
            ("x", 4, 1): 0.7,
        }
    )
    table = pd.DataFrame({"system": ["x"], "condition": ["a"], "wa": [0.6], "ua": [0.15]})

    ends = [
        significance.with_intervals(table, runs, {**SIXTH, 4: SIXTH[3]})[["wa_low", "wa_high"]].to_numpy()
        for runs in (single, repeated)
    ]

    np.testing.assert_allclose(ends[1], ends[0], atol=1e-12)
