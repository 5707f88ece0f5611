"""Late fusion: encoders and a classifier on their concatenated features, nothing else.

Pretraining of MMIN on full modalities, the floor of Table 1 (trained on the full input, tested with gaps) and
its ceiling (trained and tested on one condition) are this network.
"""

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoders import Encoders, assembled, concatenated
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.sequences import Sequences
from ifmmin.nn.systems import Batch, Part, Prediction
from ifmmin.terms import FULL


class Fusion(nn.Module):
    """The encoders of one condition's modalities and a classifier that reads h; trained on these modalities.

    Source:
        Released code: models/utt_fusion_model.py.
    """

    smallest_batch = 1

    def __init__(self, *, encoders: Encoders, classifier: Classifier, condition: str) -> None:
        """Assemble the parts.

        Args:
            encoders: specificity encoders of the condition's n modalities.
            classifier: reads h, n x hidden.
            condition: the modalities that training and validation have.
        """
        super().__init__()
        self.encoders = encoders
        self.classifier = classifier
        self.condition = condition

    def networks(self) -> dict[str, nn.Module]:
        """The sub-networks, all of which train."""
        return {**self.encoders.networks(), "classifier": self.classifier}

    def parts(self) -> dict[str, Part]:
        """One part: the condition of training picks its epoch."""
        return {"": Part((self.condition,), self.state_dict())}

    def prepare(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Nothing: there is no teacher."""
        del x
        return {}

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls in the condition of training; the masks that were drawn are not read."""
        h = concatenated(self.encoders.encode(batch.x))  # (B, n hidden)
        L_cls = nn.functional.cross_entropy(self.classifier(h), batch.y)
        return {"L": L_cls, "L_cls": L_cls}

    def encode(self, x: Mapping[str, Sequences]) -> dict[str, Tensor]:
        """Encode each modality that training has: modality to (B, hidden)."""
        return self.encoders.encode(x)

    def predict(self, encoded: Mapping[str, Tensor], conditions: Iterable[str]) -> dict[str, Prediction]:
        """Predict in conditions that have some of training's modalities; the others are silent."""
        missing = self.encoders.missing()
        return {
            c: Prediction(self.classifier(concatenated(assembled(encoded, missing, c))), None)
            for c in conditions
        }

    def vital(self, encoded: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """h^m, by name."""
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
    classifier: list[int],
    dropout: float,
    condition: str = FULL,
) -> Fusion:
    """Build the network, drawn from the global generator.

    Arguments as in Encoders, Classifier and Fusion.
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
