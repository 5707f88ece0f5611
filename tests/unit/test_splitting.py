"""Folds and the scaling of a fold."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ifmmin.corpus import splitting

CLASSES = ["angry", "happy", "neutral", "sad"]
IEMOCAP = {"classes": CLASSES, "iemocap": True}
OTHER = {"classes": CLASSES, "iemocap": False}
SPEAKERS = ["Ses01F", "Ses01M", "Ses02F", "Ses02M"]


@pytest.fixture
def index():
    """Four speakers with one utterance per class each: Ses01F-0 ... Ses02M-3."""
    rows = [(f"{name}-{label}", name, label) for name in SPEAKERS for label in range(4)]
    return pd.DataFrame(rows, columns=["utterance_id", "speaker", "label"])


def pack_folds(index, by_fold):
    """Target files from {fold: (test speaker, validation speaker)}; the other speakers train."""
    rows = [
        (fold, i, {test: "test", validation: "validation"}.get(name, "train"))
        for fold, (test, validation) in by_fold.items()
        for i, name in zip(index["utterance_id"], index["speaker"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["fold", "utterance_id", "role"])


RULE = {
    1: ("Ses01F", "Ses01M"),
    2: ("Ses01M", "Ses01F"),
    3: ("Ses02F", "Ses02M"),
    4: ("Ses02M", "Ses02F"),
}


@pytest.mark.parametrize(("fold", "test", "validation"), [(f, *roles) for f, roles in RULE.items()])
def test_odd_folds_test_the_female_speaker_and_even_folds_the_male(index, fold, test, validation):
    roles = splitting.rule_roles(index, fold).merge(index, on="utterance_id")

    assert set(roles.loc[roles["role"] == "test", "speaker"]) == {test}
    assert set(roles.loc[roles["role"] == "validation", "speaker"]) == {validation}
    assert set(roles.loc[roles["role"] == "train", "speaker"]) == {*SPEAKERS} - {test, validation}


@settings(max_examples=30, deadline=None)
@given(
    speakers=st.lists(
        st.tuples(st.integers(1, 9), st.sampled_from("FM")).map(lambda p: f"Ses{p[0]:02d}{p[1]}"), min_size=1
    ),
    fold=st.integers(1, 18),
)
def test_a_fold_of_the_rule_gives_each_speaker_exactly_one_role(speakers, fold):
    table = pd.DataFrame({"utterance_id": [str(i) for i in range(len(speakers))], "speaker": speakers})

    roles = splitting.rule_roles(table, fold)

    assert list(roles["utterance_id"]) == list(table["utterance_id"])
    assert roles["role"].isin(["train", "validation", "test"]).all()
    assert len(set(zip(speakers, roles["role"], strict=True))) == len(set(speakers))


def test_auto_follows_the_rule_for_iemocap_ids(index):
    """The pack tests the other speaker of each session; the rule takes precedence."""
    swapped = {fold: roles[::-1] for fold, roles in RULE.items()}

    plan = splitting.plan(index, pack_folds(index, swapped), [1], IEMOCAP, folds_from="auto")

    assert plan.faults == []
    tested = plan.roles[1].loc[plan.roles[1]["role"] == "test", "utterance_id"]
    assert set(tested.str[:6]) == {"Ses01F"}


def test_a_fold_of_the_pack_that_differs_from_the_rule_gives_a_warning(index):
    folds = pack_folds(index, RULE | {3: ("Ses02M", "Ses02F")})

    plan = splitting.plan(index, folds, [1, 2, 3], IEMOCAP, folds_from="rule")

    assert plan.warnings == [
        "fold 3: the test set in the pack's target files differs from that of the rule. The rule is used; "
        "to use the target files, set split.folds_from to pack in params.yaml."
    ]


def test_a_pack_that_follows_the_rule_gives_no_warning(index):
    plan = splitting.plan(index, pack_folds(index, RULE), [1, 2, 3, 4], IEMOCAP, folds_from="rule")

    assert plan.warnings == []
    assert plan.faults == []


def test_the_rule_needs_no_target_files(index):
    """A pack with target files for fold 1 only still has folds 1 to 4 by the rule."""
    folds = pack_folds(index, {1: RULE[1]})

    plan = splitting.plan(index, folds, [1, 4], IEMOCAP, folds_from="auto")

    assert plan.warnings == plan.faults == []
    assert sorted(plan.roles) == [1, 4]


def test_pack_follows_the_target_files_for_iemocap_too(index):
    folds = pack_folds(index, RULE | {1: ("Ses02M", "Ses02F")})

    plan = splitting.plan(index, folds, [1], IEMOCAP, folds_from="pack")

    tested = plan.roles[1].loc[plan.roles[1]["role"] == "test", "utterance_id"]
    assert set(tested.str[:6]) == {"Ses02M"}


def test_auto_follows_the_pack_for_other_ids(index):
    folds = pack_folds(index, {7: ("Ses02M", "Ses02F")})

    plan = splitting.plan(index, folds, [7], OTHER, folds_from="auto")

    assert plan.faults == []
    assert list(plan.roles) == [7]
    assert list(plan.roles[7]["utterance_id"]) == sorted(index["utterance_id"])


def test_the_rule_for_other_ids_is_an_error_that_names_the_key(index):
    plan = splitting.plan(index, pack_folds(index, RULE), [1], OTHER, folds_from="rule")

    message = (
        "params.yaml, key split.folds_from is 'rule', but the ids of this pack are not IEMOCAP's; "
        "expected 'pack' or 'auto'."
    )
    assert plan == splitting.Plan({}, [message], [])


def test_an_unknown_fold_is_an_error_that_lists_the_existing_folds(index):
    plan = splitting.plan(index, pack_folds(index, RULE), [1, 0, 5, 11], IEMOCAP, folds_from="auto")

    assert plan.faults == [
        f"params.yaml, key folds: fold {n} does not exist; expected folds among 1, 2, 3, 4."
        for n in (0, 5, 11)
    ]


def test_a_speaker_tested_twice_gets_a_warning_that_names_both_folds(index):
    """Fold 4 tests Ses01F again, like fold 8 of the published pack, so Ses02M is never tested."""
    folds = pack_folds(index, RULE | {4: ("Ses01F", "Ses02F")})

    plan = splitting.plan(index, folds, [1, 2, 3, 4], IEMOCAP, folds_from="pack")

    twice = [w for w in plan.warnings if "Ses01F" in w]
    assert len(twice) == 1
    assert "fold 4" in twice[0]
    assert "fold 1" in twice[0]


def test_a_speaker_never_tested_gets_a_warning(index):
    folds = pack_folds(index, RULE | {4: ("Ses01F", "Ses02F")})

    plan = splitting.plan(index, folds, [1, 2, 3, 4], IEMOCAP, folds_from="pack")

    never = [w for w in plan.warnings if "Ses02M" in w]
    assert len(never) == 1
    assert "never" in never[0]
    assert "1, 2, 3, 4" in never[0]


def test_speaker_warnings_consider_all_folds_of_the_pack(index):
    folds = pack_folds(index, RULE)

    assert splitting.plan(index, folds, [1], OTHER, folds_from="auto").warnings == []


def test_a_speaker_in_training_and_test_gets_a_warning(index):
    folds = pack_folds(index, RULE)
    folds.loc[(folds["fold"] == 2) & (folds["utterance_id"] == "Ses01M-0"), "role"] = "train"

    plan = splitting.plan(index, folds, [2], OTHER, folds_from="pack")

    assert len(plan.warnings) == 1
    assert "fold 2" in plan.warnings[0]
    assert "Ses01M" in plan.warnings[0]


def test_the_higher_fold_number_is_reported_as_the_repetition(index):
    folds = pack_folds(index, RULE | {4: ("Ses01F", "Ses02F")})
    roles = {fold: splitting.assign(index, folds, fold, by_rule=False) for fold in (4, 3, 2, 1)}

    warnings = splitting.speaker_warnings(roles, index)

    assert warnings == [
        "fold 4: speaker Ses01F is also tested in fold 1.",
        "speaker Ses02M is never tested (folds 1, 2, 3, 4).",
    ]


def test_speakers_in_training_and_test_are_named_in_order():
    """Nine speakers: a set would iterate in order by chance once in 362,880 times."""
    names = [f"s{n}" for n in range(9)]
    index = pd.DataFrame(
        {"utterance_id": [n + e for n in names for e in "ab"], "speaker": np.repeat(names, 2)}
    )
    roles = pd.DataFrame({"utterance_id": index["utterance_id"], "role": ["train", "test"] * 9})

    warnings = splitting.speaker_warnings({1: roles}, index)

    assert warnings == [f"fold 1: speaker {name} is in train and in test." for name in names]


def test_a_fold_without_training_gives_no_speaker_warning():
    index = pd.DataFrame({"utterance_id": ["x"], "speaker": ["s"]})
    roles = pd.DataFrame({"utterance_id": ["x"], "role": ["test"]})

    assert splitting.speaker_warnings({1: roles}, index) == []


def test_untested_speakers_are_named_in_order():
    names = [f"s{n}" for n in range(9)]
    index = pd.DataFrame({"utterance_id": names, "speaker": names[::-1]})

    warnings = splitting.speaker_warnings({1: pd.DataFrame({"utterance_id": names, "role": "train"})}, index)

    assert warnings == [f"speaker {name} is never tested (folds 1)." for name in names]


def test_differing_folds_are_listed_in_order(index):
    folds = pack_folds(index, {1: RULE[2], 2: RULE[1], 3: RULE[3]})

    assert splitting.differing_folds({n: splitting.rule_roles(index, n) for n in (3, 2, 1)}, folds) == [1, 2]


def test_an_unknown_fold_lists_each_fold_of_the_pack_once(index):
    plan = splitting.plan(index, pack_folds(index, RULE), [9], OTHER, folds_from="pack")

    assert plan.faults == ["params.yaml, key folds: fold 9 does not exist; expected folds among 1, 2, 3, 4."]


def test_the_rule_has_two_folds_per_session_beyond_session_nine_too(index):
    tenth = index.assign(speaker=index["speaker"].str.replace("Ses02", "Ses12"))

    plan = splitting.plan(tenth, pack_folds(tenth, {}), [24, 25], IEMOCAP, folds_from="rule")

    assert list(plan.roles) == [24]
    assert "fold 25 does not exist" in plan.faults[0]
    assert plan.faults[0].endswith("22, 23, 24.")


def test_roles_of_the_pack_are_sorted_by_id_and_numbered_from_0(index):
    folds = pack_folds(index.sample(frac=1, random_state=1), {1: RULE[1], 2: RULE[2]})

    roles = splitting.assign(index, folds, 2, by_rule=False)

    assert roles.index.tolist() == list(range(16))
    assert roles["utterance_id"].tolist() == sorted(index["utterance_id"])


def test_a_role_without_labels_lacks_every_class_but_is_not_empty(index):
    roles = splitting.rule_roles(index, 1)

    errors = splitting.faults(1, roles, index[index["speaker"] != "Ses01F"], CLASSES)

    assert errors == [
        f"fold 1: class {name!r} has no utterance in test; expected every class. "
        "Check the target files, or the key folds in params.yaml."
        for name in CLASSES
    ]


@pytest.mark.parametrize("role", ["train", "validation", "test"])
def test_an_empty_role_is_a_single_error_that_names_fold_and_role(index, role):
    roles = splitting.rule_roles(index, 1)

    errors = splitting.faults(1, roles[roles["role"] != role], index, CLASSES)

    assert errors == [
        f"fold 1: no utterance is in {role}; expected at least one. "
        "Check the target files, or the key folds in params.yaml."
    ]


@pytest.mark.parametrize("role", ["train", "test"])
def test_a_class_missing_in_training_or_test_is_an_error(index, role):
    roles = splitting.rule_roles(index, 3)
    sad = roles["utterance_id"].str.endswith("-3")

    errors = splitting.faults(3, roles[~(sad & (roles["role"] == role))], index, CLASSES)

    assert len(errors) == 1
    assert f"fold 3: class 'sad' has no utterance in {role}" in errors[0]


def test_validation_may_lack_a_class(index):
    roles = splitting.rule_roles(index, 3)
    sad = roles["utterance_id"].str.endswith("-3")

    assert splitting.faults(3, roles[~(sad & (roles["role"] == "validation"))], index, CLASSES) == []


def test_errors_of_folds_that_are_not_requested_do_not_count(index):
    folds = pack_folds(index, RULE)
    folds = folds[~((folds["fold"] == 2) & (folds["role"] == "test"))]

    assert splitting.plan(index, folds, [1, 3], OTHER, folds_from="pack").faults == []
    [error] = splitting.plan(index, folds, [1, 2], OTHER, folds_from="pack").faults
    assert error.startswith("fold 2: no utterance is in test")


# Scaling.


def utterances(lengths, roles):
    ends = np.cumsum(lengths)
    ids = [f"u{i}" for i in range(len(lengths))]
    index = pd.DataFrame({"utterance_id": ids, "a_offset": ends - lengths, "a_length": lengths})
    return index, pd.DataFrame({"utterance_id": ids, "role": roles})


def test_scaling_of_training_frames_worked_out_by_hand():
    """Training frames 1, 3 (u0) and 5 (u2): mean 3, std sqrt((4 + 0 + 4) / 3). u1 is ignored."""
    frames = np.array([[1], [3], [np.nan], [np.inf], [5]], np.float32)
    index, roles = utterances([2, 2, 1], ["train", "test", "train"])

    mean, std = splitting.fit_scaling(frames, index, roles)

    np.testing.assert_allclose(mean, [3])
    np.testing.assert_allclose(std, [np.sqrt(8 / 3)])


def test_the_scaling_of_a_single_frame_has_std_1():
    index = pd.DataFrame({"utterance_id": ["x"], "a_offset": [1], "a_length": [1]})
    roles = pd.DataFrame({"utterance_id": ["x"], "role": ["train"]})

    mean, std = splitting.fit_scaling(np.array([[9, 9], [3, 4]], np.float32), index, roles)

    assert (mean.tolist(), std.tolist()) == ([3, 4], [1, 1])


def test_the_scaling_without_training_frames_has_mean_0_and_std_1():
    """Two training utterances without acoustic features; the frames of the test utterance do not count."""
    index, roles = utterances([0, 0, 1], ["train", "train", "test"])

    mean, std = splitting.fit_scaling(np.array([[3, 4, 5]], np.float32), index, roles)

    assert (mean.tolist(), std.tolist()) == ([0, 0, 0], [1, 1, 1])


def test_scaling_agrees_with_numpy():
    draw = np.random.default_rng(5)
    lengths = draw.integers(1, 9, 30)
    frames = (draw.standard_normal((lengths.sum(), 7)) * 10.0 ** np.arange(-3, 4) + 5).astype(np.float32)
    parts = draw.choice(["train", "validation", "test"], 30)
    index, roles = utterances(lengths, parts)
    training = np.repeat(parts == "train", lengths)

    mean, std = splitting.fit_scaling(frames, index, roles)

    np.testing.assert_allclose(mean, frames[training].astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(std, frames[training].astype(np.float64).std(0), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e-20, 3e37])
def test_a_constant_dimension_has_std_1_and_scales_to_exactly_0(value):
    """For 0.1, a mean rounded to float32 would leave a std of 6e-7. The dimension varies only in test."""
    frames = np.full((1000, 2), value, np.float32)
    frames[:, 1] = np.arange(1000)
    frames[600:, 0] = np.arange(400)
    index, roles = utterances([300, 300, 400], ["train", "train", "test"])

    mean, std = splitting.fit_scaling(frames, index, roles)

    assert std[0] == 1
    assert mean[0] == frames[0, 0]
    assert std[1] > 100


def test_fitting_the_scaling_does_not_modify_the_frames():
    frames = np.arange(12, dtype=np.float32).reshape(6, 2)
    index, roles = utterances([6], ["train"])

    splitting.fit_scaling(frames, index, roles)

    np.testing.assert_array_equal(frames, np.arange(12).reshape(6, 2))
