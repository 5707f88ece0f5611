"""The learning rate of each epoch."""


def learning_rate(epoch: int, *, lr: float, constant: int, decay: int) -> float:
    """Learning rate of an epoch: constant, then linear decay that would reach 0 one epoch after the last.

    lr (1 - max(0, epoch - constant) / (decay + 1))

    Args:
        epoch: epoch number, from 1.
        lr: initial rate.
        constant: epochs at the initial rate.
        decay: epochs of decay.

    Source:
        Paper, section 3.1 ("Lambda LR"); the rule: released code, models/networks/tools.py, get_scheduler.
    """
    return lr * (1 - max(0, epoch - constant) / (decay + 1))
