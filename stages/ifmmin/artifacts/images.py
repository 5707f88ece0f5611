"""Figures as PNG.

    metrics/fig3a.png, metrics/fig3b.png

No date and no program version inside, so that equal figures are equal bytes. Written by draw.
"""

from pathlib import Path

from matplotlib.figure import Figure

from ifmmin.files import whole


def write(path: Path, figure: Figure) -> None:
    """Write a figure."""
    with whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
