"""What stands for the H of a missing modality."""

import pytest
import torch

from ifmmin.nn.invariant_input import InvariantInput, mask

H_M = {m: torch.arange(4.0).view(2, 2) + 10 * i for i, m in enumerate("avt")}
OWN = torch.cat([H_M[m] for m in "avt"], dim=1)


def available(*rows):
    return torch.tensor([[m in row for m in "avt"] for row in rows])


def test_own_takes_each_modality_as_it_is():
    assert torch.equal(InvariantInput(form="own", hidden=2)(H_M, available("a", "vt")), OWN)


def test_mean_replaces_missing_modalities_by_the_mean_of_the_available_ones():
    """First utterance: only a. Second: v and t, so a becomes their mean, 15 more than its own."""
    H_prime = InvariantInput(form="mean", hidden=2)(H_M, available("a", "vt"))

    assert H_prime[0].tolist() == [0, 1, 0, 1, 0, 1]
    assert H_prime[1].tolist() == [17, 18, 12, 13, 22, 23]


def test_mean_without_any_modality_keeps_the_placeholders():
    assert torch.equal(InvariantInput(form="mean", hidden=2)(H_M, available("", "avt")), OWN)


def test_joint_starts_as_own_and_learns_from_all_modalities():
    joint = InvariantInput(form="joint", hidden=2)

    H_prime = joint(H_M, available("a", "vt"))
    H_prime[:, :2].sum().backward()

    assert torch.equal(H_prime, OWN)
    assert (joint.joint.weight.grad[:2] != 0).any(0).tolist() == [True] * 6


@pytest.mark.parametrize(("form", "n"), [("own", 0), ("mean", 0), ("joint", 6 * 6 + 6)])
def test_only_joint_has_parameters(form, n):
    assert sum(p.numel() for p in InvariantInput(form=form, hidden=2).parameters()) == n


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="invariant_input is 'max'; expected own, mean, joint"):
        InvariantInput(form="max", hidden=2)


def test_the_mask_joins_the_condition_and_the_corpus():
    present = torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])

    assert mask((True, True, False), present).tolist() == [[True, True, False], [False, True, False]]
