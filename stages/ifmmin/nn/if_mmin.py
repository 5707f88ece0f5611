"""The network of IF-MMIN and of its two ablations. Paper, section 2.2 and figure 2."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoders import Encoders, assembled, concatenated
from ifmmin.nn.imagination import Imagination, reversed_target
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.losses import distance
from ifmmin.nn.sequences import Sequences
from ifmmin.nn.systems import Batch, Part, Prediction
from ifmmin.terms import CONDITIONS, MODALITIES


class IFMMIN(nn.Module):
    """Encoders from invariant pretraining, IF-IM and a classifier on the joint representation.

    The teacher of the released code is a frozen copy of the pretrained encoders. The student starts as that
    copy, so `prepare` called before the first step is the teacher's answer, and no copy is kept.
    """

    smallest_batch = 1

    def __init__(
        self,
        *,
        encoders: Encoders,
        imagination: Imagination,
        classifier: Classifier,
        lambda1: float,
        lambda2: float,
        form: str,
    ) -> None:
        """Assemble the parts.

        Args:
            encoders: specificity encoders and Enc', trained on full modalities.
            imagination: IF-IM for features of 3 x hidden.
            classifier: reads the joint representation C.
            lambda1: weight of L_img.
            lambda2: weight of L_inv.
            form: distance of both, "rmse" or "mse".
        """
        super().__init__()
        self.encoders = encoders
        self.imagination = imagination
        self.classifier = classifier
        self.lambda1, self.lambda2, self.form = lambda1, lambda2, form

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks that train; nothing of the student is frozen."""
        return {**self.encoders.networks(), "imagination": self.imagination, "classifier": self.classifier}

    def parts(self) -> dict[str, Part]:
        """One part: all six conditions pick its epoch."""
        return {"": Part(CONDITIONS, self.state_dict())}

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """The teacher's h, the same of silence, and its H; each (N, 3 x hidden)."""
        return self.encoders.teach(x)

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + lambda1 L_img + lambda2 L_inv.

        Both distances are over all 3 x hidden numbers.

        Source:
            Paper, section 2.2.2.
        """
        h_m = self.encoders.encode(batch.x, batch.available)
        h, H_prime = concatenated(h_m), concatenated(self.encoders.invariant(h_m))  # (B, 3 hidden) each
        imagined = self.imagination(h, H_prime)
        h_target = reversed_target(batch.available, batch.targets["h"], batch.targets["h_missing"])

        L_cls = nn.functional.cross_entropy(self.classifier(imagined.C), batch.y)
        L_img = distance(imagined.h_prime, h_target, self.form)
        L_inv = distance(H_prime, batch.targets["H"], self.form)
        L = L_cls + self.lambda1 * L_img + self.lambda2 * L_inv
        return {"L": L, "L_cls": L_cls, "L_img": L_img, "L_inv": L_inv}

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode each modality of the full input: modality to (B, hidden)."""
        return self.encoders.encode(x)

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in several conditions from features that were encoded once."""
        missing = self.encoders.missing()
        return {c: self._predict(assembled(encoded, missing, c)) for c in conditions}

    def _predict(self, h_m: Mapping[str, Tensor]) -> Prediction:
        H_prime = concatenated(self.encoders.invariant(h_m))
        return Prediction(self.classifier(self.imagination.joint(concatenated(h_m), H_prime)), H_prime)

    def vital(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """h^m and H^m of the full input, by name."""
        return self.encoders.vital(encoded)


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
    """Build the network around pretrained encoders; IF-IM and classifier are drawn from the global generator.

    Args:
        encoders: from invariant pretraining.
        n_classes: number of emotions.
        lambda1: weight of L_img (paper: 1).
        lambda2: weight of L_inv (paper: 100).
        M: number of autoencoders (paper: 5).
        autoencoder: their widths down to the code (paper: 256, 128, 64).
        cascade: what each autoencoder reads, see Imagination.
        residual_output: whether u_M is added to Delta z_M.
        transition: whether a transition follows.
        distance: "rmse" (paper) or "mse" (released code).
        classifier: widths of its hidden layers (paper: 128, 128).
        dropout: share dropped in the classifier.

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
        form=distance,
    )
