"""The encoders of one utterance: Enc_a, Enc_v, Enc_t and the invariance encoder Enc'. Paper, section 2.1.1.

Padding is masked everywhere, so a prediction does not depend on the other utterances of its batch (in the
released code it does). A missing modality is replaced by a zero placeholder: an all-zero sequence whose fixed
length is the same for every utterance. The network therefore sees neither the content nor the length of a
missing modality.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from ifmmin.core.terms import MODALITIES
from ifmmin.nn.kernels import convolution, recurrence
from ifmmin.nn.sequences import Sequences, placeholder, to_device

ACTIVATIONS = {"leaky_relu": nn.LeakyReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class LSTMMaxPool(nn.Module):
    """Enc_a and Enc_v: one LSTM layer, then the maximum of its hidden states over the valid frames.

    Source:
        Paper, section 2.1.1. Released code: models/networks/lstm.py, which also pools over padding.
    """

    def __init__(self, *, size: int, hidden: int) -> None:
        """Build for frames of `size` features and an output of `hidden` units."""
        super().__init__()
        self.lstm = nn.LSTM(size, hidden)

    def pool(self, x: Sequences) -> Tensor:
        """Reduce B sequences to (B, hidden), each unit in (-1, 1)."""
        if recurrence.usable(x.frames):
            return recurrence.maxima(x, self.lstm)
        return _grouped(x, lambda group: _maximum(self.lstm(group.padded())[0], group.lengths))

    def head(self, pooled: Tensor, *, dropout: bool = True) -> Tensor:
        """Return the pooled state unchanged: it is h^m."""
        del dropout
        return pooled


class TextCNN(nn.Module):
    """Enc_t: convolutions over time with several kernel heights.

    ReLU, maximum over time, dropout, one linear map and ReLU follow. Only windows of valid frames count. A
    sequence shorter than a kernel is padded with zeros to a single window.

    Source:
        Paper, section 2.1.1 (Kim 2014). Released code: models/networks/textcnn.py, which
        fixes dropout at 0.5 and ignores its argument.
    """

    def __init__(
        self, *, size: int, hidden: int, kernel_heights: list[int], filters: int, dropout: float
    ) -> None:
        """Build for word embeddings of `size` features.

        Each kernel height has `filters` filters; the output has `hidden` units.
        """
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv1d(size, filters, k) for k in kernel_heights)
        self.kernel_heights = list(kernel_heights)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(filters * len(kernel_heights), hidden)

    def pool(self, x: Sequences) -> Tensor:
        """Reduce B sequences to (B, filters x heights), non-negative."""
        filters = [cast("Tensor", layer.weight) for layer in self.convolutions]
        if convolution.usable(x.frames, self.kernel_heights):
            responses = convolution.maxima(x, filters)
        else:
            responses = _grouped(x, lambda group: self._maxima(group, filters))
        bias = torch.cat([cast("Tensor", layer.bias) for layer in self.convolutions])
        return (responses + bias).relu()

    def _maxima(self, x: Sequences, filters: list[Tensor]) -> Tensor:
        """Largest response of each filter to b sequences of similar length, without bias."""
        frames = x.padded(at_least=max(self.kernel_heights)).permute(1, 2, 0)  # (b, D, T)
        maxima = []
        for k, weight in zip(self.kernel_heights, filters, strict=True):
            responses = nn.functional.conv1d(frames, weight).permute(2, 0, 1)  # (windows, b, F)
            maxima.append(_maximum(responses, (x.lengths - k + 1).clamp_min(1)))
        return torch.cat(maxima, dim=1)

    def head(self, pooled: Tensor, *, dropout: bool = True) -> Tensor:
        """Map the pooled responses to h^t (B, hidden), non-negative, in training with or without dropout."""
        h: Tensor = self.projection(self.dropout(pooled) if dropout else pooled).relu()
        return h


def _grouped(x: Sequences, reduce: Callable[[Sequences], Tensor]) -> Tensor:
    """Reduce groups of similar length one by one: (B, units) in the order of x."""
    rows, groups = zip(*x.by_length(), strict=True)
    reduced = torch.cat([reduce(group) for group in groups])
    return reduced[to_device(torch.argsort(torch.cat(rows)), reduced)]


def _maximum(x: Tensor, lengths: Tensor) -> Tensor:
    """Maximum over the first `lengths` (b,) steps of (T, b, units)."""
    padding = torch.arange(x.shape[0])[:, None] >= lengths
    return x.masked_fill(to_device(padding, x)[..., None], -torch.inf).amax(0)


class InvarianceEncoder(nn.Module):
    """Enc': maps h^m into the shared subspace; all three modalities share one module.

    Source:
        Paper, section 2.1.1: one fully connected layer, activation, dropout (depth 1). Released code:
        depth 2, LeakyReLU, no dropout.
    """

    def __init__(self, *, hidden: int, depth: int, activation: str, dropout: float) -> None:
        """Build `depth` layers of `hidden` units; `activation` is a key of ACTIVATIONS."""
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
    """The encoders that a system takes over from pretraining.

    They comprise the specificity encoders and, after invariant pretraining, Enc'.
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
            sizes: feature size D_m of each encoded modality, in the order a, v, t.
            hidden: units of h^m and of H^m.
            kernel_heights: kernel heights of the TextCNN, in frames.
            filters: number of filters for each kernel height.
            text_dropout: dropout rate of the pooled text responses.
            missing_steps: length of each modality's zero placeholder, in frames.
            invariance_depth: number of layers of Enc'; 0 builds no Enc'.
            invariance_activation: activation of Enc', a key of ACTIVATIONS.
            invariance_dropout: dropout rate of Enc'.
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
        """The arguments that rebuild these encoders."""
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
        """Name to sub-network; each is clipped separately."""
        networks: dict[str, nn.Module] = {f"enc_{m}": encoder for m, encoder in self.specificity.items()}
        return networks if self.invariance is None else {**networks, "enc_inv": self.invariance}

    def teacher_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Compute the teacher targets with these encoders, before the system's first step.

        Args:
            x: modality to B sequences, the full input.

        Returns:
            h: (B, 3 x hidden), the teacher's features; h_missing: (B, 3 x hidden), the embeddings of the zero
            placeholders; H: (B, 3 x hidden), the invariant features, if the encoders include Enc'.

        Source:
            Released code: models/IFMMIN_model.py and mmin_model.py keep a frozen copy as the teacher.
        """
        h_m = self.encode(x)
        h = concatenated(h_m)
        targets = {"h": h, "h_missing": concatenated(self.missing()).expand_as(h)}
        return targets if self.invariance is None else {**targets, "H": concatenated(self.invariant(h_m))}

    def encode(self, x: Mapping[str, Sequences], available: Tensor | None = None) -> dict[str, Tensor]:
        """Encode the available modalities of each utterance; frames of missing modalities are not used.

        Args:
            x: modality to B sequences; a sequence missing from the corpus stays missing under every mask.
            available: (B, 3) bool, on the host, in the order a, v, t; None: every encoded modality.

        Returns:
            h_m: modality to (B, hidden).
        """
        if available is None:
            sequences = {
                m: x[m].placeholder_lengths(steps) for m, steps in self.missing_steps.items() if m in x
            }
            return {m: self._encoder(m).head(self._encoder(m).pool(sequences[m])) for m in self.sizes}
        return self.heads(self.pool(x, available))

    def pool(self, x: Mapping[str, Sequences], available: Tensor) -> dict[str, Tensor]:
        """The first part of `encode`, before dropout: modality to (B, units)."""
        return {
            m: self._pool_available(m, x[m], available[:, i] & x[m].present) for i, m in enumerate(MODALITIES)
        }

    def heads(self, pooled: Mapping[str, Tensor], *, dropout: bool = True) -> dict[str, Tensor]:
        """The second part of `encode`, in training with or without text dropout: modality to (B, hidden)."""
        return {m: self._encoder(m).head(x, dropout=dropout) for m, x in pooled.items()}

    def _pool_available(self, m: str, x: Sequences, available: Tensor) -> Tensor:
        rows = available.nonzero().squeeze(1)
        pooled = self._encoder(m).pool(x.select(rows).with_placeholder(self.missing_steps[m]))
        # Row of `pooled` for each utterance; the default is the last row, the zero placeholder.
        pooled_rows = torch.full_like(available, len(rows), dtype=torch.long)
        pooled_rows[rows] = torch.arange(len(rows))
        return pooled[to_device(pooled_rows, pooled)]

    def _encoder(self, m: str) -> LSTMMaxPool | TextCNN:
        return cast("LSTMMaxPool | TextCNN", self.specificity[m])

    def missing(self) -> dict[str, Tensor]:
        """Embed the zero placeholders: modality to (1, hidden)."""
        return {m: self._encoder(m).head(self._encoder(m).pool(self._placeholder(m))) for m in self.sizes}

    def _placeholder(self, m: str) -> Sequences:
        parameter = next(self._encoder(m).parameters())
        return placeholder(self.missing_steps[m], self.sizes[m], parameter)

    def invariant(self, h_m: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map the h^m to the H^m with Enc'.

        Raises:
            ValueError: if there is no Enc'.
        """
        if self.invariance is None:
            raise ValueError(
                "these encoders have no invariance encoder; expected ones from invariant pretraining."
            )
        return {m: self.invariance(h) for m, h in h_m.items()}

    def monitored(self, h_m: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Monitored features, whose collapse the history records: h^m and, with Enc', H^m (B, hidden)."""
        features = {f"h_{m}": h for m, h in h_m.items()}
        if self.invariance is None:
            return features
        return features | {f"H_{m}": H for m, H in self.invariant(h_m).items()}


def concatenated(features: Mapping[str, Tensor]) -> Tensor:
    """Concatenate the features (B, hidden) of n modalities to (B, n x hidden), in the order a, v, t."""
    return torch.cat([features[m] for m in MODALITIES if m in features], dim=1)


def assembled(h_m: Mapping[str, Tensor], missing: Mapping[str, Tensor], condition: str) -> dict[str, Tensor]:
    """Replace the features of missing modalities with the embedding of the zero placeholder.

    Args:
        h_m: modality to (B, hidden); must include the condition's modalities, others are not read.
        missing: modality to (1, hidden), the placeholder embedding of every encoded modality.
        condition: the available modalities.

    Returns:
        Modality to (B, hidden).
    """
    B = h_m[condition[0]].shape[0]
    return {m: h_m[m] if m in condition else embedding.expand(B, -1) for m, embedding in missing.items()}
