"""ONNX export: one graph over padded batches, in which each utterance has its own condition."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import cast

import onnx
import torch
from torch import Tensor, nn

from ifmmin.core.terms import MODALITIES, availability
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.protocol import System
from ifmmin.nn.sequences import Sequences

OPSET = 17
"""ONNX opset; supported by runtimes from 2022 on."""

INPUTS = (*MODALITIES, *(f"{m}_length" for m in MODALITIES), "available")
OUTPUTS = ("probabilities", "logits")


class Padded:
    """A padded batch in place of Sequences: one group, with traceable operations only."""

    def __init__(self, frames: Tensor, lengths: Tensor) -> None:
        """Store frames (B, T, D), zero after the end of each sequence, and lengths (B,) int64, at least 1."""
        self.frames = frames
        self.lengths = lengths

    @property
    def present(self) -> Tensor:
        """Mark all utterances as present (B,): the input `available` handles missing modalities."""
        return torch.ones_like(self.lengths, dtype=torch.bool)

    def placeholder_lengths(self, steps: int) -> "Padded":
        """Return the batch itself: no sequence is missing."""
        del steps
        return self

    def padded(self, *, at_least: int = 1) -> Tensor:
        """Return the frames, always padded to (T + at_least - 1, B, D): a trace cannot branch on T."""
        return nn.functional.pad(self.frames, (0, 0, 0, at_least - 1)).transpose(0, 1)

    def by_length(self) -> Iterator[tuple[Tensor, "Padded"]]:
        """Yield the whole batch."""
        yield torch.arange(self.frames.shape[0]), self

    def means(self, first: Tensor, end: Tensor) -> Tensor:
        """Return means over ranges of frames, (B, n, D); see `Sequences.means`."""
        steps = torch.arange(self.frames.shape[1])
        inside = (first[..., None] <= steps) & (steps < end[..., None])  # (B, n, T)
        return inside.to(self.frames.dtype) @ self.frames / (end - first)[..., None]


class Graph(nn.Module):
    """The module that is exported to ONNX.

    It predicts all conditions and selects each utterance's own. Padding, and content and length of missing
    modalities, have no effect.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        system: System,
        *,
        scaling: Mapping[str, Sequence[float]],
        temperatures: Mapping[str, float],
    ) -> None:
        """Copy a trained system.

        Args:
            system: the trained system, on the CPU.
            scaling: mean and std of each acoustic dimension, D_a numbers each.
            temperatures: condition to temperature, for the conditions that the system supports.
        """
        super().__init__()
        self.system = _with_constant_embeddings(system)
        self.temperatures = dict(temperatures)
        self.register_buffer("mean", torch.tensor(scaling["mean"], dtype=torch.float32))
        self.register_buffer("std", torch.tensor(scaling["std"], dtype=torch.float32))

    def forward(
        self,
        a: Tensor,
        v: Tensor,
        t: Tensor,
        a_length: Tensor,
        v_length: Tensor,
        t_length: Tensor,
        available: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Predict B utterances.

        Args:
            a: (B, T_a, D_a) float32, unscaled; T_a, T_v and T_t are at least 1.
            v: (B, T_v, D_v) float32.
            t: (B, T_t, D_t) float32.
            a_length: (B,) int64, valid frames of each utterance, at least 1; ignored if a is missing.
            v_length: (B,) int64.
            t_length: (B,) int64.
            available: (B, 3) bool, in the order a, v, t; at least one in each row.

        Returns:
            Calibrated probabilities and logits, (B, classes) each; NaN in rows whose condition the system
            does not support.
        """
        frames = {"a": (a - self.mean) / self.std, "v": v, "t": t}
        lengths = {"a": a_length, "v": v_length, "t": t_length}
        x = {m: _masked(frames[m], lengths[m], available[:, i]) for i, m in enumerate(MODALITIES)}
        encoded = self.system.encode(cast("Mapping[str, Sequences]", x))
        logits = temperature = a.new_full((1, 1), torch.nan)
        for condition, prediction in self.system.predict(encoded, self.temperatures).items():
            selected = (available == torch.tensor(availability(condition))).all(1, keepdim=True)  # (B, 1)
            logits = torch.where(selected, prediction.O, logits)
            temperature = torch.where(selected, self.temperatures[condition], temperature)
        return (logits / temperature).softmax(1), logits


def _masked(x: Tensor, lengths: Tensor, available: Tensor) -> Padded:
    """Mask padding in (B, T, D); a missing modality becomes one zero frame, whose output is discarded."""
    inside = (torch.arange(x.shape[1]) < lengths[:, None]) & available[:, None]  # (B, T)
    return Padded(x.masked_fill(~inside[..., None], 0), torch.where(available, lengths, 1))


def _with_constant_embeddings(system: System) -> System:
    """Copy a system in evaluation mode and precompute the embeddings of its zero placeholders."""
    copy = deepcopy(system).eval()
    for part in cast("nn.Module", copy).modules():
        if isinstance(part, Encoders):
            with torch.no_grad():
                embeddings = part.missing()
            part.missing = lambda constant=embeddings: constant  # type: ignore[method-assign, misc]
    return copy


def traced(
    system: System,
    *,
    sizes: Mapping[str, int],
    scaling: Mapping[str, Sequence[float]],
    temperatures: Mapping[str, float],
) -> bytes:
    """Export a trained system to ONNX with dynamic batch size and lengths.

    `Graph.forward` defines the inputs and outputs.

    Args:
        system: the trained system, on the CPU.
        sizes: modality to feature size D_m.
        scaling: as in Graph.
        temperatures: as in Graph.

    Returns:
        The ONNX file: the same bytes for the same weights, without date or host.
    """
    target = io.BytesIO()
    dynamic = {m: {0: "batch", 1: f"{m}_frames"} for m in MODALITIES}
    batch_only = {name: {0: "batch"} for name in (*INPUTS[len(MODALITIES) :], *OUTPUTS)}
    with warnings.catch_warnings(), torch.no_grad():
        # The exporter warns that it is deprecated, but torch.export cannot handle an LSTM with dynamic batch
        # and length (torch 2.13). It also warns about batch sizes, which `checking` tests after export.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(system, scaling=scaling, temperatures=temperatures),
            _example(sizes),
            target,  # type: ignore[arg-type]  # accepts file objects too
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={**dynamic, **batch_only},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(target.getvalue())
    onnx.checker.check_model(model, full_check=True)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _example(sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
    """Return the example inputs of the trace: two utterances, the second without text."""
    frames = [torch.zeros(2, 3 + i, sizes[m]) for i, m in enumerate(MODALITIES)]
    lengths = [torch.tensor([3 + i, 2]) for i in range(len(MODALITIES))]
    return (*frames, *lengths, torch.tensor([[True, True, True], [True, True, False]]))
