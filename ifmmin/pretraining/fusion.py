"""Pretraining of MMIN on full modalities: late fusion trained with cross-entropy only.

Source: released code of MMIN and of IF-MMIN, models/utt_fusion_model.py.
"""

from ifmmin.nn.fusion import build

__all__ = ["build"]
