"""How systems look: names, colours and symbols."""

import itertools

import numpy as np
from matplotlib.colors import to_rgb

from ifmmin.report import palette

COMPARED = {"proposed": "ours", "baselines": ["b1", "b2"], "ablations": ["less"], "on_par": 0.01}
ROWS = ["floor", "b1", "b2", "ours", "less", "top"]


def test_compared_systems_come_first_and_references_are_grey_diamonds():
    looks = palette.looks(ROWS, {"ours": "Ours"}, COMPARED)

    assert list(looks) == ["b1", "b2", "ours", "less", "floor", "top"]
    assert [system for system, look in looks.items() if look.reference] == ["floor", "top"]
    assert {looks[system].symbol for system in ("floor", "top")} == {"diamond"}
    for system in ("floor", "top"):
        assert len(set(to_rgb(looks[system].colour))) == 1  # red, green and blue are equal


def test_only_the_proposed_system_is_vermillion():
    looks = palette.looks(ROWS, {"ours": "Ours"}, COMPARED)

    assert [x.name for x in looks.values() if x.colour == palette.PROPOSED] == ["Ours"]
    assert [x.name for x in looks.values() if x.proposed] == ["Ours"]
    assert len({look.colour for look in looks.values()}) == len(ROWS)


def test_a_system_keeps_its_colour_when_a_row_below_is_removed():
    all_rows, fewer = (palette.looks(rows, {}, COMPARED) for rows in (ROWS, ROWS[:-2]))

    assert {system: look.colour for system, look in fewer.items()} == {
        system: all_rows[system].colour for system in fewer
    }


def simulated(colour, deficiency):
    """A colour as seen with a complete deficiency, in linear RGB. Matrices: Machado et al., 2009, table 1."""
    matrices = {
        "protan": [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ],
        "deutan": [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ],
        "tritan": [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ],
    }
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.clip(np.array(matrices[deficiency]) @ linear, 0, 1)


def lab(linear):
    """CIE L*a*b* (D65) of a colour in linear RGB."""
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_colours_of_the_default_table_differ_with_every_colour_deficiency():
    """At least 10 units of CIE 1976, about four just noticeable differences."""
    colours = [palette.PROPOSED, *palette.COMPARED[:5]]

    for deficiency in ("protan", "deutan", "tritan"):
        seen = {colour: lab(simulated(colour, deficiency)) for colour in colours}
        for one, other in itertools.combinations(colours, 2):
            assert np.linalg.norm(seen[one] - seen[other]) > 10, (deficiency, one, other)
