"""Room of pretrainings: one file per kind of encoders that a system may start from, loaded by name.

A file exposes build(*, sizes, n_classes, <hyperparameters>), whose keyword arguments are the parameters it
reads. What it returns is an ifmmin.nn.systems.System with one attribute more, encoders: what is kept.
"""
