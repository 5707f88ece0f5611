"""One seed for everything that is drawn, and the mode in which the same draw gives the same bytes."""

import os

import numpy as np
import torch


def of_fold(seed: int, fold: int) -> int:
    """The seed of everything that is drawn in the runs of one fold.

    Two folds of a session train on the same speakers; drawn by the seed alone, their trainings would be one.
    All systems of a fold and seed share it, so that their comparisons stay paired.
    """
    state = np.random.SeedSequence([seed, fold]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


def start(seed: int) -> None:
    """Ask for deterministic algorithms, and seed the global generator.

    The generator draws initial weights and dropout.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS is not deterministic
    # use_deterministic_algorithms does the same after loading the compiler, which takes over a second.
    torch.set_deterministic_debug_mode("error")
    torch.manual_seed(seed)


def generator(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for each purpose ("masks", "order"): what one draws moves no other."""
    entropy = [seed, *purpose.encode()]
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
