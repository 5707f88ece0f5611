"""MMIN (ACL 2021), which IF-MMIN extends: imagination with cycle consistency, no invariant features."""

from ifmmin.nn.mmin import build

PRETRAINING = "fusion"

__all__ = ["PRETRAINING", "build"]
