"""Invariant pretraining on full modalities: L_cmd aligns the distributions of the H^m.

Source: paper, section 2.1 and figure 1.
"""

from ifmmin.nn.invariant_pretraining import build

__all__ = ["build"]
