"""Training loop for any System, with the protocol of the paper (section 3.1)."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from ifmmin.nn.protocol import Batch, System
from ifmmin.nn.sequences import to_device
from ifmmin.training.balance import balance
from ifmmin.training.batches import Corpus, draw_batches, draw_masks
from ifmmin.training.devices import arithmetic
from ifmmin.training.prediction import TrainingError, group_column, validate
from ifmmin.training.schedule import learning_rate
from ifmmin.training.state import Checkpoint, TrainingState

log = logging.getLogger(__name__)


class Settings(NamedTuple):
    """Optimisation settings.

    Attributes:
        epochs_constant: epochs at the initial learning rate.
        epochs_decay: epochs of linear decay that follow.
        batch: utterances per step.
        lr: initial learning rate of Adam.
        beta1: Adam's decay rate of the first moment; beta2 is 0.999, eps 1e-8, no weight decay.
        clip: maximum L2 norm of the gradient of each sub-network.
        on_collapse: what to do if an encoder collapses: "stop" or "warn".
        threads: number of CPU threads, fixed for reproducibility to the byte.
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
        """Total number of epochs."""
        return self.epochs_constant + self.epochs_decay


class Fitted(NamedTuple):
    """Result of a training run, besides the weights in the system.

    Attributes:
        history: one row per epoch, see training/histories.py.
        collapsed: monitored features without active units at the chosen epoch. Always empty with
            on_collapse "stop".
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
    """Train a system and load the weights of the best epoch of each checkpoint group.

    The best epoch of a group is the first with the highest validation UA, pooled over the conditions of the
    group.

    Args:
        system: the system, on the device of the corpus.
        corpus: features, targets and roles of one fold.
        settings: optimisation settings.
        seed: seed of masks and batch order; initial weights and dropout use the global generator.
        precision: one of devices.PRECISIONS.
        on_epoch: called with each row of the history.
        checkpoint: storage of the state after each epoch. If it holds a state, training resumes from it with
            the same result.

    Returns:
        The history and the collapsed features.

    Raises:
        TrainingError: if a loss is not finite or, with on_collapse "stop", if an encoder collapses (the same
            output for all utterances).

    Source:
        Paper, section 3.1; selection of the epoch: released code, train_miss.py.
    """
    optimiser = adam(system, settings)
    training_state = TrainingState(system, optimiser, seed)
    targets, references = _precompute(system, corpus, precision)
    _resume(training_state, checkpoint, on_epoch)
    for epoch in range(len(training_state.history) + 1, settings.epochs + 1):
        rate = learning_rate(
            epoch, lr=settings.lr, constant=settings.epochs_constant, decay=settings.epochs_decay
        )
        for group in optimiser.param_groups:
            group["lr"] = rate
        batches = _batches(
            system, corpus, targets, settings, epoch, training_state.order, training_state.masks
        )
        losses = _train_epoch(system, batches, optimiser, settings.clip, epoch, precision)
        row = {"epoch": epoch, "lr": rate, **losses, **validate(system, corpus, precision, references)}
        training_state.add(row)
        if checkpoint and epoch < settings.epochs:
            checkpoint.save(training_state.state())
        on_epoch(row)
    training_state.load_best()
    table = _mark_chosen(pd.DataFrame(training_state.history), list(system.checkpoint_groups()))
    line, unbalanced = balance(table, system.loss_weights)
    if unbalanced:
        log.warning("warning: the loss is unbalanced: %s. Lower the weight (docs/mechanism.md).", line)
    elif line:
        log.info("balance of the loss: %s.", line)
    return Fitted(table, _collapsed(table, len(corpus.rows["validation"]), settings.on_collapse))


def _resume(
    training_state: TrainingState,
    checkpoint: Checkpoint | None,
    on_epoch: Callable[[Mapping[str, float]], None],
) -> None:
    """Restore the state of a checkpoint, if any, and call on_epoch for its epochs."""
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return
    training_state.restore(state)
    log.info("resuming after epoch %d.", len(training_state.history))
    for row in training_state.history:
        on_epoch(row)


def _mark_chosen(history: pd.DataFrame, groups: list[str]) -> pd.DataFrame:
    """Add columns that mark the first best epoch of each checkpoint group."""
    marks = {
        group_column("chosen", group): (
            history.index == history[group_column("validation_ua", group)].idxmax()
        ).astype(int)
        for group in groups
    }
    return pd.concat([history[["epoch"]].assign(**marks), history.drop(columns="epoch")], axis=1)


def adam(system: System, settings: Settings) -> torch.optim.Adam:
    """Adam with beta2 0.999, eps 1e-8 and no weight decay, the optimiser of all systems.

    The released scripts set a weight decay, but the released code ignores it.
    """
    parameters = [p for network in system.networks().values() for p in network.parameters()]
    return torch.optim.Adam(parameters, lr=settings.lr, betas=(settings.beta1, 0.999), eps=1e-8, fused=True)


def step(system: System, L: Tensor, optimiser: torch.optim.Optimizer, clip: float) -> None:
    """One optimiser step; the gradient of each sub-network is clipped separately.

    Source:
        Released code: clip_grad_norm_ on each network's parameters (models/*_model.py).
    """
    optimiser.zero_grad(set_to_none=True)
    L.backward()  # type: ignore[no-untyped-call]
    for network in system.networks().values():
        nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimiser.step()


def _batches(
    system: System,
    corpus: Corpus,
    targets: Mapping[str, Tensor],
    settings: Settings,
    epoch: int,
    order: torch.Generator,
    masks: torch.Generator,
) -> Iterator[Batch]:
    """Yield the batches of an epoch: each training utterance once, with one mask."""
    rows = corpus.rows["train"]
    available = draw_masks(len(rows), masks)
    for positions in draw_batches(len(rows), settings.batch, system.smallest_batch, order):
        yield Batch(
            x=corpus.select(rows[positions]),
            available=available[positions],
            y=corpus.y[to_device(rows[positions], corpus.y)],
            targets={name: x[to_device(positions, x)] for name, x in targets.items()},
            epoch=epoch,
        )


def _train_epoch(
    system: System,
    batches: Iterable[Batch],
    optimiser: torch.optim.Optimizer,
    clip: float,
    epoch: int,
    precision: str,
) -> dict[str, float]:
    """Train for one epoch.

    Returns:
        The mean of each loss over the utterances of the epoch.

    Raises:
        TrainingError: if there is no batch, or a loss is not finite.
    """
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
            f"no batch has {system.smallest_batch} utterances; expected at least two training utterances and "
            "batches of that size. Check the fold, batch and smallest_batch."
        )
    values = torch.stack(steps).cpu()  # (steps, losses)
    finite = values.isfinite()
    if not finite.all():
        first = int((~finite).nonzero()[0, 0])
        losses_of_step = zip(names, values[first].tolist(), finite[first].tolist(), strict=True)
        listed = ", ".join(f"{name} is {value}" for name, value, is_finite in losses_of_step if not is_finite)
        raise TrainingError(
            f"{listed} in epoch {epoch}, step {first + 1}; "
            "expected a finite loss. Check the scale of the features, or lower lr (in pretraining also "
            "cmd_weight) in params.yaml."
        )
    means = (values * torch.tensor(sizes)[:, None]).sum(0) / sum(sizes)
    return dict(zip(names, means.tolist(), strict=True))


def _precompute(
    system: System, corpus: Corpus, precision: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Targets of the training and references of the validation utterances, before the first step."""
    system.eval()
    with torch.no_grad(), arithmetic(corpus.y.device, precision):
        targets = system.precompute_targets(corpus.select(corpus.rows["train"]))
        references = system.references(corpus.select(corpus.rows["validation"]))
    return _float(targets), _float(references)


def _float(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: x.float() for name, x in tensors.items()}


def _collapsed(history: pd.DataFrame, n: int, on_collapse: str) -> list[str]:
    """List monitored features without active units at the chosen epoch of their group; warn about them.

    Raises:
        TrainingError: if there are any and on_collapse is "stop".
    """
    collapsed = []
    for name in [name.removeprefix("active_") for name in map(str, history) if name.startswith("active_")]:
        group = name.rpartition(".")[0]
        chosen = history[history[group_column("chosen", group)] == 1].iloc[0]
        if chosen[f"active_{name}"] == 0 and n > 1:
            collapsed.append(name)
    if collapsed:
        message = (
            f"{', '.join(collapsed)}: one output for all {n} validation utterances at the chosen epoch; "
            "expected active units. The encoder has collapsed. Lower lr or, after invariant pretraining, "
            "cmd_weight (params.yaml). To continue with a warning instead, set on_collapse to warn."
        )
        if on_collapse == "stop":
            raise TrainingError(message)
        log.warning("warning: %s", message)
    return collapsed
