"""The synthetic corpus."""

from itertools import pairwise

import numpy as np
import pytest

from ifmmin.pack import synthesis
from ifmmin.pack.ids import is_iemocap, speaker
from stages import synthesize

SETTINGS = {
    "seed": 3,
    "utterances_per_speaker": 20,
    "sizes": {"a": 6, "v": 5, "t": 4},
    "frames": {"a": [2, 7], "v": [1, 5], "t": [2, 4]},
    "signal": {"a": 1.0, "v": 1.0, "t": 1.0},
    "noise": 1.0,
}


@pytest.fixture(scope="module")
def utterances():
    return synthesis.corpus(SETTINGS)[0]


@pytest.fixture(scope="module")
def frames():
    return {m: dict(make()) for m, make in synthesis.corpus(SETTINGS)[1].items()}


def test_ids_have_iemocap_s_form_and_are_unique(utterances):
    assert is_iemocap(utterances.ids)
    assert len(set(utterances.ids)) == len(utterances.ids)


def test_ids_name_ten_speakers_in_five_sessions(utterances):
    assert sorted(set(utterances.speakers)) == [f"Ses{s:02d}{letter}" for s in range(1, 6) for letter in "FM"]
    assert [speaker(i) for i in utterances.ids] == utterances.speakers


def test_dialogues_have_the_prefix_of_either_actor(utterances):
    pairs = {(name[5], i[5]) for name, i in zip(utterances.speakers, utterances.ids, strict=True)}

    assert pairs == {("F", "F"), ("F", "M"), ("M", "F"), ("M", "M")}


def test_dialogues_are_improvised_and_scripted(utterances):
    assert {i.split("_")[1].rstrip("0123456789") for i in utterances.ids} == {"impro", "script"}


def test_every_speaker_says_every_class_at_least_twice(utterances):
    counts = {(name, k): 0 for name in utterances.speakers for k in range(4)}
    for pair in zip(utterances.speakers, utterances.labels, strict=True):
        counts[pair] += 1

    assert len(counts) == 40
    assert min(counts.values()) >= 2


def test_each_speaker_has_about_the_requested_number_of_utterances():
    utterances = synthesis.utterances(160, np.random.default_rng(0))

    counts = [utterances.speakers.count(name) for name in synthesis.SPEAKERS]
    assert all(abs(n - 160) <= 10 for n in counts)
    assert len(set(counts)) > 1


def test_classes_have_iemocap_s_proportions():
    """1103, 1636, 1708, 1084 of 5531; with about 4000 draws the standard error is at most 0.008."""
    utterances = synthesis.utterances(400, np.random.default_rng(0))

    shares = np.bincount(utterances.labels, minlength=4) / len(utterances.labels)
    np.testing.assert_allclose(shares, np.array([1103, 1636, 1708, 1084]) / 5531, atol=0.035)


@pytest.mark.parametrize(("m", "size"), [("a", 6), ("v", 5), ("t", 4)])
def test_each_utterance_has_float32_frames_of_the_requested_size(utterances, frames, m, size):
    assert list(frames[m]) == utterances.ids
    assert all(x.dtype == np.float32 and x.shape[1] == size for x in frames[m].values())
    assert all(np.isfinite(x).all() for x in frames[m].values())


@pytest.mark.parametrize("m", list("avt"))
def test_lengths_vary_from_the_minimum_to_the_maximum(frames, m):
    lengths = [int(np.flatnonzero(x.any(1))[-1]) + 1 for x in frames[m].values()]

    assert [min(lengths), max(lengths)] == SETTINGS["frames"][m]
    assert len(set(lengths)) > 2


def test_visual_and_textual_frames_are_padded_and_acoustic_frames_are_not(frames):
    assert {len(x) for x in frames["v"].values()} == {5}
    assert {len(x) for x in frames["t"].values()} == {4}
    assert len({len(x) for x in frames["a"].values()}) > 1


def test_the_last_acoustic_dimension_is_constant(frames):
    assert len({float(v) for x in frames["a"].values() for v in x[:, -1]}) == 1


def test_values_are_rounded_to_multiples_of_1_over_256(frames):
    for m in "vt":
        for x in frames[m].values():
            np.testing.assert_array_equal(x * 256, np.rint(x * 256))


def test_the_signal_separates_the_classes(utterances):
    """The ratio of between-class to within-class variance of mean frames rises with the signal."""

    def ratio(strength):
        settings = {**SETTINGS, "signal": dict.fromkeys("avt", strength), "noise": 0.1}
        x = dict(synthesis.corpus(settings)[1]["t"]())
        means = np.array([x[i].mean(0) for i in utterances.ids])
        labels = np.array(utterances.labels)
        centres = np.array([means[labels == k].mean(0) for k in range(4)])
        return centres.var(0).sum() / (means - centres[labels]).var(0).sum()

    assert ratio(20.0) > 10 * ratio(0.0)


def test_another_seed_gives_another_corpus(utterances):
    assert synthesis.corpus({**SETTINGS, "seed": 4})[0] != utterances


def test_the_ten_folds_follow_the_rule(utterances):
    """Fold 2k - 1 tests the female speaker of session k and validates on the male; fold 2k vice versa."""
    folds = synthesis.folds(utterances)

    assert sorted(folds) == list(range(1, 11))
    for session in range(1, 6):
        for fold, test, validation in ((2 * session - 1, "F", "M"), (2 * session, "M", "F")):
            roles = folds[fold]
            assert {speaker(i) for i in roles["test"]} == {f"Ses{session:02d}{test}"}
            assert {speaker(i) for i in roles["validation"]} == {f"Ses{session:02d}{validation}"}
            assert sorted([*roles["train"], *roles["validation"], *roles["test"]]) == sorted(utterances.ids)


def test_two_processes_write_the_same_bytes(write_params, stage, tmp_path):
    path = write_params(synthesize=SETTINGS)

    synthesize.main(["--params", str(path), "--out", str(tmp_path / "first")])
    done = stage("synthesize", "--params", path, "--out", "second")

    assert done.code == 0, done.stderr
    written = [
        {p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()}
        for n in ("first", "second")
    ]
    assert len(written[0]) == 3 + 10 * 6 + 1
    assert all(left == right for left, right in pairwise(written))
