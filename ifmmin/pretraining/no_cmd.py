"""Control of invariant pretraining: the same without L_cmd, to show what the loss changes. Not in the paper.

No system starts from it; metrics/mechanism.csv compares its features with those of `invariant`.
"""

from functools import partial

from ifmmin.nn import invariant_pretraining

FOLLOWS = "invariant"
"""The kind whose entry in params.yaml holds the settings that the entry of this kind does not."""

build = partial(invariant_pretraining.build, cmd_weight=0.0, cmd_warmup=0, cmd_form="plain", cmd_memory=0)
