"""The network of IF-MMIN and its two ablations. Paper, section 2.2 and figure 2."""

from collections.abc import Mapping

from torch import Tensor, nn

from ifmmin.core.terms import CONDITIONS, MODALITIES
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoder_system import EncoderSystem
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.imagination import Imagination, reversed_target
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.losses import feature_distance
from ifmmin.nn.protocol import Batch, CheckpointGroup, Prediction
from ifmmin.nn.sequences import Sequences


class IFMMIN(EncoderSystem):
    """Encoders from invariant pretraining, IF-IM and a classifier on the joint representation.

    The teacher of the released code is a frozen copy of the pretrained encoders. The student starts from the
    same weights, so calling `precompute_targets` before the first step yields the teacher's targets without a
    second copy.
    """

    def __init__(
        self,
        *,
        encoders: Encoders,
        imagination: Imagination,
        classifier: Classifier,
        lambda1: float,
        lambda2: float,
        distance: str,
    ) -> None:
        """Assemble the network.

        Args:
            encoders: specificity encoders and Enc', trained on full modalities.
            imagination: IF-IM for features of 3 x hidden.
            classifier: takes the joint representation C.
            lambda1: weight of L_img.
            lambda2: weight of L_inv.
            distance: distance in L_img and L_inv, "rmse" or "mse".
        """
        super().__init__()
        self.encoders = encoders
        self.imagination = imagination
        self.classifier = classifier
        self.lambda1, self.lambda2, self.distance = lambda1, lambda2, distance

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network; all are trained, none is frozen."""
        return {**self.encoders.networks(), "imagination": self.imagination, "classifier": self.classifier}

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of all six conditions."""
        return {"": CheckpointGroup(CONDITIONS, self.state_dict())}

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """The teacher targets h, h_missing (zero placeholders) and H; each (N, 3 x hidden)."""
        return self.encoders.teacher_targets(x)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + lambda1 L_img + lambda2 L_inv.

        Both distances cover all 3 x hidden features.

        Source:
            Paper, section 2.2.2.
        """
        h_m = self.encoders.encode(batch.x, batch.available)
        h, H_prime = concatenated(h_m), concatenated(self.encoders.invariant(h_m))  # (B, 3 hidden) each
        imagined = self.imagination(h, H_prime)
        h_target = reversed_target(batch.available, batch.targets["h"], batch.targets["h_missing"])

        L_cls = nn.functional.cross_entropy(self.classifier(imagined.C), batch.y)
        L_img = feature_distance(imagined.h_prime, h_target, self.distance)
        L_inv = feature_distance(H_prime, batch.targets["H"], self.distance)
        L = L_cls + self.lambda1 * L_img + self.lambda2 * L_inv
        return {"L": L, "L_cls": L_cls, "L_img": L_img, "L_inv": L_inv}

    def predict_from(self, h_m: Mapping[str, Tensor]) -> Prediction:
        """Predict from h^m, modality to (B, hidden)."""
        H_prime = concatenated(self.encoders.invariant(h_m))
        return Prediction(self.classifier(self.imagination.joint(concatenated(h_m), H_prime)), H_prime)


def build(
    *,
    encoders: Encoders,
    n_classes: int,
    lambda1: float,
    lambda2: float,
    M: int,
    autoencoder: list[int],
    cascade: str,
    residual_output: bool,
    transition: bool,
    distance: str,
    classifier: list[int],
    dropout: float,
) -> IFMMIN:
    """Build the network around pretrained encoders.

    IF-IM and the classifier are initialised from torch's global generator.

    Args:
        encoders: from invariant pretraining.
        n_classes: number of emotions.
        lambda1: weight of L_img (paper: 1).
        lambda2: weight of L_inv (paper: 100).
        M: number of autoencoders (paper: 5).
        autoencoder: widths of each autoencoder down to its bottleneck (paper: 256, 128, 64).
        cascade: input of each autoencoder, see Imagination.
        residual_output: whether u_M is added to Delta z_M.
        transition: whether two linear layers with a ReLU follow.
        distance: "rmse" (paper) or "mse" (released code).
        classifier: widths of the classifier's hidden layers (paper: 128, 128).
        dropout: dropout rate in the classifier.

    Returns:
        The network, in training mode.
    """
    size = len(MODALITIES) * encoders.hidden
    imagination = Imagination(
        size=size,
        layers=autoencoder,
        M=M,
        cascade=cascade,
        residual_output=residual_output,
        transition=transition,
    )
    head = Classifier(size=M * autoencoder[-1], layers=classifier, n_classes=n_classes, dropout=dropout)
    initialise(imagination)
    initialise(head)
    return IFMMIN(
        encoders=encoders,
        imagination=imagination,
        classifier=head,
        lambda1=lambda1,
        lambda2=lambda2,
        distance=distance,
    )
