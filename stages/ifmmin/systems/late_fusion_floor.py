"""Floor: late fusion trained on the full input and tested with gaps, which are filled with zeros.

What a user has who does nothing about missing modalities; ours, no row of the paper.
"""

from ifmmin.nn.fusion import build

PRETRAINING = None

__all__ = ["PRETRAINING", "build"]
