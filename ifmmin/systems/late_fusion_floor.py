"""Lower reference: no handling of missing modalities. Not in the paper.

Late fusion, trained on the full input only; at test time, zero placeholders replace missing modalities.
"""

from ifmmin.nn.fusion import build

PRETRAINING = None

__all__ = ["PRETRAINING", "build"]
