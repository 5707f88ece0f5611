"""IF-MMIN, the proposed system: H' enters each autoencoder, L_inv pulls it to H. Paper, section 2.2."""

from ifmmin.nn.if_mmin import build

PRETRAINING = "invariant"

__all__ = ["PRETRAINING", "build"]
