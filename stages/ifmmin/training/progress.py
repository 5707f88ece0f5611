"""Where a training stands after an epoch: all that the next one reads, so that it can go on another day."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ifmmin.nn.systems import System
from ifmmin.training.prediction import of_part
from ifmmin.training.seeding import generator


class Checkpoint(Protocol):
    """Where the state of a training is kept until it has ended."""

    def load(self) -> dict[str, Any] | None:
        """What was kept of this training, if anything."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Keep a state in place of the one before."""


class Progress:
    """A system, its optimiser, the streams that are drawn from, and what the epochs so far have left.

    Attributes:
        order, masks: generators of the batches' order and of the masks.
        history: one row an epoch.
    """

    def __init__(self, system: System, optimiser: torch.optim.Optimizer, seed: int) -> None:
        """Stand before the first epoch."""
        self.system, self.optimiser = system, optimiser
        self.order, self.masks = generator(seed, "order"), generator(seed, "masks")
        self.history: list[dict[str, float]] = []
        self._best = dict.fromkeys(system.parts(), -1.0)
        self._kept: dict[str, dict[str, Tensor]] = {}
        self._device = next(iter(system.state_dict().values())).device

    def add(self, row: dict[str, float]) -> None:
        """End an epoch: its row, and the weights of each part for which it is the first best one."""
        self.history.append(row)
        for name, part in self.system.parts().items():
            if row[of_part("validation_ua", name)] > self._best[name]:
                self._best[name] = row[of_part("validation_ua", name)]
                self._kept[name] = {key: x.clone() for key, x in part.weights.items()}

    def leave_best(self) -> None:
        """Leave each part with the weights of its best epoch."""
        for name, part in self.system.parts().items():
            for key, x in part.weights.items():
                x.copy_(self._kept[name][key])

    def state(self) -> dict[str, Any]:
        """All of it, in tensors, numbers and lists."""
        return {
            "system": self.system.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "streams": [self.order.get_state(), self.masks.get_state(), torch.get_rng_state()],
            "gpu_stream": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
            "history": self.history,
            "best": self._best,
            "kept": self._kept,
        }

    def take(self, state: Mapping[str, Any]) -> None:
        """Stand where `state` was taken."""
        self.system.load_state_dict(state["system"])
        self.optimiser.load_state_dict(state["optimiser"])
        order, masks, everything_else = state["streams"]
        self.order.set_state(order)
        self.masks.set_state(masks)
        torch.set_rng_state(everything_else)
        if state["gpu_stream"] is not None:
            torch.cuda.set_rng_state(state["gpu_stream"], self._device)
        self.history, self._best = state["history"], state["best"]
        self._kept = {
            name: {key: x.to(self._device) for key, x in kept.items()} for name, kept in state["kept"].items()
        }
