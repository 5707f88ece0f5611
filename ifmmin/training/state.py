"""The complete state of training after an epoch, so that training can resume with the same result."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from ifmmin.nn.protocol import System
from ifmmin.training.prediction import group_column
from ifmmin.training.seeding import generator


class Checkpoint(Protocol):
    """Storage of the training state until training is finished."""

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Save a state, replacing the previous one."""


class TrainingState:
    """System, optimiser, random generators, history and best weights of a training run.

    Attributes:
        order, masks: random generators of the batch order and of the masks.
        history: one row per completed epoch.
    """

    def __init__(self, system: System, optimiser: torch.optim.Optimizer, seed: int) -> None:
        """Start before the first epoch."""
        self.system, self.optimiser = system, optimiser
        self.order, self.masks = generator(seed, "order"), generator(seed, "masks")
        self.history: list[dict[str, float]] = []
        self._best_ua = dict.fromkeys(system.checkpoint_groups(), -1.0)
        self._best_weights: dict[str, dict[str, Tensor]] = {}
        self._device = next(iter(system.state_dict().values())).device

    def add(self, row: dict[str, float]) -> None:
        """Add the row of an epoch, and keep the weights of each checkpoint group whose UA improved."""
        self.history.append(row)
        for name, group in self.system.checkpoint_groups().items():
            if row[group_column("validation_ua", name)] > self._best_ua[name]:
                self._best_ua[name] = row[group_column("validation_ua", name)]
                self._best_weights[name] = {key: x.clone() for key, x in group.weights.items()}

    def load_best(self) -> None:
        """Load the best weights of each checkpoint group into the system."""
        for name, group in self.system.checkpoint_groups().items():
            for key, x in group.weights.items():
                x.copy_(self._best_weights[name][key])

    def state(self) -> dict[str, Any]:
        """The state as tensors, numbers and lists, for a checkpoint."""
        return {
            "system": self.system.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "streams": [self.order.get_state(), self.masks.get_state(), torch.get_rng_state()],
            "gpu_stream": torch.cuda.get_rng_state(self._device) if self._device.type == "cuda" else None,
            "history": self.history,
            "best": self._best_ua,
            "kept": self._best_weights,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state` returned."""
        self.system.load_state_dict(state["system"])
        self.optimiser.load_state_dict(state["optimiser"])
        order, masks, global_state = state["streams"]
        self.order.set_state(order)
        self.masks.set_state(masks)
        torch.set_rng_state(global_state)
        if state["gpu_stream"] is not None:
            torch.cuda.set_rng_state(state["gpu_stream"], self._device)
        self.history, self._best_ua = state["history"], state["best"]
        self._best_weights = {
            name: {key: x.to(self._device) for key, x in weights.items()}
            for name, weights in state["kept"].items()
        }
