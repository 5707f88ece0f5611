"""Sequences, masks and batches from features and a fold."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from ifmmin.core.terms import CONDITIONS
from ifmmin.nn.sequences import MISSING
from ifmmin.training import batches


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def conditions(masks):
    return ["".join(m for m, kept in zip("avt", row, strict=True) if kept) for row in masks.tolist()]


def test_masks_are_uniform_over_the_six_conditions():
    """Chi-square test, 5 degrees of freedom; by chance it fails once in ten million draws."""
    drawn = conditions(batches.draw_masks(12_000, generator()))

    counts = [drawn.count(condition) for condition in CONDITIONS]
    assert sum(counts) == 12_000
    assert stats.chisquare(counts).pvalue > 1e-7


def test_masks_of_consecutive_utterances_are_independent():
    """All 36 ordered pairs of conditions are equally likely."""
    drawn = conditions(batches.draw_masks(36_001, generator(1)))

    pairs = pd.Series(list(pairwise(drawn))).value_counts()
    assert len(pairs) == 36
    assert stats.chisquare(pairs).pvalue > 1e-7


def test_full_and_empty_masks_are_never_drawn():
    available = batches.draw_masks(12_000, generator(2)).sum(1)

    assert set(available.tolist()) == {1, 2}


def test_masks_depend_only_on_the_generator():
    first = batches.draw_masks(50, generator(3))
    torch.manual_seed(99)

    assert torch.equal(batches.draw_masks(50, generator(3)), first)


@pytest.mark.parametrize(("n", "size"), [(10, 3), (10, 10), (10, 32), (1, 2), (12, 4)])
def test_batches_cover_each_position_once(n, size):
    drawn = list(batches.draw_batches(n, size, 1, generator()))

    assert sorted(torch.cat(drawn).tolist()) == list(range(n))
    assert all(len(batch) == size for batch in drawn[:-1])


def test_a_last_batch_of_one_is_dropped_if_two_are_required():
    assert [len(b) for b in batches.draw_batches(10, 3, 1, generator())] == [3, 3, 3, 1]
    assert [len(b) for b in batches.draw_batches(10, 3, 2, generator())] == [3, 3, 3]
    assert [len(b) for b in batches.draw_batches(11, 3, 2, generator())] == [3, 3, 3, 2]


def test_the_only_batch_is_kept_though_it_is_small_unless_it_has_one_position():
    assert [len(b) for b in batches.draw_batches(12, 128, 16, generator())] == [12]
    assert [len(b) for b in batches.draw_batches(2, 128, 16, generator())] == [2]
    assert not list(batches.draw_batches(1, 128, 16, generator()))


def test_the_order_of_positions_does_not_depend_on_the_batch_size():
    first = torch.cat(list(batches.draw_batches(23, 4, 1, generator())))

    assert torch.equal(torch.cat(list(batches.draw_batches(23, 9, 1, generator()))), first)


@pytest.fixture
def fold():
    """Three utterances, two of them in the fold; the frames of a are 1 3 | 5 | 7, with two features."""
    index = pd.DataFrame({"utterance_id": ["x", "y", "z"], "label": [2, 0, 1]})
    for m in "avt":
        index[f"{m}_offset"], index[f"{m}_length"] = [0, 2, 3], [2, 1, 1]
    frames = {m: np.repeat(np.array([[1], [3], [5], [7]], np.float32), 2, axis=1) for m in "avt"}
    roles = pd.DataFrame({"utterance_id": ["z", "x"], "role": ["test", "train"]})
    scaling = (np.array([1.0, 3.0]), np.array([2.0, 1.0]))
    return index, frames, ["p", "q", "r"], roles, scaling


def test_acoustic_frames_are_scaled_and_others_are_not(fold):
    """The means of the scaling are 1 and 3, its standard deviations 2 and 1."""
    corpus = batches.corpus(*fold, torch.device("cpu"))

    torch.testing.assert_close(
        corpus.x["a"].frames, torch.tensor([[0.0, -2], [1, 0], [2, 2], [3, 4]]), rtol=0, atol=0
    )
    for m in "vt":
        torch.testing.assert_close(corpus.x[m].frames, torch.from_numpy(fold[1][m]), rtol=0, atol=0)


def test_frames_and_labels_are_put_on_the_device(fold):
    """Starts and lengths stay on the host. The device "meta" exists on every machine."""
    corpus = batches.corpus(*fold, torch.device("meta"))

    assert {corpus.y.device.type, *(x.frames.device.type for x in corpus.x.values())} == {"meta"}
    assert {place.device.type for x in corpus.x.values() for place in (x.start, x.lengths)} == {"cpu"}


def test_labels_are_int64_whatever_integers_the_index_has(fold):
    index, *rest = fold

    corpus = batches.corpus(index.astype({"label": np.int32}), *rest, torch.device("cpu"))

    assert corpus.y.dtype == torch.int64


def test_a_modality_without_frames_is_marked_missing_with_length_1(fold):
    """A length of at least 1 is what `Sequences` requires; y lacks v."""
    index, *rest = fold
    index["v_offset"], index["v_length"] = [0, 0, 2], [2, 0, 1]

    corpus = batches.corpus(index, *rest, torch.device("cpu"))

    assert corpus.x["v"].start.tolist() == [0, MISSING, 2]
    assert corpus.x["v"].lengths.tolist() == [2, 1, 1]
    assert corpus.x["t"].start.tolist() == [0, 2, 3]


def test_scaling_does_not_modify_the_features_in_place(fold):
    batches.corpus(*fold, torch.device("cpu"))

    np.testing.assert_array_equal(fold[1]["a"][:, 0], [1, 3, 5, 7])


def test_rows_of_a_role_are_positions_in_the_index(fold):
    corpus = batches.corpus(*fold, torch.device("cpu"))

    assert {role: rows.tolist() for role, rows in corpus.rows.items()} == {
        "train": [0],
        "validation": [],
        "test": [2],
    }
    assert corpus.y.tolist() == [2, 0, 1]
    assert corpus.sizes() == {"a": 2, "v": 2, "t": 2}
    assert corpus.utterance_ids.tolist() == ["x", "y", "z"]
    assert corpus.classes == ["p", "q", "r"]


def test_select_returns_the_sequences_in_the_order_of_the_rows(fold):
    corpus = batches.corpus(*fold, torch.device("cpu"))

    chosen = corpus.select(torch.tensor([2, 0]))["v"]

    assert chosen.padded()[..., 0].T.tolist() == [[7, 0], [1, 3]]
