"""The learning rate of each epoch."""

import pytest
import torch

from ifmmin.training.schedule import learning_rate


def test_the_rate_is_constant_and_then_falls_linearly_towards_zero():
    """Two constant epochs, then three that each lose a quarter; it would be 0 in a sixth."""
    rates = [learning_rate(epoch, lr=8.0, constant=2, decay=3) for epoch in range(1, 6)]

    assert rates == [8, 8, 6, 4, 2]


def test_without_decay_the_rate_is_constant():
    assert [learning_rate(epoch, lr=0.1, constant=3, decay=0) for epoch in (1, 2, 3)] == [0.1] * 3


def test_without_constant_epochs_the_decay_starts_at_once():
    assert [learning_rate(epoch, lr=4.0, constant=0, decay=3) for epoch in (1, 2, 3)] == [3, 2, 1]


@pytest.mark.parametrize(("constant", "decay"), [(20, 20), (10, 10), (1, 7)])
def test_the_rate_agrees_with_pytorch_s_lambda_lr(constant, decay):
    """LambdaLR counts epochs from 0; the released rule is max(0, e + 1 - constant) / (decay + 1)."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2e-4)
    rule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda e: 1 - max(0, e + 1 - constant) / (decay + 1))

    for epoch in range(1, constant + decay + 1):
        assert learning_rate(epoch, lr=2e-4, constant=constant, decay=decay) == pytest.approx(
            rule.get_last_lr()[0], rel=1e-12
        )
        optimiser.step()
        rule.step()
