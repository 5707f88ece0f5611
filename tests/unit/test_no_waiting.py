"""No step waits for a GPU: the host never reads a value from the device.

Tensors on the "meta" device have shapes but no values, so code that reads a value, and thus would wait for
the GPU, fails. `NoWaiting` rejects the opposite direction: blocking copies to the device.
"""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import ENCODERS, SIZES
from ifmmin.core.terms import CONDITIONS
from ifmmin.nn import fusion
from ifmmin.nn.encoders import Encoders
from ifmmin.nn.per_condition import per_condition
from ifmmin.nn.protocol import Batch
from ifmmin.nn.sequences import from_padded
from ifmmin.systems import mctn
from ifmmin.training import loop
from unit.test_plain import BUILDS, HEAD, SPECIFIC

TRANSLATION = {"sizes": SIZES, "hidden": 6, "steps": 3, "translation_weight": 0.5}
ALL = BUILDS | {
    "mctn": lambda: mctn.build(**HEAD, **TRANSLATION),
    "late_fusion_per_condition": lambda: per_condition(fusion.build)(**SPECIFIC, **HEAD),
}


class NoWaiting(TorchDispatchMode):
    """Rejects operations that make the host wait while it sends data to the device."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Check each operation."""
        kwargs = kwargs or {}
        if func is torch.ops.aten._to_copy.default and args[0].device.type == "cpu":
            to = kwargs.get("device")
            assert to is None or torch.device(to).type == "cpu" or kwargs.get("non_blocking"), (
                "a blocking copy"
            )
        if func is torch.ops.aten.index.Tensor and args[0].device.type == "meta":
            assert all(i is None or i.device.type == "meta" for i in args[1]), "indexed from the host"
        return func(*args, **kwargs)


def on_meta(x):
    return {m: sequences._replace(frames=sequences.frames.to("meta")) for m, sequences in x.items()}


@pytest.mark.parametrize("name", ALL)
def test_a_training_step_reads_no_value_from_the_device(name, draw_x):
    system = ALL[name]().to("meta")
    x, y = on_meta(draw_x(9)), torch.zeros(9, dtype=torch.int64, device="meta")
    available = torch.ones(9, 3, dtype=torch.bool)
    available[::2, 1] = available[1::2, 0] = False
    with torch.no_grad():
        targets = system.eval().precompute_targets(x)

    with NoWaiting():
        L = system.train().training_losses(Batch(x, available, y, targets, 1))["L"]
        L.backward()
        for network in system.networks().values():
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)

    assert L.device.type == "meta"
    assert all(p.grad.device.type == "meta" for p in system.parameters())


@pytest.mark.parametrize("name", ALL)
def test_a_prediction_reads_no_value_from_the_device(name, draw_x):
    system, x = ALL[name]().to("meta").eval(), on_meta(draw_x(9))

    with torch.no_grad(), NoWaiting():
        predicted = system.predict(system.encode(x), CONDITIONS)

    assert {p.O.device.type for p in predicted.values()} == {"meta"}


def test_reading_a_value_from_the_device_is_detected():
    """Control for the tests above."""
    encoders = Encoders(**ENCODERS).to("meta")
    x = {m: from_padded(torch.zeros(2, 5, size, device="meta")) for m, size in SIZES.items()}
    available = torch.ones(2, 3, dtype=torch.bool, device="meta")

    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        encoders.encode(x, available)


@pytest.mark.parametrize(
    "wait",
    [lambda x, index: x[index], lambda x, index: x.index_select(0, index.to(x.device))],
    ids=["indexed from the host", "a blocking copy"],
)
def test_waiting_while_sending_to_the_device_is_detected(wait):
    x, index = torch.zeros(3, device="meta"), torch.tensor([1])

    with pytest.raises(AssertionError), NoWaiting():
        wait(x, index)


def test_drawing_the_batches_of_an_epoch_reads_no_value_from_the_device(corpus):
    system = BUILDS["if_mmin"]().to("meta")
    settings = loop.Settings(1, 0, 12, 0.01, 0.9, 1.0, "warn", 1)
    on_device = corpus._replace(x=on_meta(corpus.x), y=corpus.y.to("meta"))
    draw, targets = torch.Generator(), {"h": torch.zeros(len(corpus.rows["train"]), device="meta")}

    with NoWaiting():
        batches = list(loop._batches(system, on_device, targets, settings, 1, draw, draw))

    assert sum(len(batch.y) for batch in batches) == len(corpus.rows["train"])
    assert {batch.available.device.type for batch in batches} == {"cpu"}
