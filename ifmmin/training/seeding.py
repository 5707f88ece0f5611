"""Seeds, random generators and deterministic algorithms."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def fold_seed(seed: int, fold: int) -> int:
    """Seed of the runs of one fold.

    The two folds of a session have the same training speakers, so with the same seed their training runs
    would be identical. All systems share the seed of a fold, so that comparisons between systems are paired.
    """
    state = np.random.SeedSequence([seed, fold]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def start(seed: int) -> None:
    """Enable deterministic algorithms and seed the global generator (initial weights, dropout)."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    # torch.use_deterministic_algorithms has the same effect but first imports the compiler (over a second).
    torch.set_deterministic_debug_mode("error")
    torch.manual_seed(seed)


@contextmanager
def deterministic() -> Iterator[None]:
    """Enable deterministic algorithms within a `with` block."""
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def generator(seed: int, purpose: str) -> torch.Generator:
    """A random generator for one purpose ("masks", "order"), independent of the others."""
    entropy = [seed, *purpose.encode()]
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
