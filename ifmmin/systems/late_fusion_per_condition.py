"""Reference: one model per condition; its score is no upper bound. Not in the paper.

Late fusion, trained and tested separately in each of the six conditions.
"""

from ifmmin.nn import fusion
from ifmmin.nn.per_condition import per_condition

PRETRAINING = None

build = per_condition(fusion.build)
