"""The same weights in bf16, and on a GPU, say the same within a stated tolerance."""

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
"""A number in bf16 has 8 bits, a rounding error of up to 0.002. Measured: 0.0021 and 0.0090 at most."""

GPU = {"losses": 1e-4, "probabilities": 1e-4}
"""Both float32, sums in another order; the processor's text convolution rounds more, see convolution."""

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here to compare with")


@pytest.fixture
def said(corpus):
    """Give a function that says the losses of some utterances, without dropout, and all probabilities."""

    def by(network, precision, device="cpu"):
        device = torch.device(device)
        x = {m: Sequences(of.frames.to(device), of.start, of.lengths) for m, of in corpus.x.items()}
        there = corpus._replace(x=x, y=corpus.y.to(device))
        network.to(device)
        batch = small.batch_of(
            network, there, torch.arange(36), draw_masks(36, torch.Generator().manual_seed(1))
        )
        network.eval()
        with torch.no_grad(), devices.arithmetic(device, precision):
            losses = network.training_losses(batch)
        predicted, _ = predict(network, there, "test", (*CONDITIONS, FULL), precision)
        return losses, {c: p.O.softmax(1).cpu() for c, p in predicted.items()}

    return by


@pytest.fixture(params=small.ALL)
def trained(request, corpus):
    """A network after some epochs, so that its answers differ."""
    network = small.network(request.param)
    how = {"seed": 0, "precision": "float32", "on_epoch": lambda row: None}
    loop.fit(network, corpus, SETTINGS, **how)
    return network


def close(found, expected, tolerance):
    losses, probabilities = zip(found, expected, strict=True)
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
def test_bf16_is_near_float32(trained, said):
    expected, found = said(trained, "float32"), said(trained, "bf16")

    close(found, expected, BF16)
    assert any(not torch.equal(found[1][c], expected[1][c]) for c in expected[1])  # it is another precision


@needs_gpu
def test_a_gpu_is_near_the_processor(trained, said, monkeypatch):
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    expected = said(trained, "float32")

    close(said(trained, "float32", "cuda"), expected, GPU)
