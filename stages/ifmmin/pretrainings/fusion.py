"""Pretraining on full modalities, from which MMIN starts: late fusion, cross entropy alone.

Source: released code of MMIN and of IF-MMIN, models/utt_fusion_model.py.
"""

from ifmmin.nn.fusion import build

__all__ = ["build"]
