"""The network of MMIN, with and without the cycle.

Source: Zhao, Li, Jin: "Missing Modality Imagination Network for Emotion Recognition with Uncertain Missing
Modalities", ACL 2021; released code of MMIN and of IF-MMIN, models/mmin_model.py.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ifmmin.core.terms import CONDITIONS, MODALITIES
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoder_system import EncoderSystem
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.imagination import Imagination, Imagined, reversed_target
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.losses import feature_distance
from ifmmin.nn.protocol import Batch, CheckpointGroup, Prediction
from ifmmin.nn.sequences import Sequences


class MMIN(EncoderSystem):
    """Encoders from pretraining on full modalities, a forward and a backward cascade, and a classifier.

    The teacher targets are computed with the student's initial weights, as in IFMMIN.
    """

    def __init__(
        self,
        *,
        encoders: Encoders,
        imagination: Imagination,
        cycle: Imagination | None,
        classifier: Classifier,
        img_weight: float,
        cycle_weight: float,
        distance: str,
    ) -> None:
        """Assemble the network.

        Args:
            encoders: specificity encoders, trained on full modalities.
            imagination: the forward cascade from h to h', 3 x hidden features each.
            cycle: the backward cascade from h' to h; None for MMIN w/o cycle.
            classifier: takes the joint representation C of the forward cascade.
            img_weight: weight of L_img.
            cycle_weight: weight of L_cycle.
            distance: distance in L_img and L_cycle, "rmse" or "mse".
        """
        super().__init__()
        self.encoders = encoders
        self.imagination = imagination
        self.cycle = cycle
        self.classifier = classifier
        self.img_weight, self.cycle_weight, self.distance = img_weight, cycle_weight, distance
        self.loss_weights = {"L_img": img_weight, "L_cycle": cycle_weight}

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network; all are trained, none is frozen."""
        networks = {
            **self.encoders.networks(),
            "imagination": self.imagination,
            "classifier": self.classifier,
        }
        return networks if self.cycle is None else {**networks, "cycle": self.cycle}

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of all six conditions."""
        return {"": CheckpointGroup(CONDITIONS, self.state_dict())}

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """The teacher targets h and h_missing (zero placeholders); each (N, 3 x hidden)."""
        return self.encoders.teacher_targets(x)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + img_weight L_img + cycle_weight L_cycle.

        L_cycle is the distance between h and its reconstruction from h'. Its gradient flows through h' only,
        since h is detached.

        Source:
            Released code, models/mmin_model.py.
        """
        h = concatenated(self.encoders.encode(batch.x, batch.available))  # (B, 3 hidden)
        imagined = imagine(self.imagination, h)
        h_target = reversed_target(batch.available, batch.targets["h"], batch.targets["h_missing"])
        L_cls = nn.functional.cross_entropy(self.classifier(imagined.C), batch.y)
        L_img = feature_distance(imagined.h_prime, h_target, self.distance)
        L = L_cls + self.img_weight * L_img
        if self.cycle is None:
            return {"L": L, "L_cls": L_cls, "L_img": L_img}
        L_cycle = feature_distance(imagine(self.cycle, imagined.h_prime).h_prime, h.detach(), self.distance)
        return {"L": L + self.cycle_weight * L_cycle, "L_cls": L_cls, "L_img": L_img, "L_cycle": L_cycle}

    def predict_from(self, h_m: Mapping[str, Tensor]) -> Prediction:
        """Predict from h^m, modality to (B, hidden)."""
        h = concatenated(h_m)
        return Prediction(self.classifier(self.imagination.joint(h, torch.zeros_like(h))), None)


def imagine(cascade: Imagination, h: Tensor) -> Imagined:
    """Run the cascade with H' = 0, since MMIN has no invariant features."""
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
    """Build the network around pretrained encoders.

    The other weights are initialised from torch's global generator.

    Args:
        encoders: from pretraining on full modalities.
        n_classes: number of emotions.
        M: number of autoencoders in each cascade (5).
        autoencoder: widths of each autoencoder down to its bottleneck (256, 128, 64).
        distance: "rmse" or "mse" (released code).
        classifier: widths of the classifier's hidden layers (128, 128).
        dropout: dropout rate in the classifier.
        img_weight: weight of L_img (released code: 4).
        cycle_weight: weight of L_cycle (released code: 2); 0 builds no backward cascade.

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
        distance=distance,
    )
    for name, module in network.named_children():
        if name != "encoders":
            initialise(module)
    return network
