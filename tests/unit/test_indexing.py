"""The index and the pack's folds as tables."""

from ifmmin import indexing


def test_offsets_are_the_running_sums_of_lengths_in_the_order_of_sorted_ids():
    """Lengths 3, 1, 2 of the sorted ids start at 0, 3, 4."""
    labels = {"b_1": 0, "a_1": 1, "c_1": 0}

    table = indexing.index(labels, {"a": [3, 1, 2], "v": [1, 1, 1], "t": [2, 5, 1]})

    assert list(table["utterance_id"]) == ["a_1", "b_1", "c_1"]
    assert list(table["label"]) == [1, 0, 0]
    assert list(table["speaker"]) == ["a", "b", "c"]
    assert list(table["a_offset"]) == [0, 3, 4]
    assert list(table["a_length"]) == [3, 1, 2]
    assert list(table["v_offset"]) == [0, 1, 2]
    assert list(table["t_offset"]) == [0, 2, 7]


def test_pack_folds_are_sorted_by_fold_and_utterance():
    folds = {2: {"train": ["b"], "test": ["a"]}, 1: {"test": ["b", "a"]}}

    table = indexing.pack_folds(folds)

    assert [tuple(row) for row in table.itertuples(index=False)] == [
        (1, "a", "test"),
        (1, "b", "test"),
        (2, "a", "test"),
        (2, "b", "train"),
    ]
