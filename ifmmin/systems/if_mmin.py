"""IF-MMIN, the proposed system: each autoencoder reads H'; L_inv draws H' towards H. Paper, section 2.2."""

from ifmmin.nn.if_mmin import build

PRETRAINING = "invariant"

__all__ = ["PRETRAINING", "build"]
