"""Ablation "w/o cascaded input": only the first autoencoder takes H' as input. Paper, section 3.4."""

from functools import partial

from ifmmin.nn import if_mmin

PRETRAINING = "invariant"

build = partial(if_mmin.build, cascade="first")
