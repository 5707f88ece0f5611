"""The network of invariant pretraining, with and without L_cmd.

Source: paper, section 2.1 and figure 1.
"""

from collections import deque
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ifmmin.core.errors import UserError
from ifmmin.core.terms import FULL, MODALITIES
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoder_system import InvariantSystem
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.losses import cmd_loss
from ifmmin.nn.measures import cmd_by_form, invariance
from ifmmin.nn.protocol import PRESENT, Batch, CheckpointGroup, Prediction, Validation

WIDTHS = {"sigmoid": 1.0, "tanh": 2.0}
"""Distance between the bounds of an activation, for the CMD of Zellinger et al."""


class InvariantPretraining(InvariantSystem):
    """Specificity encoders, Enc' and a classifier on h and H."""

    def __init__(
        self,
        *,
        encoders: Encoders,
        classifier: Classifier,
        cmd_weight: float,
        cmd_warmup: int,
        cmd_form: str,
        cmd_memory: int,
        smallest_batch: int,
        invariance_activation: str,
        K: int,
    ) -> None:
        """Assemble the network.

        Args:
            encoders: specificity encoders and Enc', which systems start from.
            classifier: takes [h, H], 6 x hidden features.
            cmd_weight: weight of L_cmd.
            cmd_warmup: epochs over which the weight of L_cmd rises linearly from 0; 0 or 1: no warm-up.
            cmd_form: form of the CMD, see `losses.cmd`.
            cmd_memory: number of earlier batches of the epoch whose H, without gradient, are further samples.
            smallest_batch: the last batch of an epoch is dropped if it has fewer utterances, as the moments
                of few samples are biased; the only batch is kept.
            invariance_activation: activation of Enc'; its bounds are used by the form of Zellinger et al.
            K: highest order of moment in L_cmd.

        Raises:
            UserError: if the form needs a bounded activation and Enc' has another.
        """
        super().__init__()
        if cmd_form == "zellinger" and invariance_activation not in WIDTHS:
            raise UserError(
                f"cmd_form zellinger divides by the range of the activation of Enc', and "
                f"{invariance_activation} has none; expected invariance_activation tanh or sigmoid. Change "
                "one of the two in params.yaml."
            )
        self.encoders = encoders
        self.classifier = classifier
        self.cmd_weight, self.cmd_warmup, self.K = cmd_weight, cmd_warmup, K
        self.cmd_form, self.width = cmd_form, WIDTHS.get(invariance_activation, 1.0)
        self.smallest_batch = smallest_batch
        self.loss_weights = {"L_cmd": cmd_weight}
        self._memory: deque[dict[str, Tensor]] = deque(maxlen=cmd_memory)
        self._epoch = 0

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network; all are trained."""
        return {**self.encoders.networks(), "classifier": self.classifier}

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of the full input."""
        return {"": CheckpointGroup((FULL,), self.state_dict())}

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + cmd_weight x warm-up x L_cmd on the full input; the drawn masks are ignored.

        Source:
            Paper, equation 1 and section 2.1.2, which give L_cmd no weight; docs/differences.md explains it.
        """
        h_m = self.encoders.encode(batch.x)
        H_m = self.encoders.invariant(h_m)
        L_cls = nn.functional.cross_entropy(self._logits(h_m, H_m), batch.y)
        L_cmd = cmd_loss(self._samples(H_m, batch.epoch), self.K, self.cmd_form, self.width)
        warmup = min(1.0, batch.epoch / self.cmd_warmup) if self.cmd_warmup else 1.0
        return {"L": L_cls + self.cmd_weight * warmup * L_cmd, "L_cls": L_cls, "L_cmd": L_cmd}

    def _samples(self, H_m: Mapping[str, Tensor], epoch: int) -> Mapping[str, Tensor]:
        """H^m of this batch and those in memory, which is empty at the start of each epoch."""
        if epoch != self._epoch:
            self._memory.clear()
            self._epoch = epoch
        samples = {m: torch.cat([H, *(past[m] for past in self._memory)]) for m, H in H_m.items()}
        self._memory.append({m: H.detach() for m, H in H_m.items()})
        return samples

    def _logits(self, h_m: Mapping[str, Tensor], H_m: Mapping[str, Tensor]) -> Tensor:
        features = torch.cat([concatenated(h_m), concatenated(H_m)], dim=1)  # (B, 6 hidden)
        return self.classifier(features)  # type: ignore[no-any-return]

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict from the full input, the only condition in pretraining."""
        h_m, H_m = self.features(encoded)
        return {c: Prediction(self._logits(h_m, H_m), concatenated(H_m)) for c in conditions}

    def diagnose(self, validation: Validation) -> dict[str, float]:
        """L_cmd over all utterances at once, plain and scale-free, and the invariance of H."""
        _, H_m = self.features(validation.encoded)
        present = validation.encoded[PRESENT] > 0
        L_cmd = cmd_by_form(H_m, present, self.K)
        measured = {f"validation_L_cmd_{form}": value for form, value in L_cmd.items()}
        return {**measured, **invariance(H_m, present)}


def build(
    *,
    sizes: dict[str, int],
    n_classes: int,
    hidden: int,
    kernel_heights: list[int],
    filters: int,
    text_dropout: float,
    missing_steps: dict[str, int],
    invariance_depth: int,
    invariance_activation: str,
    invariance_dropout: float,
    classifier: list[int],
    dropout: float,
    cmd_weight: float,
    cmd_warmup: int,
    cmd_form: str,
    cmd_memory: int,
    smallest_batch: int,
    K: int,
) -> InvariantPretraining:
    """Build the network; its weights are initialised from torch's global generator.

    The arguments are those of Encoders, Classifier and InvariantPretraining.
    """
    encoders = Encoders(
        sizes=sizes,
        hidden=hidden,
        kernel_heights=kernel_heights,
        filters=filters,
        text_dropout=text_dropout,
        missing_steps=missing_steps,
        invariance_depth=invariance_depth,
        invariance_activation=invariance_activation,
        invariance_dropout=invariance_dropout,
    )
    head = Classifier(
        size=2 * len(MODALITIES) * hidden, layers=classifier, n_classes=n_classes, dropout=dropout
    )
    network = InvariantPretraining(
        encoders=encoders,
        classifier=head,
        cmd_weight=cmd_weight,
        cmd_warmup=cmd_warmup,
        cmd_form=cmd_form,
        cmd_memory=cmd_memory,
        smallest_batch=smallest_batch,
        invariance_activation=invariance_activation,
        K=K,
    )
    initialise(network)
    return network
