"""The network of MMIN, with and without its cycle.

Source: Zhao, Li, Jin: "Missing Modality Imagination Network for Emotion Recognition with Uncertain Missing
Modalities", ACL 2021; released code of it and of IF-MMIN, models/mmin_model.py.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoders import Encoders, assembled, concatenated
from ifmmin.nn.imagination import Imagination, Imagined, reversed_target
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.losses import distance
from ifmmin.nn.sequences import Sequences
from ifmmin.nn.systems import Batch, Part, Prediction
from ifmmin.terms import CONDITIONS, MODALITIES


class MMIN(nn.Module):
    """Encoders from pretraining on full modalities, a residual cascade, its way back, and a classifier.

    The teacher is the student before its first step, as in IFMMIN.
    """

    smallest_batch = 1

    def __init__(
        self,
        *,
        encoders: Encoders,
        imagination: Imagination,
        cycle: Imagination | None,
        classifier: Classifier,
        img_weight: float,
        cycle_weight: float,
        form: str,
    ) -> None:
        """Assemble the parts.

        Args:
            encoders: specificity encoders, trained on full modalities.
            imagination: the cascade for features of 3 x hidden.
            cycle: a second one that leads back from h' to h; None for MMIN without cycle.
            classifier: reads the joint representation C of the first.
            img_weight: weight of L_img.
            cycle_weight: weight of L_cycle.
            form: distance of both, "rmse" or "mse".
        """
        super().__init__()
        self.encoders = encoders
        self.imagination = imagination
        self.cycle = cycle
        self.classifier = classifier
        self.img_weight, self.cycle_weight, self.form = img_weight, cycle_weight, form

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks that train; nothing of the student is frozen."""
        forward = {**self.encoders.networks(), "imagination": self.imagination, "classifier": self.classifier}
        return forward if self.cycle is None else {**forward, "cycle": self.cycle}

    def parts(self) -> dict[str, Part]:
        """One part: all six conditions pick its epoch."""
        return {"": Part(CONDITIONS, self.state_dict())}

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """The teacher's h and the same of silence; each (N, 3 x hidden)."""
        return self.encoders.teach(x)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + img_weight L_img + cycle_weight L_cycle.

        L_cycle compares what the way back makes of h' with h, which is held: its gradient goes through h'
        alone.

        Source:
            Released code, models/mmin_model.py.
        """
        h = concatenated(self.encoders.encode(batch.x, batch.available))  # (B, 3 hidden)
        imagined = imagine(self.imagination, h)
        h_target = reversed_target(batch.available, batch.targets["h"], batch.targets["h_missing"])
        L_cls = nn.functional.cross_entropy(self.classifier(imagined.C), batch.y)
        L_img = distance(imagined.h_prime, h_target, self.form)
        L = L_cls + self.img_weight * L_img
        if self.cycle is None:
            return {"L": L, "L_cls": L_cls, "L_img": L_img}
        L_cycle = distance(imagine(self.cycle, imagined.h_prime).h_prime, h.detach(), self.form)
        return {"L": L + self.cycle_weight * L_cycle, "L_cls": L_cls, "L_img": L_img, "L_cycle": L_cycle}

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode each modality of the full input: modality to (B, hidden)."""
        return self.encoders.encode(x)

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in several conditions from features that were encoded once."""
        missing = self.encoders.missing()
        return {c: self._predict(assembled(encoded, missing, c)) for c in conditions}

    def _predict(self, h_m: Mapping[str, Tensor]) -> Prediction:
        h = concatenated(h_m)
        return Prediction(self.classifier(self.imagination.joint(h, torch.zeros_like(h))), None)

    def vital(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """h^m of the full input, by name."""
        return self.encoders.vital(encoded)


def imagine(cascade: Imagination, h: Tensor) -> Imagined:
    """MMIN has no invariant features: its cascade is that of IF-MMIN with H' = 0."""
    imagined: Imagined = cascade(h, torch.zeros_like(h))
    return imagined


def build(
    *,
    encoders: Encoders,
    n_classes: int,
    M: int,
    autoencoder: list[int],
    distance: str,
    classifier: list[int],
    dropout: float,
    img_weight: float,
    cycle_weight: float,
) -> MMIN:
    """Build the network around pretrained encoders; the rest is drawn from the global generator.

    Args:
        encoders: from pretraining on full modalities.
        n_classes: number of emotions.
        M: number of autoencoders of each cascade (5).
        autoencoder: their widths down to the code (256, 128, 64).
        distance: "rmse" or "mse" (released code).
        classifier: widths of its hidden layers (128, 128).
        dropout: share dropped in the classifier.
        img_weight: weight of L_img (released code: 4).
        cycle_weight: weight of L_cycle (released code: 2); 0 builds no way back.

    Returns:
        The network, in training mode.
    """

    def cascade() -> Imagination:
        return Imagination(
            size=len(MODALITIES) * encoders.hidden,
            layers=autoencoder,
            M=M,
            cascade="residual",
            residual_output=True,
            transition=True,
        )

    network = MMIN(
        encoders=encoders,
        imagination=cascade(),
        cycle=cascade() if cycle_weight else None,
        classifier=Classifier(
            size=M * autoencoder[-1], layers=classifier, n_classes=n_classes, dropout=dropout
        ),
        img_weight=img_weight,
        cycle_weight=cycle_weight,
        form=distance,
    )
    for name, part in network.named_children():
        if name != "encoders":
            initialise(part)
    return network
