"""The index and the pack's folds as tables."""

import numpy as np

from ifmmin.pack import indexing


def sequences(*lengths):
    """Frames of two numbers for utterances of these lengths."""
    return [np.ones((n, 2), np.float32) for n in lengths]


def test_offsets_are_cumulative_lengths_in_the_order_of_sorted_ids():
    """Sequences of lengths 3, 1, 2 start at 0, 3, 4."""
    labels = {"b_1": 0, "a_1": 1, "c_1": 0}

    frames = {"a": sequences(3, 1, 2), "v": sequences(1, 1, 1), "t": sequences(2, 5, 1)}

    table = indexing.index(labels, frames)

    assert list(table["utterance_id"]) == ["a_1", "b_1", "c_1"]
    assert list(table["label"]) == [1, 0, 0]
    assert list(table["speaker"]) == ["a", "b", "c"]
    assert list(table["a_offset"]) == [0, 3, 4]
    assert list(table["a_length"]) == [3, 1, 2]
    assert list(table["v_offset"]) == [0, 1, 2]
    assert list(table["t_offset"]) == [0, 2, 7]


def test_an_all_zero_sequence_has_length_0_but_its_frame_is_kept():
    """Lengths 3, 1, 2. The second sequence is all zero, and the third still starts at 4."""
    frames = sequences(3, 1, 2)
    frames[1][:] = 0

    table = indexing.index({"a_1": 0, "b_1": 0, "c_1": 0}, dict.fromkeys("avt", frames))

    assert list(table["v_offset"]) == [0, 3, 4]
    assert list(table["v_length"]) == [3, 0, 2]


def test_the_summary_counts_the_corpus_and_its_missing_modalities():
    frames = {"a": sequences(3, 1), "v": sequences(1, 1), "t": sequences(2, 2)}
    frames["v"][0][:] = 0
    index = indexing.index({"a_1": 0, "b_1": 1}, frames)
    folds = indexing.pack_folds({1: {"test": ["a_1"]}, 2: {"test": ["b_1"]}})

    assert indexing.summary(index, folds, {"a": 130, "v": 342, "t": 1024}, 2) == [
        "2 utterances, 2 classes, features a 130, v 342, t 1024, 2 folds",
        "utterances with a missing modality (all-zero sequence): a 0, v 1, t 0",
    ]


def test_pack_folds_are_sorted_by_fold_and_utterance():
    folds = {2: {"train": ["b"], "test": ["a"]}, 1: {"test": ["b", "a"]}}

    table = indexing.pack_folds(folds)

    assert [tuple(row) for row in table.itertuples(index=False)] == [
        (1, "a", "test"),
        (1, "b", "test"),
        (2, "a", "test"),
        (2, "b", "train"),
    ]
