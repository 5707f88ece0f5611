"""The encoders of one utterance: Enc_a, Enc_v, Enc_t and the invariance encoder Enc'. Paper, section 2.1.1.

Padding reaches no state and no pool, so a prediction does not depend on batch mates (in the released code it
does). A missing modality is the encoder's answer to an all-zero sequence of one fixed
length, the same for every utterance: neither its content nor its length reaches the network.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from ifmmin.nn import convolution, recurrence
from ifmmin.nn.sequences import Sequences, sent, silence
from ifmmin.terms import MODALITIES

ACTIVATIONS = {"leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class LSTMMaxPool(nn.Module):
    """Enc_a and Enc_v: one LSTM layer, then the maximum of its hidden states over the valid frames.

    Source:
        Paper, section 2.1.1. Released code: models/networks/lstm.py, whose pool also sees padding.
    """

    def __init__(self, *, size: int, hidden: int) -> None:
        """Build for frames of `size` numbers and an output of `hidden` units."""
        super().__init__()
        self.lstm = nn.LSTM(size, hidden)

    def pool(self, x: Sequences) -> Tensor:
        """Reduce B sequences to (B, hidden), each unit in (-1, 1)."""
        if recurrence.usable(x.frames):
            return recurrence.maxima(x, self.lstm)
        return _grouped(x, lambda of: _maximum(self.lstm(of.padded())[0], of.lengths))

    def head(self, pooled: Tensor) -> Tensor:
        """Pass on: h^m is the pooled state itself."""
        return pooled


class TextCNN(nn.Module):
    """Enc_t: convolutions over time of several heights.

    Then ReLU, maximum over time, dropout, one linear map, ReLU. A sequence shorter than a height is one
    window, filled with zeros behind its end; else only windows of valid frames count.

    Source:
        Paper, section 2.1.1 (Kim 2014). Released code: models/networks/textcnn.py; its dropout is 0.5
        whatever it is told.
    """

    def __init__(
        self, *, size: int, hidden: int, kernel_heights: list[int], filters: int, dropout: float
    ) -> None:
        """Build for word embeddings of `size` numbers.

        There are `filters` convolutions of each height and `hidden` units of output.
        """
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(size, filters, k) for k in kernel_heights)
        self.kernel_heights = list(kernel_heights)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(filters * len(kernel_heights), hidden)

    def pool(self, x: Sequences) -> Tensor:
        """Reduce B sequences to (B, filters x heights), non-negative."""
        filters = [cast("Tensor", of.weight) for of in self.convolutions]
        if convolution.usable(x.frames, self.kernel_heights):
            responses = convolution.maxima(x, filters)
        else:
            responses = _grouped(x, lambda of: self._maxima(of, filters))
        bias = torch.cat([cast("Tensor", of.bias) for of in self.convolutions])
        return (responses + bias).relu()

    def _maxima(self, x: Sequences, filters: list[Tensor]) -> Tensor:
        """Largest response of each filter to b sequences of like length, without bias."""
        frames = x.padded(at_least=max(self.kernel_heights)).permute(1, 2, 0)  # (b, D, T)
        found = []
        for k, of in zip(self.kernel_heights, filters, strict=True):
            responses = nn.functional.conv1d(frames, of).permute(2, 0, 1)  # (windows, b, F)
            found.append(_maximum(responses, (x.lengths - k + 1).clamp_min(1)))
        return torch.cat(found, dim=1)

    def head(self, pooled: Tensor) -> Tensor:
        """Map the pooled responses to h^t (B, hidden), non-negative."""
        h: Tensor = self.projection(self.dropout(pooled)).relu()
        return h


def _grouped(x: Sequences, reduce: Callable[[Sequences], Tensor]) -> Tensor:
    """Reduce groups of like length, one after the other: (B, units) in the order of x."""
    rows, groups = zip(*x.by_length(), strict=True)
    reduced = torch.cat([reduce(group) for group in groups])
    return reduced[sent(torch.argsort(torch.cat(rows)), reduced)]


def _maximum(x: Tensor, lengths: Tensor) -> Tensor:
    """Maximum over the first `lengths` (b,) steps of (T, b, units)."""
    behind = torch.arange(x.shape[0])[:, None] >= lengths
    return x.masked_fill(sent(behind, x)[..., None], -torch.inf).amax(0)


class InvarianceEncoder(nn.Module):
    """Enc': maps h^m of any modality into the shared subspace; one module serves all three.

    Source:
        Paper, section 2.1.1: one fully connected layer, activation, dropout (depth 1). Released code:
        depth 2, LeakyReLU, no dropout.
    """

    def __init__(self, *, hidden: int, depth: int, activation: str, dropout: float) -> None:
        """Build `depth` layers of `hidden` units; activation is a key of ACTIVATIONS."""
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(hidden, hidden), ACTIVATIONS[activation](), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        """Map h^m (B, hidden) to H^m (B, hidden)."""
        H: Tensor = self.layers(h)
        return H


class Encoders(nn.Module):
    """The encoders that pretraining hands to a system.

    These are the specificity encoders, and Enc' where the kind of pretraining has one.
    """

    def __init__(
        self,
        *,
        sizes: Mapping[str, int],
        hidden: int,
        kernel_heights: list[int],
        filters: int,
        text_dropout: float,
        missing_steps: Mapping[str, int],
        invariance_depth: int = 0,
        invariance_activation: str = "leaky_relu",
        invariance_dropout: float = 0.0,
    ) -> None:
        """Build encoders for raw features.

        Args:
            sizes: feature size D_m of each modality that is to have an encoder, in the order a, v, t.
            hidden: units of h^m and of H^m.
            kernel_heights: heights of the TextCNN's convolutions, in frames.
            filters: convolutions of each height.
            text_dropout: share of pooled text responses dropped in training.
            missing_steps: length, in frames, of the all-zero sequence that stands for a missing modality.
            invariance_depth: layers of Enc'; 0 builds none.
            invariance_activation: its activation, a key of ACTIVATIONS.
            invariance_dropout: share of its units dropped in training.
        """
        super().__init__()
        self.settings: dict[str, object] = {
            "sizes": dict(sizes),
            "hidden": hidden,
            "kernel_heights": kernel_heights,
            "filters": filters,
            "text_dropout": text_dropout,
            "missing_steps": dict(missing_steps),
            "invariance_depth": invariance_depth,
            "invariance_activation": invariance_activation,
            "invariance_dropout": invariance_dropout,
        }
        """The arguments that build the same encoders again."""
        self.sizes = dict(sizes)
        self.missing_steps = dict(missing_steps)
        self.hidden = hidden
        self.specificity = nn.ModuleDict()
        for m, size in sizes.items():
            self.specificity[m] = (
                TextCNN(
                    size=size,
                    hidden=hidden,
                    kernel_heights=kernel_heights,
                    filters=filters,
                    dropout=text_dropout,
                )
                if m == "t"
                else LSTMMaxPool(size=size, hidden=hidden)
            )
        self.invariance = (
            InvarianceEncoder(
                hidden=hidden,
                depth=invariance_depth,
                activation=invariance_activation,
                dropout=invariance_dropout,
            )
            if invariance_depth
            else None
        )

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks, each of which is clipped on its own."""
        named: dict[str, nn.Module] = {f"enc_{m}": encoder for m, encoder in self.specificity.items()}
        return named if self.invariance is None else {**named, "enc_inv": self.invariance}

    def teach(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """What a teacher, the encoders before a system's first step, says of each utterance.

        Args:
            x: modality to B sequences, the full input.

        Returns:
            h: (B, 3 x hidden), its features; h_missing: the same of silence; H: of its Enc', where there is
            one.

        Source:
            Released code: models/IFMMIN_model.py and mmin_model.py keep a frozen copy for it.
        """
        h_m = self.encode(x)
        h = concatenated(h_m)
        said = {"h": h, "h_missing": concatenated(self.missing()).expand_as(h)}
        return said if self.invariance is None else {**said, "H": concatenated(self.invariant(h_m))}

    def encode(self, x: Mapping[str, Sequences], available: Tensor | None = None) -> dict[str, Tensor]:
        """Encode what is available of each utterance; a missing modality's frames are not read.

        Args:
            x: modality to B sequences; one that is missing from the corpus is so under every mask.
            available: (B, 3) bool, on the host, in the order a, v, t; None for whatever has an encoder.

        Returns:
            h_m: modality to (B, hidden).
        """
        if available is None:
            placed = {m: x[m].with_placeholder(steps) for m, steps in self.missing_steps.items() if m in x}
            return {m: self._encoder(m).head(self._encoder(m).pool(placed[m])) for m in self.sizes}
        return {
            m: self._encode_available(m, x[m], available[:, i] & x[m].present)
            for i, m in enumerate(MODALITIES)
        }

    def _encode_available(self, m: str, x: Sequences, available: Tensor) -> Tensor:
        encoder = self._encoder(m)
        rows = available.nonzero().squeeze(1)
        pooled = encoder.pool(x.select(rows).with_silence(self.missing_steps[m]))
        # Row of `pooled` for each utterance: by default that of silence, the last one.
        which = torch.full_like(available, len(rows), dtype=torch.long)
        which[rows] = torch.arange(len(rows))
        return encoder.head(pooled[sent(which, pooled)])

    def _encoder(self, m: str) -> LSTMMaxPool | TextCNN:
        return cast("LSTMMaxPool | TextCNN", self.specificity[m])

    def missing(self) -> dict[str, Tensor]:
        """Encode a missing modality: modality to (1, hidden)."""
        return {m: self._encoder(m).head(self._encoder(m).pool(self._silence(m))) for m in self.sizes}

    def _silence(self, m: str) -> Sequences:
        parameter = next(self._encoder(m).parameters())
        return silence(self.missing_steps[m], self.sizes[m], parameter)

    def invariant(self, h_m: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map h_m to H_m with Enc', modality by modality.

        Raises:
            ValueError: if these encoders have no Enc'.
        """
        if self.invariance is None:
            raise ValueError(
                "these encoders have no invariance encoder; expected ones from invariant pretraining."
            )
        return {m: self.invariance(h) for m, h in h_m.items()}

    def vital(self, h_m: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Name h^m and, where there is Enc', H^m (B, hidden).

        These are the features whose collapse the training history shows.
        """
        named = {f"h_{m}": h for m, h in h_m.items()}
        if self.invariance is None:
            return named
        return named | {f"H_{m}": H for m, H in self.invariant(h_m).items()}


def concatenated(features: Mapping[str, Tensor]) -> Tensor:
    """Concatenate features (B, hidden) of n modalities to (B, n x hidden), in the order a, v, t."""
    return torch.cat([features[m] for m in MODALITIES if m in features], dim=1)


def assembled(h_m: Mapping[str, Tensor], missing: Mapping[str, Tensor], condition: str) -> dict[str, Tensor]:
    """Put the answer to silence wherever a condition misses a modality; what `h_m` has of it is not read.

    Args:
        h_m: modality to (B, hidden), of those that the condition has at least.
        missing: modality to (1, hidden), of all that are encoded.
        condition: the available modalities.

    Returns:
        Modality to (B, hidden).
    """
    B = h_m[condition[0]].shape[0]
    return {m: h_m[m] if m in condition else silent.expand(B, -1) for m, silent in missing.items()}
