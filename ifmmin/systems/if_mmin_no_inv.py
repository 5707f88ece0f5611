"""Ablation "w/o L_inv": IF-MMIN trained without L_inv. Paper, section 3.4."""

from functools import partial

from ifmmin.nn import if_mmin

PRETRAINING = "invariant"

build = partial(if_mmin.build, lambda2=0.0)
