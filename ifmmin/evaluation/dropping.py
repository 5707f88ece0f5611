"""Removal of frames from test utterances. No I/O.

Source: protocol of Yuan et al., "TFR-Net", ACM Multimedia 2021.
"""

import torch

from ifmmin.nn.sequences import Sequences, to_device
from ifmmin.training.batches import Corpus, mark_missing


def drop_frames(corpus: Corpus, role: str, rate: float, seed: int) -> Corpus:
    """Remove frames of each modality from the utterances of a role.

    A missing frame is all zero, as in a missing modality. A sequence that loses all frames is missing. For
    the same seed, the frames missing at a low rate are also missing at each higher rate.

    Args:
        corpus: the corpus; it stays unchanged.
        role: train, validation or test.
        rate: probability that a frame is missing, in [0, 1].
        seed: seed of the draw.

    Returns:
        A corpus of these utterances only, in the same order, with copied frames.
    """
    rows, generator = corpus.rows[role], torch.Generator().manual_seed(seed)
    x = {}
    for m, sequences in corpus.select(rows).items():
        table, lengths = sequences.frames, sequences.lengths
        start = lengths.cumsum(0) - lengths
        first = sequences.start.clamp_min(0)
        index = torch.arange(int(lengths.sum())) + (first - start).repeat_interleave(lengths)
        kept = torch.rand(len(index), generator=generator) >= rate
        frames = table[to_device(index, table)] * to_device(kept, table)[:, None]
        n_kept = torch.zeros_like(start).index_add_(
            0, torch.arange(len(start)).repeat_interleave(lengths), kept.long()
        )
        x[m] = mark_missing(Sequences(frames, start, lengths), (n_kept == 0) | ~sequences.present)
    y, ids = corpus.y[to_device(rows, corpus.y)], corpus.utterance_ids[rows.numpy()]
    return Corpus(x, y, {role: torch.arange(len(rows))}, ids, corpus.classes)
