"""L_cmd, and the distance of L_img and L_inv."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ifmmin.nn.losses import central_moment, cmd, cmd_loss, feature_distance, normal_std

few = settings(max_examples=40, deadline=None)
numbers = st.floats(-2, 2, width=32)


def batches(columns=3):
    return arrays.arrays(np.float64, st.tuples(st.integers(1, 6), st.just(columns)), elements=numbers)


def equation_1(x, y, K):
    """Equation 1 for one pair, in numpy."""
    total = np.sqrt(((x.mean(0) - y.mean(0)) ** 2).sum())
    for k in range(2, K + 1):
        c_x, c_y = ((x - x.mean(0)) ** k).mean(0), ((y - y.mean(0)) ** k).mean(0)
        total += np.sqrt(((c_x - c_y) ** 2).sum())
    return total


@pytest.mark.parametrize(("K", "value"), [(1, 0.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0)])
def test_cmd_matches_hand_calculations(K, value):
    """Batches 0, 2 and 1, 1: means 1 and 1; second moments 1 and 0; third 0, 0; fourth 1, 0; fifth 0, 0."""
    assert cmd(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]]), K).item() == value


def test_cmd_uses_the_l2_norm_over_coordinates():
    """The means differ by (3, 4), all other moments are 0: 5."""
    assert cmd(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 0.0]]), 5).item() == 5


def test_central_moments_are_divided_by_the_batch_size():
    """Batch 0, 1, 5 with mean 2: (4 + 1 + 9) / 3 and (-8 - 1 + 27) / 3."""
    H = torch.tensor([[0.0], [1.0], [5.0]])

    torch.testing.assert_close(central_moment(H, 2), torch.tensor([14 / 3]))
    torch.testing.assert_close(central_moment(H, 3), torch.tensor([18 / 3]))


@few
@given(x=batches(), y=batches(), K=st.integers(1, 6))
def test_cmd_agrees_with_equation_1(x, y, K):
    assert cmd(torch.tensor(x), torch.tensor(y), K).item() == pytest.approx(equation_1(x, y, K), abs=1e-9)


@few
@given(x=batches(), y=batches())
def test_cmd_is_symmetric(x, y):
    x, y = torch.tensor(x), torch.tensor(y)

    torch.testing.assert_close(cmd(x, y, 5), cmd(y, x, 5), rtol=0, atol=0)


@few
@given(x=batches())
def test_cmd_of_equal_batches_is_zero_with_gradient_zero(x):
    x = torch.tensor(x, requires_grad=True)

    value = cmd(x, x.detach().clone(), 5)
    value.backward()

    assert value.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


@few
@given(x=batches(), y=batches(), shift=arrays.arrays(np.float64, 3, elements=numbers))
def test_cmd_does_not_change_if_both_batches_are_shifted(x, y, shift):
    """In float64, moments up to the fifth of numbers up to 4 keep nine digits."""
    shifted = cmd(torch.tensor(x + shift), torch.tensor(y + shift), 5)

    torch.testing.assert_close(shifted, cmd(torch.tensor(x), torch.tensor(y), 5), rtol=1e-7, atol=1e-7)


@few
@given(x=batches(), shift=arrays.arrays(np.float64, 3, elements=numbers), k=st.integers(2, 5))
def test_higher_moments_do_not_change_under_a_shift(x, shift, k):
    moved = central_moment(torch.tensor(x + shift), k)

    torch.testing.assert_close(moved, central_moment(torch.tensor(x), k), rtol=0, atol=1e-9)


@few
@given(x=batches(), y=batches(), z=batches())
def test_cmd_obeys_the_triangle_inequality(x, y, z):
    x, y, z = (torch.tensor(part) for part in (x, y, z))

    assert cmd(x, z, 5) <= cmd(x, y, 5) + cmd(y, z, 5) + 1e-9


def test_the_cmd_loss_is_the_mean_over_the_three_pairs():
    """Single rows 0, 3 and 7: only means differ, by 3, 7 and 4."""
    H_m = {m: torch.tensor([[value]]) for m, value in (("a", 0.0), ("v", 3.0), ("t", 7.0))}

    assert cmd_loss(H_m, 5).item() == pytest.approx(14 / 3)


def test_the_cmd_loss_of_equal_modalities_has_gradient_zero():
    H = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()

    cmd_loss(dict.fromkeys("avt", H), 5).backward()

    assert torch.equal(H.grad, torch.zeros_like(H))


def test_cmd_of_different_widths_is_refused():
    with pytest.raises(ValueError, match="H_2 has 4 columns; expected 3, as H_1"):
        cmd(torch.zeros(2, 3), torch.zeros(2, 4), 5)


def test_cmd_without_moments_is_refused():
    with pytest.raises(ValueError, match="K is 0; expected at least 1"):
        cmd(torch.zeros(2, 3), torch.zeros(2, 3), 0)


def test_distances_match_hand_calculations():
    """Differences 3, 4, 0, 0: mean square 25 / 4, root 5 / 2."""
    prediction, target = torch.tensor([[3.0, 5.0], [1.0, 1.0]]), torch.ones(2, 2) * torch.tensor([0.0, 1.0])
    target[1] = 1

    assert feature_distance(prediction, target, "mse").item() == 25 / 4
    assert feature_distance(prediction, target, "rmse").item() == 5 / 2


def test_the_rmse_of_a_constant_difference_is_that_difference():
    """Nine differences of 2."""
    assert feature_distance(torch.full((3, 3), 2.0), torch.zeros(3, 3), "rmse").item() == 2


def test_the_gradient_of_rmse_is_the_difference_over_count_times_rmse():
    """The gradient of sqrt(s / n) is x / (n sqrt(s / n)): for 3, 4, 0, 0 that is 3 / 10, 4 / 10, 0, 0."""
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]], requires_grad=True)

    feature_distance(x, torch.zeros(2, 2), "rmse").backward()

    torch.testing.assert_close(x.grad, torch.tensor([[0.3, 0.4], [0.0, 0.0]]))


@pytest.mark.parametrize("form", ["rmse", "mse"])
def test_the_gradient_of_a_distance_of_zero_is_zero(form):
    x = torch.ones(2, 3, requires_grad=True)

    feature_distance(x, torch.ones(2, 3), form).backward()

    assert torch.equal(x.grad, torch.zeros(2, 3))


def test_an_unknown_distance_is_refused():
    with pytest.raises(ValueError, match="distance is 'mae'; expected 'rmse' or 'mse'"):
        feature_distance(torch.zeros(1, 1), torch.zeros(1, 1), "mae")


# The other forms of the CMD.


def test_the_form_of_zellinger_divides_each_order_by_its_power_of_the_width():
    """Batches 0, 2 and 1, 1: means equal; second and fourth moments differ by 1: 1 / 2^2 + 1 / 2^4."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])

    assert cmd(x, y, 4, "zellinger", 2.0).item() == pytest.approx(1 / 4 + 1 / 16)
    assert cmd(x + 3, y, 1, "zellinger", 2.0).item() == pytest.approx(3 / 2)
    assert cmd(x, y, 4, "zellinger", 1.0).item() == cmd(x, y, 4, "zellinger").item() == cmd(x, y, 4).item()


