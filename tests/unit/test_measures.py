"""Measures of the mechanism, against hand calculations and constructed features."""

import pytest
import torch

from ifmmin.nn import measures

DRAW = torch.Generator().manual_seed(0)
SIX = ("a", "v", "t", "av", "at", "vt")


def normal(n, hidden=6):
    return torch.randn(n, hidden, generator=DRAW)


def test_the_probe_finds_modalities_that_differ_and_is_at_chance_otherwise():
    different = [{m: normal(200) + 3 * i for i, m in enumerate("avt")} for _ in range(2)]
    same = [{m: normal(2000) for m in "avt"} for _ in range(2)]

    assert measures.probe(*different) > 0.9
    assert measures.probe(*same) == pytest.approx(1 / 3, abs=0.03)


def test_the_probe_of_constant_features_is_at_chance():
    constant = {m: torch.ones(4, 3) for m in "avt"}

    assert measures.probe(constant, constant) == pytest.approx(1 / 3)


def test_the_rank_is_0_for_equal_features_and_one_half_for_unrelated_ones():
    H = normal(50)

    assert measures.rank(H, H) == 0
    assert measures.rank(normal(500), normal(500)) == pytest.approx(0.5, abs=0.05)
    assert measures.rank(torch.zeros(5, 2), torch.zeros(5, 2)) == 0.5


def test_the_rank_matches_a_hand_calculation():
    """From 0: own at distance 2, others at 1 and 5: rank 1 of 2. From 1 and from 5: own is nearest, 0."""
    H_1, H_2 = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[2.0], [1.0], [5.0]])

    assert measures.rank(H_1, H_2) == pytest.approx((0.5 + 0 + 0) / 3)


def by_condition(available, missing):
    """H' with one value for available and another for missing modalities; hidden is 1."""
    return {c: torch.tensor([[available if m in c else missing for m in "avt"]] * 2) for c in SIX}


H = torch.tensor([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
PRESENT = torch.ones(2, 3, dtype=torch.bool)


def test_distances_are_apart_for_available_and_missing_modalities():
    """H is 1 and 3. H' of available modalities is 2, off by 1; of missing ones 5, off by 4 and 2."""
    L_inv = measures.rmse_by_availability(by_condition(2.0, 5.0), H, PRESENT)

    assert L_inv["available"] == pytest.approx(1)
    assert L_inv["missing"] == pytest.approx(((16 + 4) / 2) ** 0.5)
    assert L_inv["all"] == pytest.approx(((1 + 10) / 2) ** 0.5)


def test_the_constant_predictor_is_the_mean_and_the_floor_is_exact_where_available():
    """The mean 2 is off by 1. Half of all modalities are missing over the six conditions: sqrt 1/2."""
    L_inv = measures.rmse_by_availability(by_condition(0.0, 0.0), H, PRESENT)

    assert L_inv["constant"] == pytest.approx(1)
    assert L_inv["floor"] == pytest.approx(0.5**0.5)


def test_the_floor_is_reached_by_the_best_constant_for_missing_modalities():
    H_prime = by_condition(0.0, 2.0)
    for c, predicted in H_prime.items():
        for i, m in enumerate("avt"):
            if m in c:
                predicted[:, i] = H[:, i]

    L_inv = measures.rmse_by_availability(H_prime, H, PRESENT)

    assert L_inv["all"] == pytest.approx(L_inv["floor"])


def test_modalities_that_the_corpus_lacks_do_not_count():
    present = torch.tensor([[True, True, True], [True, True, False]])
    wrong = torch.tensor([[1.0, 1.0, 1.0], [3.0, 3.0, 1e6]])

    L_inv = measures.rmse_by_availability(dict.fromkeys(SIX, H), wrong, present)

    assert [L_inv["available"], L_inv["missing"]] == [0, 0]
    assert measures.r2(H, wrong, "vt", present) == 1


def test_r2_is_1_for_exact_0_for_constant_and_negative_for_worse_predictions():
    assert measures.r2(H, H, "vt", PRESENT) == 1
    assert measures.r2(torch.full_like(H, 2), H, "vt", PRESENT) == 0
    assert measures.r2(torch.full_like(H, 5), H, "vt", PRESENT) == pytest.approx(1 - (16 + 4) / 2)
    assert measures.r2(H, torch.ones_like(H), "v", PRESENT) == 0
    assert measures.r2(H, 1 + 1e-5 * H, "v", PRESENT) == 0  # collapsed up to rounding


def test_too_few_utterances_are_not_measured():
    H_m = {m: normal(3) for m in "avt"}

    assert measures.invariance(H_m, torch.ones(3, 3, dtype=torch.bool)) == {}


def test_only_utterances_with_all_modalities_measure_invariance():
    H_m = {m: normal(9) for m in "avt"}
    present = torch.ones(9, 3, dtype=torch.bool)
    present[4, 1] = False
    complete = {m: torch.cat([x[:4], x[5:]]) for m, x in H_m.items()}

    assert measures.invariance(H_m, present) == measures.invariance(complete, present[:8] | True)


def test_l_cmd_leaves_out_modalities_that_the_corpus_lacks():
    H_m = {m: normal(9) for m in "avt"}
    present = torch.ones(9, 3, dtype=torch.bool)
    present[4, 1] = False
    changed = H_m | {"v": H_m["v"].index_fill(0, torch.tensor([4]), 1e6)}

    assert measures.cmd_by_form(changed, present, 5) == measures.cmd_by_form(H_m, present, 5)
    assert measures.cmd_by_form(H_m, present & torch.tensor([True, False, True]), 5) == {}
