"""Reference: modality dropout, what a practitioner tries first. Not in the paper.

Late fusion that starts from the same pretraining as MMIN and is trained with the same masks as MMIN and
IF-MMIN. Zero placeholders replace the missing modalities; nothing is imagined.
"""

from torch import Tensor, nn

from ifmmin.core.terms import CONDITIONS, FULL, MODALITIES
from ifmmin.nn.classifier import Classifier
from ifmmin.nn.encoders import Encoders, concatenated
from ifmmin.nn.fusion import Fusion
from ifmmin.nn.initialisation import initialise
from ifmmin.nn.protocol import Batch, CheckpointGroup

PRETRAINING = "fusion"


class ModalityDropout(Fusion):
    """Late fusion trained in all six conditions."""

    def checkpoint_groups(self) -> dict[str, CheckpointGroup]:
        """One group: its epoch is selected on the validation UA of all six conditions."""
        return {"": CheckpointGroup(CONDITIONS, self.state_dict())}

    def training_losses(self, batch: Batch) -> dict[str, Tensor]:
        """L = L_cls under the drawn masks."""
        h = concatenated(self.encoders.encode(batch.x, batch.available))  # (B, 3 hidden)
        L_cls = nn.functional.cross_entropy(self.classifier(h), batch.y)
        return {"L": L_cls, "L_cls": L_cls}


def build(*, encoders: Encoders, n_classes: int, classifier: list[int], dropout: float) -> ModalityDropout:
    """Build the network around pretrained encoders; the classifier is new, as in MMIN.

    Args:
        encoders: from pretraining on full modalities.
        n_classes: number of emotions.
        classifier: widths of the classifier's hidden layers (128, 128).
        dropout: dropout rate in the classifier.

    Returns:
        The network, in training mode.
    """
    size = len(MODALITIES) * encoders.hidden
    head = Classifier(size=size, layers=classifier, n_classes=n_classes, dropout=dropout)
    initialise(head)
    return ModalityDropout(encoders=encoders, classifier=head, condition=FULL)
