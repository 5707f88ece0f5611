"""Kinds of pretraining: one file for each, loaded by name.

A file defines build(*, sizes, n_classes, <hyperparameters>), whose keyword arguments are the parameters that
the pretraining reads. It returns an ifmmin.nn.protocol.System with an additional attribute, encoders: the
encoders that systems start from.
"""
