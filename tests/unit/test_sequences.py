"""Sequences of unequal length without padding."""

import pytest
import torch

from ifmmin.nn.sequences import GROUP_ROWS, Sequences, from_padded, placeholder


@pytest.fixture
def sequences():
    """Sequences of lengths 2, 4 and 1 in frames 0 to 9: out of order, with unused frames."""
    frames = torch.arange(10.0)[:, None] * torch.tensor([1.0, 10.0])
    return Sequences(frames, torch.tensor([7, 1, 0]), torch.tensor([2, 4, 1]))


def test_padded_worked_out_by_hand(sequences):
    assert sequences.padded()[..., 0].T.tolist() == [[7, 8, 0, 0], [1, 2, 3, 4], [0, 0, 0, 0]]
    assert sequences.padded()[..., 1].T.tolist() == [[70, 80, 0, 0], [10, 20, 30, 40], [0, 0, 0, 0]]


def test_padded_agrees_with_copying_each_sequence(draw_x):
    for x in draw_x(37).values():
        padded = x.padded()

        for row, start, length in zip(padded.unbind(1), x.start.tolist(), x.lengths.tolist(), strict=True):
            assert torch.equal(row[:length], x.frames[start : start + length])
            assert not row[length:].any()
        assert len(padded) == max(x.lengths.tolist())


def test_padded_has_at_least_the_requested_length(sequences):
    assert sequences.padded(at_least=6).shape == (6, 3, 2)
    assert not sequences.padded(at_least=6)[4:].any()
    assert sequences.padded(at_least=3).shape == (4, 3, 2)


def test_frames_outside_every_sequence_are_not_read(sequences):
    """Frames 5, 6 and 9 belong to no sequence."""
    expected = sequences.padded()
    sequences.frames[[5, 6, 9]] = torch.nan

    assert torch.equal(sequences.padded(), expected)


def test_padded_is_a_copy(sequences):
    sequences.padded().fill_(-1)

    assert sequences.frames[3, 0] == 3


def test_select_keeps_the_order_and_repetition_of_rows(sequences):
    chosen = sequences.select(torch.tensor([2, 1, 2]))

    assert chosen.padded()[..., 0].T.tolist() == [[0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 0]]


@pytest.mark.parametrize("n", [1, GROUP_ROWS, GROUP_ROWS + 1, 3 * GROUP_ROWS - 1])
def test_by_length_yields_each_sequence_once_shortest_first(draw_x, n):
    x = draw_x(n)["a"]

    groups = list(x.by_length())

    rows = torch.cat([rows for rows, _ in groups])
    assert sorted(rows.tolist()) == list(range(n))
    lengths = x.lengths[rows]
    assert torch.equal(lengths, lengths.sort().values)
    assert all(len(rows) <= GROUP_ROWS for rows, _ in groups)
    for rows, group in groups:
        assert torch.equal(group.lengths, x.lengths[rows])
        assert torch.equal(group.start, x.start[rows])


def test_padded_inverts_from_padded():
    x = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))

    assert torch.equal(from_padded(x).padded().transpose(0, 1), x)


def test_from_padded_ignores_frames_beyond_the_length():
    """Three rows of four frames; 1, 4 and 2 are valid and the others NaN."""
    lengths = torch.tensor([1, 4, 2])
    x = torch.ones(3, 4, 2).masked_fill((torch.arange(4) >= lengths[:, None])[..., None], torch.nan)

    assert from_padded(x, lengths).padded()[..., 0].T.tolist() == [[1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 0]]


def test_the_placeholder_is_one_sequence_of_zeros():
    x = placeholder(3, 2, torch.ones(1, dtype=torch.float64)).padded()

    assert torch.equal(x, torch.zeros(3, 1, 2, dtype=torch.float64))
