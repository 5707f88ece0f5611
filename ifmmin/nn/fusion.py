"""Late fusion: encoders and a classifier on their concatenated features.

Three models use this network: the pretraining of MMIN on full modalities; late_fusion_floor, the lower
reference (no handling of missing modalities); and late_fusion_per_condition (one model per condition).
"""

from collections.abc import Mapping

from torch import Tensor, nn

from ifmmin.core.terms import FULL
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoder_system import EncoderSystem
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.protocol import Batch, CheckpointGroup, Prediction


class Fusion(EncoderSystem):
    """Encoders of one condition's modalities and a classifier on h; trained on this condition.

    Source:
        Released code: models/utt_fusion_model.py.
    """

    def __init__(self, *, encoders: Encoders, classifier: Classifier, condition: str) -> None:
        """Assemble the network.

        Args:
            encoders: specificity encoders of the condition's n modalities.
            classifier: takes h, n x hidden.
            condition: the available modalities in training and validation.
        """
        super().__init__()
        self.encoders = encoders
        self.classifier = classifier
        self.condition = condition

    def networks(self) -> dict[str, nn.Module]:
        """Name to sub-network; all are trained."""
        return {**self.encoders.networks(), "classifier": self.classifier}

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of the training condition."""
        return {"": CheckpointGroup((self.condition,), self.state_dict())}

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls in the training condition; the drawn masks are ignored."""
        h = concatenated(self.encoders.encode(batch.x))  # (B, n hidden)
        L_cls = nn.functional.cross_entropy(self.classifier(h), batch.y)
        return {"L": L_cls, "L_cls": L_cls}

    def predict_from(self, h_m: Mapping[str, Tensor]) -> Prediction:
        """Predict from h^m, modality to (B, hidden)."""
        return Prediction(self.classifier(concatenated(h_m)), None)


def build(
    *,
    sizes: dict[str, int],
    n_classes: int,
    hidden: int,
    kernel_heights: list[int],
    filters: int,
    text_dropout: float,
    missing_steps: dict[str, int],
    classifier: list[int],
    dropout: float,
    condition: str = FULL,
) -> Fusion:
    """Build the network; its weights are initialised from torch's global generator.

    The arguments are those of Encoders, Classifier and Fusion.
    """
    encoders = Encoders(
        sizes={m: sizes[m] for m in condition},
        hidden=hidden,
        kernel_heights=kernel_heights,
        filters=filters,
        text_dropout=text_dropout,
        missing_steps=missing_steps,
    )
    head = Classifier(size=len(condition) * hidden, layers=classifier, n_classes=n_classes, dropout=dropout)
    network = Fusion(encoders=encoders, classifier=head, condition=condition)
    initialise(network)
    return network
