"""Room of pretrainings: one file per kind of encoders that a system may start from, loaded by name.

A file exposes build(*, sizes, n_classes, <hyperparameters>), whose keyword arguments are the parameters it
reads. What it returns is an ifmmin.nn.systems.System with two attributes more: encoders, the part that is
kept, and encoder_settings, which rebuild it.
"""
