"""A trained system as one ONNX graph over padded batches, in which each utterance has its own condition."""

import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import cast

import onnx
import torch
from torch import Tensor, nn

from ifmmin.nn.encoders import Encoders
from ifmmin.nn.sequences import Sequences
from ifmmin.nn.systems import System
from ifmmin.terms import MODALITIES, availability

OPSET = 17
"""Of ONNX; runtimes of 2022 and later read it."""

INPUTS = (*MODALITIES, *(f"{m}_length" for m in MODALITIES), "available")
OUTPUTS = ("probabilities", "logits")


class Padded:
    """A padded batch in the place of Sequences: one group, made of operations that a trace can follow."""

    def __init__(self, frames: Tensor, lengths: Tensor) -> None:
        """Take frames (B, T, D), zeros behind each sequence, and lengths (B,) int64, at least 1."""
        self.frames = frames
        self.lengths = lengths

    @property
    def present(self) -> Tensor:
        """All of them: what an utterance has is told to the graph by `available`."""
        return torch.ones_like(self.lengths, dtype=torch.bool)

    def with_placeholder(self, steps: int) -> "Padded":
        """The batch itself, as none of it is missing."""
        del steps
        return self

    def padded(self, *, at_least: int = 1) -> Tensor:
        """The frames, (T + at_least - 1, B, D): a trace cannot ask which of the two is longer."""
        return nn.functional.pad(self.frames, (0, 0, 0, at_least - 1)).transpose(0, 1)

    def by_length(self) -> Iterator[tuple[Tensor, "Padded"]]:
        """Yield the whole batch."""
        yield torch.arange(self.frames.shape[0]), self

    def means(self, first: Tensor, behind: Tensor) -> Tensor:
        """As those of Sequences: (B, n, D)."""
        steps = torch.arange(self.frames.shape[1])
        inside = (first[..., None] <= steps) & (steps < behind[..., None])  # (B, n, T)
        return inside.to(self.frames.dtype) @ self.frames / (behind - first)[..., None]


class Graph(nn.Module):
    """What the ONNX graph computes.

    All conditions are predicted, and each utterance takes the answer to its own. Neither the content nor the
    length of a missing modality, nor what lies behind an end, is read.
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
        """Take a copy of a trained system.

        Args:
            system: on the CPU.
            scaling: mean and std of each acoustic dimension, D_a numbers each.
            temperatures: condition to temperature, of those that the system knows.
        """
        super().__init__()
        self.system = _with_constant_silence(system)
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
            a: (B, T_a, D_a) float32, unscaled; T is at least 1 in all three.
            v: (B, T_v, D_v) float32.
            t: (B, T_t, D_t) float32.
            a_length: (B,) int64, valid frames of each, at least 1; of a missing modality any number.
            v_length: (B,) int64.
            t_length: (B,) int64.
            available: (B, 3) bool, in the order a, v, t; at least one in each row.

        Returns:
            Probabilities, calibrated, and logits, (B, classes) each. NaN in rows whose condition the system
            does not know.
        """
        frames = {"a": (a - self.mean) / self.std, "v": v, "t": t}
        lengths = {"a": a_length, "v": v_length, "t": t_length}
        x = {m: _there(frames[m], lengths[m], available[:, i]) for i, m in enumerate(MODALITIES)}
        encoded = self.system.encode(cast("Mapping[str, Sequences]", x))
        logits = temperature = a.new_full((1, 1), torch.nan)
        for condition, prediction in self.system.predict(encoded, self.temperatures).items():
            own = (available == torch.tensor(availability(condition))).all(1, keepdim=True)  # (B, 1)
            logits = torch.where(own, prediction.O, logits)
            temperature = torch.where(own, self.temperatures[condition], temperature)
        return (logits / temperature).softmax(1), logits


def _there(x: Tensor, lengths: Tensor, available: Tensor) -> Padded:
    """Keep what is valid of (B, T, D); a missing modality is one zero frame, whose answer nobody reads."""
    inside = (torch.arange(x.shape[1]) < lengths[:, None]) & available[:, None]  # (B, T)
    return Padded(x.masked_fill(~inside[..., None], 0), torch.where(available, lengths, 1))


def _with_constant_silence(system: System) -> System:
    """Copy a system, in evaluation mode, whose encoders know their answer to silence by heart."""
    copy = deepcopy(system).eval()
    for part in cast("nn.Module", copy).modules():
        if isinstance(part, Encoders):
            with torch.no_grad():
                said = part.missing()
            part.missing = lambda said=said: said  # type: ignore[method-assign, misc]
    return copy


def traced(
    system: System,
    *,
    sizes: Mapping[str, int],
    scaling: Mapping[str, Sequence[float]],
    temperatures: Mapping[str, float],
) -> bytes:
    """Write a trained system as ONNX, with dynamic batch and lengths; inputs and outputs: `Graph.forward`.

    Args:
        system: on the CPU.
        sizes: feature size D_m of each modality.
        scaling: as in Graph.
        temperatures: as in Graph.

    Returns:
        The file: the same bytes for the same weights. It says nothing of where and when it was made.
    """
    target = io.BytesIO()
    dynamic = {m: {0: "batch", 1: f"{m}_frames"} for m in MODALITIES}
    whole = {name: {0: "batch"} for name in (*INPUTS[len(MODALITIES) :], *OUTPUTS)}
    with warnings.catch_warnings(), torch.no_grad():
        # Of the exporter by torch.export, which unrolls no LSTM of dynamic batch and length (torch 2.13), and
        # of batch sizes, which the check that follows each export tries out.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Graph(system, scaling=scaling, temperatures=temperatures),
            _example(sizes),
            target,  # type: ignore[arg-type]  # a file will do
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={**dynamic, **whole},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(target.getvalue())
    onnx.checker.check_model(model, full_check=True)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _example(sizes: Mapping[str, int]) -> tuple[Tensor, ...]:
    """Two utterances, of which the second has no text: what a trace runs on."""
    frames = [torch.zeros(2, 3 + i, sizes[m]) for i, m in enumerate(MODALITIES)]
    lengths = [torch.tensor([3 + i, 2]) for i in range(len(MODALITIES))]
    return (*frames, *lengths, torch.tensor([[True, True, True], [True, True, False]]))
