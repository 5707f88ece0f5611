"""Figures as PNG.

    metrics/fig3a.png, metrics/fig3b.png

The files hold no date and no program version: equal figures give equal bytes. Written by draw.
"""

from pathlib import Path

from matplotlib.figure import Figure

from ifmmin.core.files import atomic_write


def write(path: Path, figure: Figure) -> None:
    """Write a figure."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
