"""How each system looks in every table, chart and figure: its name, colour and symbol. No I/O.

Colours: Okabe and Ito, "Color universal design", 2008, without their yellow and black, then Paul Tol's muted
scheme. Readers with a colour vision deficiency can tell them apart. The proposed system is vermillion, the
references are grey.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ifmmin.core.errors import UserError
from ifmmin.results import marks

PROPOSED = "#d55e00"
COMPARED = ("#0072b2", "#56b4e9", "#009e73", "#cc79a7", "#e69f00", "#332288", "#999933", "#882255", "#44aa99")
REFERENCES = ("#6b6b6b", "#8c8c8c", "#adadad")
CONDITIONS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Of figure 3a, in the order of the paper's six conditions."""
ACCENT = COMPARED[0]


class Look(NamedTuple):
    """How one system looks.

    Attributes:
        name: display name.
        colour: such as #d55e00.
        symbol: of its points, as Vega-Lite calls it.
        reference: whether it is not part of the comparison.
        proposed: whether it is the proposed system.
    """

    name: str
    colour: str
    symbol: str
    reference: bool
    proposed: bool


def looks(rows: Sequence[str], names: Mapping[str, str], comparison: Mapping[str, Any]) -> dict[str, Look]:
    """Choose how each system looks.

    Args:
        rows: systems in the order of Table 1.
        names: system to display name; others keep their identifier.
        comparison: the group comparison of params.yaml: proposed, baselines and ablations.

    Returns:
        System to look, compared systems first, then the references. A system keeps its colour when a row
        below it is added or removed.

    Raises:
        UserError: if the proposed system is not in the rows.
    """
    proposed = comparison["proposed"]
    if proposed not in rows:
        raise UserError(
            f"comparison.proposed is {proposed}, which is not in rows; expected one of {', '.join(rows)}. "
            "Correct params.yaml."
        )
    references = marks.references(rows, **comparison)
    others = [row for row in rows if row not in (proposed, *references)]
    colours = {proposed: PROPOSED, **_cycled(others, COMPARED), **_cycled(references, REFERENCES)}
    return {
        row: Look(
            name=names.get(row, row),
            colour=colours[row],
            symbol="diamond" if row in references else "circle",
            reference=row in references,
            proposed=row == proposed,
        )
        for row in sorted(rows, key=lambda row: row in references)
    }


def _cycled(systems: Sequence[str], colours: Sequence[str]) -> dict[str, str]:
    return {system: colours[i % len(colours)] for i, system in enumerate(systems)}
