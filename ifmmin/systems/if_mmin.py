"""IF-MMIN, the proposed system: every autoencoder takes H' as input; L_inv pulls H' towards H.

Source: paper, section 2.2.
"""

from ifmmin.nn.if_mmin import build

PRETRAINING = "invariant"

__all__ = ["PRETRAINING", "build"]
