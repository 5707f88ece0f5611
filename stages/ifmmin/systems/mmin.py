"""MMIN, the baseline that IF-MMIN extends: imagination without invariant features, and a cycle. ACL 2021."""

from ifmmin.nn.mmin import build

PRETRAINING = "fusion"

__all__ = ["PRETRAINING", "build"]
