"""Many random streams from one seed."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ifmmin.training import seeding


def draws(generator):
    return torch.randint(2**31, (8,), generator=generator).tolist()


def test_the_same_seed_and_purpose_give_the_same_stream():
    assert draws(seeding.generator(3, "masks")) == draws(seeding.generator(3, "masks"))


def test_each_seed_and_purpose_has_its_own_stream():
    streams = [tuple(draws(seeding.generator(s, p))) for s in range(20) for p in ("masks", "order", "orde")]

    assert len(set(streams)) == len(streams)


def test_each_pair_of_seed_and_fold_has_its_own_seed():
    seeds = {seeding.fold_seed(seed, fold) for seed in range(20) for fold in range(1, 20)}

    assert len(seeds) == 20 * 19
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_drawing_from_a_stream_does_not_affect_another():
    masks, order = seeding.generator(0, "masks"), seeding.generator(0, "order")
    expected = draws(seeding.generator(0, "order"))

    draws(masks)
    torch.rand(5)

    assert draws(order) == expected


def test_streams_of_two_purposes_are_uncorrelated():
    """About half of 20,000 pairs of coin flips agree; five standard deviations are 354."""
    flips = [torch.randint(2, (20_000,), generator=seeding.generator(1, p)) for p in ("masks", "order")]

    assert abs(int((flips[0] == flips[1]).sum()) - 10_000) < 354


@pytest.fixture
def restored():
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("restored")
def test_start_enables_determinism_and_seeds_the_global_generator(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)

    seeding.start(4)
    first = torch.rand(3)
    seeding.start(4)

    assert torch.equal(torch.rand(3), first)
    assert torch.are_deterministic_algorithms_enabled()


def test_start_does_not_load_the_compiler():
    """It is not used, and loading it would cost each stage over a second."""
    code = """
import sys
from ifmmin.training import seeding
seeding.start(0)
print("torch._dynamo" in sys.modules)
"""
    stages = Path(seeding.__file__).parents[2]

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=stages, check=True, capture_output=True, text=True
    )

    assert done.stdout == "False\n"
