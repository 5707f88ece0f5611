"""Invariant pretraining on full modalities: L_cmd aligns the distributions of the H^m.

Source: paper, section 2.1 and figure 1.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ifmmin.core.terms import FULL, MODALITIES
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoder_system import EncoderSystem
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.losses import cmd_loss
from ifmmin.nn.protocol import Batch, CheckpointGroup, Prediction
from ifmmin.nn.sequences import Sequences


class InvariantPretraining(EncoderSystem):
    """Specificity encoders, Enc' and a classifier on h and H."""

    smallest_batch = 2
    """CMD compares distributions, and all central moments of a single utterance are 0."""

    def __init__(
        self,
        *,
        encoders: Encoders,
        classifier: Classifier,
        cmd_weight: float,
        cmd_warmup: int,
        K: int,
    ) -> None:
        """Assemble the network.

        Args:
            encoders: specificity encoders and Enc', which systems start from.
            classifier: takes [h, H], 6 x hidden features.
            cmd_weight: weight of L_cmd.
            cmd_warmup: epochs over which the weight of L_cmd rises linearly from 0; 0 or 1: no warm-up.
            K: highest order of moment in L_cmd.
        """
        super().__init__()
        self.encoders = encoders
        self.classifier = classifier
        self.cmd_weight, self.cmd_warmup, self.K = cmd_weight, cmd_warmup, K

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network; all are trained."""
        return {**self.encoders.networks(), "classifier": self.classifier}

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of the full input."""
        return {"": CheckpointGroup((FULL,), self.state_dict())}

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Return no targets: pretraining has no teacher."""
        del x
        return {}

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + cmd_weight x warm-up x L_cmd on the full input; the drawn masks are ignored.

        Source:
            Paper, equation 1 and section 2.1.2, which give L_cmd no weight; docs/differences.md explains it.
        """
        h_m = self.encode(batch.x)
        H_m = self.encoders.invariant(h_m)
        L_cls = nn.functional.cross_entropy(self._logits(h_m, H_m), batch.y)
        L_cmd = cmd_loss(H_m, self.K)
        warmup = min(1.0, batch.epoch / self.cmd_warmup) if self.cmd_warmup else 1.0
        return {"L": L_cls + self.cmd_weight * warmup * L_cmd, "L_cls": L_cls, "L_cmd": L_cmd}

    def _logits(self, h_m: Mapping[str, Tensor], H_m: Mapping[str, Tensor]) -> Tensor:
        features = torch.cat([concatenated(h_m), concatenated(H_m)], dim=1)  # (B, 6 hidden)
        return self.classifier(features)  # type: ignore[no-any-return]

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict from the full input, the only condition in pretraining."""
        H_m = self.encoders.invariant(encoded)
        return {
            condition: Prediction(self._logits(encoded, H_m), concatenated(H_m)) for condition in conditions
        }


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
        K=K,
    )
    initialise(network)
    return network