def test_the_scale_free_form_matches_a_hand_calculation():
    """0, 2 and 4, 6: pooled mean 3 and variance 5. Means differ by 4 / sqrt 5; C_2 is 1/5 in both."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[4.0], [6.0]])

    assert cmd(x, y, 2, "scale_free").item() == pytest.approx(4 / 5**0.5)


@few
@given(x=batches(), y=batches(), scale=st.floats(1, 100), shift=numbers)
def test_the_scale_free_form_ignores_scale_and_position(x, y, scale, shift):
    spread = np.concatenate([x, y]).std(0)
    assume((spread > 0.1).all())
    moved = [torch.tensor(scale * (z + shift)) for z in (x, y)]

    value = cmd(*moved, 5, "scale_free").item()

    assert value == pytest.approx(
        cmd(torch.tensor(x), torch.tensor(y), 5, "scale_free").item(), rel=1e-3, abs=1e-3
    )


def test_the_scale_free_form_standardises_each_unit_by_itself():
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(20, 3, generator=draw, dtype=torch.float64) + i for i in range(2))
    scale, shift = torch.tensor([1.0, 10.0, 100.0]), torch.tensor([0.0, 50.0, -7.0])

    value = cmd(scale * x + shift, scale * y + shift, 5, "scale_free").item()

    assert value == pytest.approx(cmd(x, y, 5, "scale_free").item(), rel=1e-4)


def test_l_cmd_is_the_mean_over_pairs_in_every_form():
    draw = torch.Generator().manual_seed(0)
    a, v, t = (torch.randn(8, 3, generator=draw) + i for i in range(3))
    for form in (("plain",), ("zellinger",), ("zellinger", 2.0), ("scale_free",)):
        pairs = [cmd(x, y, 5, *form).item() for x, y in ((t, a), (t, v), (a, v))]

        assert cmd_loss({"a": a, "v": v, "t": t}, 5, *form).item() == pytest.approx(sum(pairs) / 3)


def test_only_the_plain_form_rewards_shrinking():
    """The gradient along the common scale of both batches: positive, that is, shrink; or zero."""
    draw = torch.Generator().manual_seed(0)
    x, y = (torch.randn(64, 8, generator=draw, dtype=torch.float64) + i for i in range(2))

    slopes = {}
    for form in ("plain", "scale_free"):
        scale = torch.ones((), dtype=torch.float64, requires_grad=True)
        cmd(scale * x, scale * y, 5, form).backward()
        slopes[form] = scale.grad.item()

    assert slopes["plain"] > 1
    assert slopes["scale_free"] == pytest.approx(0, abs=1e-5)


def test_the_gradient_of_the_scale_free_form_pulls_the_distributions_together():
    x = torch.tensor([[0.0], [1.0]], requires_grad=True)

    cmd(x, torch.tensor([[4.0], [5.0]]), 5, "scale_free").backward()

    assert x.grad.sum() < 0  # a step against it moves x up, towards 4 and 5


def test_dead_units_have_a_finite_scale_free_value_and_gradient():
    x = torch.zeros(4, 3, requires_grad=True)

    value = cmd(x, torch.zeros(5, 3), 5, "scale_free")
    value.backward()

    assert value.item() == 0
    assert x.grad.isfinite().all()


def test_all_orders_of_the_scale_free_form_count_alike_for_normal_features():
    """Each C_k of n samples has std normal_std(k) / sqrt(n): 4,000 draws of 500 samples."""
    draws = np.random.default_rng(0).standard_normal((4000, 500))
    centred = draws - draws.mean(1, keepdims=True)

    for k in range(1, 6):
        moments = draws.mean(1) if k == 1 else (centred**k).mean(1)
        assert moments.std() * 500**0.5 == pytest.approx(normal_std(k), rel=0.06)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="form is 'cubic'; expected plain, zellinger, scale_free"):
        cmd(torch.zeros(2, 1), torch.zeros(2, 1), 5, "cubic")
