"""Training of anything that is a System.

The protocol of the paper, section 3.1, in one place.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from ifmmin.batches import Corpus, draw_batches, draw_masks
from ifmmin.nn.sequences import sent
from ifmmin.nn.systems import Batch, System
from ifmmin.training.devices import arithmetic
from ifmmin.training.prediction import TrainingError, of_part, validate
from ifmmin.training.progress import Checkpoint, Progress
from ifmmin.training.schedule import learning_rate

log = logging.getLogger(__name__)


class Settings(NamedTuple):
    """How a system is optimised.

    Attributes:
        epochs_constant: epochs at the initial learning rate.
        epochs_decay: epochs of linear decay after them.
        batch: utterances a step.
        lr: initial learning rate of Adam.
        beta1: decay of its first moment; beta2 is 0.999, eps 1e-8, no weight decay.
        clip: largest L2 norm of each sub-network's gradient.
        on_collapse: "stop" or "warn".
        threads: of the arithmetic, fixed for equal bytes.
    """

    epochs_constant: int
    epochs_decay: int
    batch: int
    lr: float
    beta1: float
    clip: float
    on_collapse: str
    threads: int

    @property
    def epochs(self) -> int:
        """All epochs."""
        return self.epochs_constant + self.epochs_decay


class Fitted(NamedTuple):
    """What a training leaves besides the weights of its best epoch, which the system then holds.

    Attributes:
        history: one row an epoch, see artifacts/histories.py.
        collapsed: features with no live unit at the chosen epoch; empty unless such a collapse
            is only reported.
    """

    history: pd.DataFrame
    collapsed: list[str]


def fit(
    system: System,
    corpus: Corpus,
    settings: Settings,
    *,
    seed: int,
    precision: str,
    on_epoch: Callable[[Mapping[str, float]], None],
    checkpoint: Checkpoint | None = None,
) -> Fitted:
    """Train a system and leave each part of it with the weights of its first best epoch.

    The best epoch of a part has the highest validation UA, pooled over the part's conditions.

    Args:
        system: on the corpus's device.
        corpus: features, targets and roles of one fold.
        settings: how it is optimised.
        seed: of masks and batch order; initial weights and dropout come from the global generator.
        precision: one of devices.PRECISIONS.
        on_epoch: told each row of the history as it is made.
        checkpoint: where the state after each epoch is kept; what is there is where training goes on, with
            the same result.

    Returns:
        History and collapse.

    Raises:
        TrainingError: if a loss is not finite or, where that stops, an encoder gives one output
            for all utterances.

    Source:
        Paper, section 3.1; pick of the epoch: released code, train_miss.py.
    """
    optimiser = adam(system, settings)
    progress = Progress(system, optimiser, seed)
    targets = _prepared(system, corpus, precision)
    _go_on(progress, checkpoint, on_epoch)
    for epoch in range(len(progress.history) + 1, settings.epochs + 1):
        rate = learning_rate(
            epoch, lr=settings.lr, constant=settings.epochs_constant, decay=settings.epochs_decay
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        batches = _epoch(system, corpus, targets, settings, epoch, progress.order, progress.masks)
        losses = _train(system, batches, optimiser, settings.clip, epoch, precision)
        row = {"epoch": epoch, "lr": rate, **losses, **validate(system, corpus, precision)}
        progress.add(row)
        if checkpoint and epoch < settings.epochs:
            checkpoint.save(progress.state())
        on_epoch(row)
    progress.leave_best()
    table = _chosen(pd.DataFrame(progress.history), list(system.parts()))
    return Fitted(table, _collapsed(table, len(corpus.rows["validation"]), settings.on_collapse))


def _go_on(
    progress: Progress, checkpoint: Checkpoint | None, on_epoch: Callable[[Mapping[str, float]], None]
) -> None:
    """Take up what a checkpoint has kept, and tell its rows again."""
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return
    progress.take(state)
    log.info("goes on after epoch %d, where it was cut off.", len(progress.history))
    for row in progress.history:
        on_epoch(row)


def _chosen(history: pd.DataFrame, parts: list[str]) -> pd.DataFrame:
    """Mark the first best epoch of each part."""
    marks = {
        of_part("chosen", part): (history.index == history[of_part("validation_ua", part)].idxmax()).astype(
            int
        )
        for part in parts
    }
    return pd.concat([history[["epoch"]].assign(**marks), history.drop(columns="epoch")], axis=1)


def adam(system: System, settings: Settings) -> torch.optim.Adam:
    """The optimiser of every system: beta2 0.999, eps 1e-8, no weight decay.

    The released scripts pass a weight decay that is ignored.
    """
    parameters = [p for network in system.networks().values() for p in network.parameters()]
    return torch.optim.Adam(parameters, lr=settings.lr, betas=(settings.beta1, 0.999), eps=1e-8, fused=True)


def step(system: System, L: Tensor, optimiser: torch.optim.Optimizer, clip: float) -> None:
    """One optimiser step, after clipping the gradient of each sub-network on its own.

    Source:
        Released code: clip_grad_norm_ on each network's parameters (models/*_model.py).
    """
    optimiser.zero_grad(set_to_none=True)
    L.backward()  # type: ignore[no-untyped-call]
    for network in system.networks().values():
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()


def _epoch(
    system: System,
    corpus: Corpus,
    targets: Mapping[str, Tensor],
    settings: Settings,
    epoch: int,
    order: torch.Generator,
    masks: torch.Generator,
) -> Iterator[Batch]:
    """Yield the batches of an epoch: each training utterance once, under one mask."""
    rows = corpus.rows["train"]
    available = draw_masks(len(rows), masks)
    for positions in draw_batches(len(rows), settings.batch, system.smallest_batch, order):
        yield Batch(
            x=corpus.select(rows[positions]),
            available=available[positions],
            y=corpus.y[sent(rows[positions], corpus.y)],
            targets={name: x[sent(positions, x)] for name, x in targets.items()},
            epoch=epoch,
        )


def _train(
    system: System,
    batches: Iterable[Batch],
    optimiser: torch.optim.Optimizer,
    clip: float,
    epoch: int,
    precision: str,
) -> dict[str, float]:
    """Run one epoch; the mean of each loss over its utterances."""
    system.train()
    names: list[str] = []
    steps, sizes = [], []
    for batch in batches:
        with arithmetic(batch.y.device, precision):
            losses = system.training_losses(batch)
        step(system, losses["L"], optimiser, clip)
        names = list(losses)
        steps.append(torch.stack([losses[name].detach().float() for name in names]))
        sizes.append(len(batch.y))
    if not steps:
        raise TrainingError(
            f"no batch has {system.smallest_batch} utterances; expected more training utterances. "
            "Check the fold."
        )
    values = torch.stack(steps).cpu()  # (steps, losses)
    finite = values.isfinite()
    if not finite.all():
        first = int((~finite).nonzero()[0, 0])
        told = zip(names, values[first].tolist(), finite[first].tolist(), strict=True)
        bad = ", ".join(f"{name} is {value}" for name, value, good in told if not good)
        raise TrainingError(
            f"{bad} in epoch {epoch}, step {first + 1}; "
            "expected a finite loss. Check the scale of the features; lower lr, or cmd_weight in pretraining "
            "(params.yaml)."
        )
    means = (values * torch.tensor(sizes)[:, None]).sum(0) / sum(sizes)
    return dict(zip(names, means.tolist(), strict=True))


def _prepared(system: System, corpus: Corpus, precision: str) -> dict[str, Tensor]:
    """What the system takes from the training utterances before its first step."""
    rows = corpus.rows["train"]
    system.eval()
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        prepared = system.prepare(corpus.select(rows))
    return {name: x.float() for name, x in prepared.items()}


def _collapsed(history: pd.DataFrame, n: int, on_collapse: str) -> list[str]:
    """Find features without a live unit at the chosen epoch of their part, and stop there or warn."""
    dead = []
    for name in [name.removeprefix("live_") for name in map(str, history) if name.startswith("live_")]:
        part = name.rpartition(".")[0]
        chosen = history[history[of_part("chosen", part)] == 1].iloc[0]
        if chosen[f"live_{name}"] == 0 and n > 1:
            dead.append(name)
    if dead:
        sentence = (
            f"{', '.join(dead)}: one output for all {n} validation utterances at the chosen epoch; expected "
            "units that vary. The encoder has collapsed: lower lr or, after invariant pretraining, "
            "cmd_weight (params.yaml), or set on_collapse to warn to go on and have it reported."
        )
        if on_collapse == "stop":
            raise TrainingError(sentence)
        log.warning("warning: %s", sentence)
    return dead
