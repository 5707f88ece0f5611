"""The network of IF-MMIN and its two ablations. Paper, section 2.2 and figure 2."""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from ifmmin.core.terms import CONDITIONS, FULL, MODALITIES, availability
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoder_system import InvariantSystem
from ifmmin.nn.encoders import Encoders, assembled, concatenated
from ifmmin.nn.imagination import Imagination, reversed_target
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.invariant_input import InvariantInput, mask
from ifmmin.nn.losses import feature_distance
from ifmmin.nn.measures import invariance, r2, rmse_by_availability
from ifmmin.nn.protocol import PRESENT, Batch, CheckpointGroup, Prediction, Validation, presence
from ifmmin.nn.sequences import Sequences, to_device


class IFMMIN(InvariantSystem):
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
        invariant_input: str,
        inv_modalities: str,
        inv_text_dropout: bool,
    ) -> None:
        """Assemble the network.

        Args:
            encoders: specificity encoders and Enc', trained on full modalities.
            imagination: IF-IM for features of 3 x hidden.
            classifier: takes the joint representation C.
            lambda1: weight of L_img.
            lambda2: weight of L_inv.
            distance: distance in L_img and L_inv, "rmse" or "mse".
            invariant_input: what stands for the H of a missing modality, see InvariantInput.
            inv_modalities: the modalities in L_inv: "all" or "missing".
            inv_text_dropout: whether L_inv compares features with text dropout (released code).

        Raises:
            ValueError: if `inv_modalities` is unknown.
        """
        super().__init__()
        if inv_modalities not in ("all", "missing"):
            raise ValueError(f"inv_modalities is {inv_modalities!r}; expected all or missing.")
        self.encoders = encoders
        self.invariant_input = InvariantInput(form=invariant_input, hidden=encoders.hidden)
        self.imagination = imagination
        self.classifier = classifier
        self.lambda1, self.lambda2, self.distance = lambda1, lambda2, distance
        self.inv_modalities, self.inv_text_dropout = inv_modalities, inv_text_dropout
        self.loss_weights = {"L_img": lambda1, "L_inv": lambda2}

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network; all are trained, none is frozen."""
        networks = {
            **self.encoders.networks(),
            "imagination": self.imagination,
            "classifier": self.classifier,
        }
        joint = self.invariant_input.joint
        return networks if joint is None else {**networks, "invariant_input": joint}

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of all six conditions."""
        return {"": CheckpointGroup(CONDITIONS, self.state_dict())}

    def precompute_targets(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """The teacher targets h, h_missing (zero placeholders) and H; each (N, 3 x hidden)."""
        return self.encoders.teacher_targets(x)

    def references(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """The teacher's H, (N, 3 x hidden)."""
        return {"H": self.encoders.teacher_targets(x)["H"]}

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls + lambda1 L_img + lambda2 L_inv.

        L_img covers all 3 x hidden features; so does L_inv, unless `inv_modalities` is "missing".

        Source:
            Paper, section 2.2.2.
        """
        pooled = self.encoders.pool(batch.x, batch.available)
        h_m = self.encoders.heads(pooled)
        available = batch.available & presence(batch.x)
        h, H_prime = concatenated(h_m), self._invariant_input(h_m, available)  # (B, 3 hidden) each
        imagined = self.imagination(h, H_prime)
        h_target = reversed_target(batch.available, batch.targets["h"], batch.targets["h_missing"])

        L_cls = nn.functional.cross_entropy(self.classifier(imagined.C), batch.y)
        L_img = feature_distance(imagined.h_prime, h_target, self.distance)
        if not self.inv_text_dropout:
            H_prime = self._invariant_input(self.encoders.heads(pooled, dropout=False), available)
        L_inv = self._invariance_loss(H_prime, batch)
        L = L_cls + self.lambda1 * L_img + self.lambda2 * L_inv
        return {"L": L, "L_cls": L_cls, "L_img": L_img, "L_inv": L_inv}

    def _invariant_input(self, h_m: Mapping[str, Tensor], available: Tensor) -> Tensor:
        """H' (B, 3 x hidden) from h^m and the available modalities (B, 3)."""
        H_prime: Tensor = self.invariant_input(self.encoders.invariant(h_m), available)
        return H_prime

    def _invariance_loss(self, H_prime: Tensor, batch: Batch) -> Tensor:
        """Distance of H' from the teacher's H, of all modalities or of those that the mask removed."""
        H = batch.targets["H"]
        if self.inv_modalities == "all":
            return feature_distance(H_prime, H, self.distance)
        removed = (presence(batch.x) & ~batch.available).repeat_interleave(self.encoders.hidden, dim=1)
        rows = to_device(removed.flatten().nonzero().squeeze(1), H)
        if not len(rows):
            return H_prime.new_zeros(())
        return feature_distance(H_prime.flatten()[rows], H.flatten()[rows], self.distance)

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in several conditions from the same features, with zero placeholders for missing ones."""
        missing = self.encoders.missing()
        return {
            c: self._predict(assembled(encoded, missing, c), mask(availability(c), encoded[PRESENT]))
            for c in conditions
        }

    def _predict(self, h_m: Mapping[str, Tensor], available: Tensor) -> Prediction:
        H_prime = self._invariant_input(h_m, available)
        return Prediction(self.classifier(self.imagination.joint(concatenated(h_m), H_prime)), H_prime)

    def diagnose(self, validation: Validation) -> dict[str, float]:
        """Invariance of H, R2 of the missing modalities' H by condition, and L_inv with its references.

        There is no dropout in this pass, and L_inv is the root mean square over all utterances.
        """
        present, H = validation.encoded[PRESENT] > 0, validation.references["H"]
        H_prime = {c: p.H_prime for c, p in validation.predictions.items() if p.H_prime is not None}
        L_inv = rmse_by_availability(H_prime, H, present)
        if self.inv_modalities == "missing":
            L_inv["floor"] = L_inv["constant"]
        if self.invariant_input.form != "own":
            del L_inv["floor"]
        power = 2 if self.distance == "mse" else 1
        return {
            **invariance(self.features(validation.encoded)[1], present),
            **{f"validation_L_inv_{part}": value**power for part, value in L_inv.items()},
            **{f"validation_R2_{c}": r2(H_prime[c], H, set(FULL) - set(c), present) for c in CONDITIONS},
        }


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
    invariant_input: str,
    inv_modalities: str,
    inv_text_dropout: bool,
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
        invariant_input: "own" (paper, released code), "mean" or "joint", see InvariantInput.
        inv_modalities: modalities in L_inv: "all" (paper, released code) or "missing".
        inv_text_dropout: whether L_inv compares features with text dropout (released code).
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
        invariant_input=invariant_input,
        inv_modalities=inv_modalities,
        inv_text_dropout=inv_text_dropout,
    )
