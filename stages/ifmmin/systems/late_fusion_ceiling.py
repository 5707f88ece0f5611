"""Ceiling: late fusion trained for each condition on that condition alone.

What full knowledge of the gap would give; ours, no row of the paper.
"""

from ifmmin.nn import fusion
from ifmmin.nn.per_condition import per_condition

PRETRAINING = None

build = per_condition(fusion.build)
