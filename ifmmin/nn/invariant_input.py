"""H', the invariant features that IF-IM takes as input, from the H'^m of the three modalities."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ifmmin.core.terms import MODALITIES
from ifmmin.nn.encoders import concatenated
from ifmmin.nn.sequences import to_device

FORMS = ("own", "mean", "joint")


class InvariantInput(nn.Module):
    """Combines the H'^m of one utterance.

    What stands for the H of a missing modality depends on the form:

        own      Enc' of the embedding of its zero placeholder: paper, section 2.2.1, and released code. It is
                 the same for every utterance, so it cannot predict H.
        mean     the mean of the H'^m of the available modalities: the best guess if H is invariant (ours).
        joint    a linear map of all three H'^m, where that of a missing modality comes from its zero
                 placeholder. It starts at the identity, that is, at own (ours).
    """

    def __init__(self, *, form: str, hidden: int) -> None:
        """Build for H'^m of `hidden` units.

        Raises:
            ValueError: if `form` is unknown.
        """
        super().__init__()
        if form not in FORMS:
            raise ValueError(f"invariant_input is {form!r}; expected {', '.join(FORMS)}.")
        self.form = form
        self.joint = None
        if form == "joint":
            size = len(MODALITIES) * hidden
            self.joint = nn.Linear(size, size)
            nn.init.eye_(self.joint.weight)
            nn.init.zeros_(self.joint.bias)

    def forward(self, H_m: Mapping[str, Tensor], available: Tensor) -> Tensor:
        """Compute H'.

        Args:
            H_m: modality to (B, hidden), H'^m; for a missing modality, that of its zero placeholder.
            available: (B, 3) bool, in the order a, v, t.

        Returns:
            (B, 3 x hidden).
        """
        own = concatenated(H_m)
        if self.joint is not None:
            joint: Tensor = self.joint(own)
            return joint
        if self.form == "own":
            return own
        features = torch.stack([H_m[m] for m in MODALITIES], dim=1)  # (B, 3, hidden)
        given = to_device(available, own)[..., None]
        n = given.sum(1, keepdim=True)  # 0 if the corpus has none of the available modalities
        mean = (features * given).sum(1, keepdim=True) / n.clamp_min(1)
        return torch.where(given | (n == 0), features, mean).flatten(1)


def mask(available: Sequence[bool], present: Tensor) -> Tensor:
    """The modalities that are available in a condition and present in the corpus: (B, 3) bool.

    Args:
        available: whether each modality is available in the condition.
        present: (B, 3), positive where the corpus has the modality.
    """
    return (present > 0) & torch.tensor(available, device=present.device)
