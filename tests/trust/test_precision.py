"""The same weights in bf16 or on a GPU give the same results within a tolerance."""

import pytest
import torch

from conftest import needs_bf16
from ifmmin.core.terms import CONDITIONS, FULL
from ifmmin.nn.sequences import Sequences
from ifmmin.training import devices, loop
from ifmmin.training.batches import draw_masks
from ifmmin.training.prediction import predict
from trust import small
from trust.test_scales import SETTINGS

BF16 = {"losses": 0.01, "probabilities": 0.03}
"""bf16 has 8 significant bits, a rounding error of up to 0.002. Measured maxima: 0.0021 and 0.0090."""

GPU = {"losses": 1e-4, "probabilities": 1e-4}
"""Both are float32; sums run in another order, and the CPU kernel for text convolution rounds more."""

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")


@pytest.fixture
def evaluate(corpus):
    """Return a function that computes training losses without dropout and test probabilities."""

    def run(network, precision, device="cpu"):
        device = torch.device(device)
        x = {m: Sequences(s.frames.to(device), s.start, s.lengths) for m, s in corpus.x.items()}
        on_device = corpus._replace(x=x, y=corpus.y.to(device))
        network.to(device)
        batch = small.batch_of(
            network, on_device, torch.arange(36), draw_masks(36, torch.Generator().manual_seed(1))
        )
        network.eval()
        with torch.no_grad(), devices.arithmetic(device, precision):
            losses = network.training_losses(batch)
        predicted, _ = predict(network, on_device, "test", (*CONDITIONS, FULL), precision)
        return losses, {c: p.O.softmax(1).cpu() for c, p in predicted.items()}

    return run


@pytest.fixture(params=small.ALL)
def trained(request, corpus):
    """A network after a few epochs, so that its predictions differ."""
    network = small.network(request.param)
    options = {"seed": 0, "precision": "float32", "on_epoch": lambda row: None}
    loop.fit(network, corpus, SETTINGS, **options)
    return network


def assert_close(actual, expected, tolerance):
    losses, probabilities = zip(actual, expected, strict=True)
    for name in losses[0]:
        torch.testing.assert_close(
            losses[0][name].float().cpu(), losses[1][name].cpu(), rtol=tolerance["losses"], atol=1e-6
        )
    assert probabilities[0].keys() == probabilities[1].keys()
    for c in probabilities[0]:
        torch.testing.assert_close(
            probabilities[0][c], probabilities[1][c], rtol=0, atol=tolerance["probabilities"]
        )


@needs_bf16
def test_bf16_agrees_with_float32_within_tolerance(trained, evaluate):
    expected, actual = evaluate(trained, "float32"), evaluate(trained, "bf16")

    assert_close(actual, expected, BF16)
    assert any(not torch.equal(actual[1][c], expected[1][c]) for c in expected[1])  # bf16 was used


@needs_gpu
def test_the_gpu_agrees_with_the_cpu_within_tolerance(trained, evaluate, monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    expected = evaluate(trained, "float32")

    assert_close(evaluate(trained, "float32", "cuda"), expected, GPU)
