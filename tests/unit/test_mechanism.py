"""Measures of the mechanism on test utterances, and what L_inv compares."""

import numpy as np
import pandas as pd
import pytest
import torch

from conftest import ENCODERS
from ifmmin.core.terms import CONDITIONS, FULL
from ifmmin.evaluation import mechanism
from ifmmin.nn.losses import feature_distance
from ifmmin.nn.protocol import Batch, Validation

SEVEN = (*CONDITIONS, FULL)


@pytest.fixture
def three(new_encoders):
    return {
        mechanism.PRETRAINED: new_encoders(1),
        mechanism.WITHOUT: new_encoders(2),
        mechanism.UNTRAINED: mechanism.untrained(ENCODERS, seed=3),
    }


def stored(corpus, H):
    """The rows of data/invariants if H' is H in every condition."""
    ids = list(corpus.utterance_ids[corpus.rows["test"].numpy()])
    keys = pd.DataFrame({"utterance_id": ids * 7, "condition": np.repeat(SEVEN, len(ids))})
    return keys, np.tile(H.numpy(), (7, 1))


def test_an_exact_h_prime_has_r2_1_and_no_l_inv(corpus, three):
    H, _ = mechanism.features(three[mechanism.PRETRAINED], corpus, "float32")

    table = mechanism.run(three, {"exact": stored(corpus, H)}, corpus, K=5, precision="float32")

    exact = table[table["network"] == "exact"].set_index(["measure", "condition"])["value"]
    assert exact["R2"].to_dict() == dict.fromkeys(CONDITIONS, 1.0)
    assert [exact[f"L_inv_{part}", "six"] for part in ("available", "missing", "all")] == [0, 0, 0]


def test_references_are_chance_the_control_or_the_untrained_network(corpus, three):
    H, _ = mechanism.features(three[mechanism.PRETRAINED], corpus, "float32")

    table = mechanism.run(three, {"exact": stored(corpus, H)}, corpus, K=5, precision="float32")

    rows = table.set_index(["network", "measure", "condition"])
    assert set(table["network"]) == {*three, "exact"}
    for name in (mechanism.PRETRAINED, "exact"):
        reference = rows.loc[name]["reference"]
        assert reference["probe", FULL] == pytest.approx(1 / 3)
        assert reference["rank_at", FULL] == 0.5
        assert reference["active_units", "t"] == rows.loc[(mechanism.UNTRAINED, "active_units", "t"), "value"]
    without = rows.loc[(mechanism.WITHOUT, "L_cmd_plain", FULL), "value"]
    assert rows.loc[(mechanism.PRETRAINED, "L_cmd_plain", FULL), "reference"] == without
    assert np.isnan(rows.loc[("exact", "L_cmd_plain", FULL), "reference"])
    assert rows.loc[("exact", "L_inv_missing", "six"), "reference"] > 0


def test_h_prime_of_other_utterances_is_refused(corpus, three):
    H, _ = mechanism.features(three[mechanism.PRETRAINED], corpus, "float32")
    keys, values = stored(corpus, H)

    with pytest.raises(ValueError, match="condition a has other utterances than the fold"):
        mechanism.run(three, {"x": (keys.assign(utterance_id="z"), values)}, corpus, K=5, precision="float32")


def test_untrained_encoders_depend_on_the_seed_alone():
    first, again, other = (mechanism.untrained(ENCODERS, seed).state_dict() for seed in (1, 1, 2))

    assert all(torch.equal(x, again[name]) for name, x in first.items())
    assert not all(torch.equal(x, other[name]) for name, x in first.items())


# What L_inv compares.


def losses(system, x, available, *, seed=0):
    torch.manual_seed(seed)
    system.eval()
    with torch.no_grad():
        targets = system.precompute_targets(x)
    system.train()
    return system.training_losses(
        Batch(x, available, torch.zeros(len(available), dtype=torch.int64), targets, 1)
    )


MASK = torch.tensor([[True, False, True], [False, True, False]] * 3)


def test_l_inv_of_missing_modalities_leaves_out_the_available_ones(new_system, draw_x):
    x = draw_x(6)
    system = new_system(inv_modalities="missing", inv_text_dropout=False).eval()

    L_inv = losses(system, x, MASK)["L_inv"].item()

    system.eval()
    with torch.no_grad():
        H_m = system.encoders.invariant(system.encoders.encode(x, MASK))
        H_prime, H = torch.cat([H_m[m] for m in "avt"], 1), system.references(x)["H"]
    missing = ~MASK.repeat_interleave(H.shape[1] // 3, dim=1)
    assert L_inv == pytest.approx(feature_distance(H_prime[missing], H[missing], "rmse").item(), rel=1e-5)
    assert L_inv != pytest.approx(feature_distance(H_prime, H, "rmse").item(), rel=0.01)


def test_without_text_dropout_l_inv_of_untrained_available_text_is_exactly_zero(new_system, draw_x):
    """Student and teacher have the same weights before the first step; the noise of dropout alone differs."""
    x, available = draw_x(6), torch.ones(6, 3, dtype=torch.bool)

    noisy, clean = (
        losses(new_system(inv_text_dropout=on), x, available)["L_inv"].item() for on in (True, False)
    )

    assert noisy > 0.01
    assert clean == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("form", ["mean", "joint"])
def test_h_prime_of_a_missing_modality_depends_on_the_available_ones(new_system, draw_x, form):
    system, x = new_system(invariant_input=form).eval(), draw_x(6)
    if form == "joint":
        with torch.no_grad():
            system.invariant_input.joint.weight.add_(0.1)
    own = new_system().eval()

    def predicted_text(network):
        with torch.no_grad():
            return network.predict(network.encode(x), ["av"])["av"].H_prime.chunk(3, dim=1)[2]

    assert predicted_text(own).std(0).max() < 1e-6
    assert predicted_text(system).std(0).max() > 1e-3


def test_training_and_prediction_have_the_same_h_prime(new_system, draw_x):
    """In training each utterance has its own mask, in prediction all share one."""
    system, x = new_system(invariant_input="mean").eval(), draw_x(6)
    available = torch.tensor([[True, False, True]] * 6)
    with torch.no_grad():
        predicted = system.predict(system.encode(x), ["at"])["at"].H_prime
        trained = system._invariant_input(system.encoders.encode(x, available), available)

    torch.testing.assert_close(predicted, trained, rtol=0, atol=1e-6)


def test_an_unknown_choice_of_modalities_is_refused(new_system):
    with pytest.raises(ValueError, match="inv_modalities is 'some'; expected all or missing"):
        new_system(inv_modalities="some")


def test_the_histories_have_the_measures(new_system, corpus):
    system = new_system().eval()
    x = corpus.select(corpus.rows["validation"])
    with torch.no_grad():
        references, encoded = system.references(x), system.encode(x)
        measured = system.diagnose(Validation(encoded, system.predict(encoded, CONDITIONS), references))

    parts = {f"validation_L_inv_{p}" for p in ("available", "missing", "all", "constant", "floor")}
    assert parts | {f"validation_R2_{c}" for c in CONDITIONS} | {
        "validation_probe",
        "validation_rank_at",
    } == set(measured)
    assert measured["validation_L_inv_available"] == pytest.approx(
        0, abs=1e-5
    )  # untrained: the teacher itself
    assert "validation_L_inv_floor" not in new_system(invariant_input="joint").eval().diagnose(
        Validation(encoded, system.predict(encoded, CONDITIONS), references)
    )
