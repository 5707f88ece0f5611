"""The balance of the loss in the log."""

import logging

import pandas as pd
import torch

import models
from ifmmin.training import balance, loop

HISTORY = pd.DataFrame({"epoch": [1, 2], "chosen": [0, 1], "L_cls": [1.0, 0.5], "L_inv": [0.2, 0.04]})


def test_terms_are_listed_at_the_first_and_the_chosen_epoch():
    text, large = balance.balance(HISTORY, {"L_inv": 10.0})

    assert text == "first epoch 1: L_cls 1, 10 x L_inv 2; chosen epoch 2: L_cls 0.5, 10 x L_inv 0.4"
    assert not large


def test_a_term_over_ten_times_the_cross_entropy_is_large():
    text, large = balance.balance(HISTORY, {"L_inv": 60.0})

    assert large
    assert "60 x L_inv 12 (12 times L_cls); chosen epoch 2: L_cls 0.5, 60 x L_inv 2.4" in text


def test_systems_with_one_loss_or_a_weight_of_0_have_no_balance():
    assert balance.balance(HISTORY, {}) == ("", False)
    assert balance.balance(HISTORY, {"L_inv": 0.0, "L_other": 1.0}) == ("", False)


def test_training_warns_of_an_unbalanced_loss(corpus, caplog):
    caplog.set_level(logging.INFO)
    settings = loop.Settings(1, 0, 10, 0.001, 0.5, 1.0, "warn", 1)
    for lambda2 in (1e-3, 1e4):
        torch.manual_seed(0)
        system = models.model("if_mmin")
        system.lambda2 = lambda2
        system.loss_weights = {"L_inv": lambda2}
        loop.fit(system, corpus, settings, seed=0, precision="float32", on_epoch=lambda row: None)

    lines = [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if "x L_inv" in record.getMessage()
    ]
    assert [level for level, _ in lines] == ["INFO", "WARNING"]
    assert "times L_cls" in lines[1][1]
