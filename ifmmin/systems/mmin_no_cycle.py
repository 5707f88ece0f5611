"""MMIN with forward imagination only: "MMIN w/o cycle" in the paper's Table 1."""

from functools import partial

from ifmmin.nn import mmin

PRETRAINING = "fusion"

build = partial(mmin.build, cycle_weight=0.0)
