"""Dropping frames of test utterances."""

import numpy as np
import pytest
import torch

from ifmmin.evaluation import dropping
from ifmmin.nn.sequences import Sequences
from ifmmin.training import batches


@pytest.fixture
def corpus():
    """Four utterances of 1 to 4 frames; each frame holds its number, from 1, in two columns."""
    lengths = torch.tensor([3, 1, 4, 2])
    start = lengths.cumsum(0) - lengths
    frames = torch.arange(1.0, 11)[:, None].expand(10, 2)
    x = {m: Sequences(frames, start, lengths) for m in "avt"}
    rows = {"train": torch.tensor([1]), "test": torch.tensor([2, 0])}
    return batches.Corpus(x, torch.tensor([0, 1, 2, 3]), rows, np.array(list("wxyz"), object), list("pqrs"))


def test_at_rate_0_the_utterances_are_unchanged(corpus):
    dropped = dropping.drop_frames(corpus, "test", 0.0, seed=1)

    assert dropped.x["v"].padded()[..., 0].T.tolist() == [[5, 6, 7, 8], [1, 2, 3, 0]]
    assert (dropped.y.tolist(), list(dropped.utterance_ids)) == ([2, 0], ["y", "w"])
    assert dropped.rows["test"].tolist() == [0, 1]
    assert dropped.classes == corpus.classes


def test_a_sequence_without_frames_is_a_missing_modality(corpus):
    dropped = dropping.drop_frames(corpus, "test", 1.0, seed=1)

    assert not dropped.x["a"].frames.any()
    assert not dropped.x["a"].present.any()
    assert corpus.x["a"].frames.all(), "the corpus itself must not change"


def test_at_rate_0_no_frame_is_dropped_for_any_draw(corpus, monkeypatch):
    """Even the smallest possible draw, 0, is not below the rate."""
    monkeypatch.setattr(torch, "rand", lambda n, generator: torch.zeros(n))

    assert dropping.drop_frames(corpus, "test", 0.0, seed=1).x["a"].frames.all()


def test_frames_are_dropped_at_the_given_rate_and_more_at_a_higher_rate(corpus):
    lengths = torch.tensor([20_000])
    x = {m: Sequences(torch.ones(20_000, 2), torch.tensor([0]), lengths) for m in "avt"}
    large = corpus._replace(x=x, rows={"test": torch.tensor([0])})

    few, many = (dropping.drop_frames(large, "test", rate, seed=4) for rate in (0.3, 0.6))

    for m in "avt":
        assert torch.equal(few.x[m].frames[:, 0], few.x[m].frames[:, 1])
        assert few.x[m].frames.mean().item() == pytest.approx(0.7, abs=0.02)
        assert (few.x[m].frames >= many.x[m].frames).all()
    assert not torch.equal(few.x["a"].frames, few.x["v"].frames), "each modality must drop its own frames"
    assert torch.equal(few.x["a"].frames, dropping.drop_frames(large, "test", 0.3, seed=4).x["a"].frames)
    assert not torch.equal(few.x["a"].frames, dropping.drop_frames(large, "test", 0.3, seed=5).x["a"].frames)
