"""Invariant pretraining: all modalities are there; CMD pulls their H^m into one subspace.

Source: paper, section 2.1 and figure 1.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.losses import cmd_loss
from ifmmin.nn.sequences import Sequences
from ifmmin.nn.systems import Batch, Part, Prediction
from ifmmin.terms import FULL, MODALITIES


class InvariantPretraining(nn.Module):
    """Specificity encoders, Enc' and a classifier that reads h and H."""

    smallest_batch = 2
    """The moments of a single utterance are all 0 and say nothing."""

    def __init__(
        self,
        *,
        encoders: Encoders,
        classifier: Classifier,
        cmd_weight: float,
        cmd_warmup: int,
        K: int,
    ) -> None:
        """Assemble the parts.

        Args:
            encoders: specificity encoders and Enc'; what is kept afterwards.
            classifier: reads [h, H], 6 x hidden.
            cmd_weight: weight of L_cmd.
            cmd_warmup: epochs over which the weight grows linearly from 0; 0 or 1: full from the start.
            K: highest order of moment in L_cmd.
        """
        super().__init__()
        self.encoders = encoders
        self.classifier = classifier
        self.cmd_weight, self.cmd_warmup, self.K = cmd_weight, cmd_warmup, K

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks, all of which train."""
        return {**self.encoders.networks(), "classifier": self.classifier}

    def parts(self) -> dict[str, Part]:
        """One part: the full input picks its epoch."""
        return {"": Part((FULL,), self.state_dict())}

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Nothing: pretraining has no teacher."""
        del x
        return {}

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + weight x L_cmd on the full input; the masks are not read.

        Source:
            Paper, equation 1 and section 2.1.2, which give L_cmd no weight. Why it has one here: README,
            table of deviations.
        """
        h_m = self.encode(batch.x)
        H_m = self.encoders.invariant(h_m)
        L_cls = nn.functional.cross_entropy(self._logits(h_m, H_m), batch.y)
        L_cmd = cmd_loss(H_m, self.K)
        grown = min(1.0, batch.epoch / self.cmd_warmup) if self.cmd_warmup else 1.0
        return {"L": L_cls + self.cmd_weight * grown * L_cmd, "L_cls": L_cls, "L_cmd": L_cmd}

    def _logits(self, h_m: Mapping[str, Tensor], H_m: Mapping[str, Tensor]) -> Tensor:
        both = torch.cat([concatenated(h_m), concatenated(H_m)], dim=1)  # (B, 6 hidden)
        return self.classifier(both)  # type: ignore[no-any-return]

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode each modality: modality to (B, hidden)."""
        return self.encoders.encode(x)

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict from the full input, the only condition that pretraining knows."""
        H_m = self.encoders.invariant(encoded)
        return {
            condition: Prediction(self._logits(encoded, H_m), concatenated(H_m)) for condition in conditions
        }

    def vital(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """h^m and H^m, by name."""
        return self.encoders.vital(encoded)


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
    """Build the network, drawn from the global generator.

    Arguments as in Encoders, Classifier and InvariantPretraining.
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
