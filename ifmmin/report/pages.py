"""The report page as a file.

    metrics/report.html

The file holds no date, host or path: equal results give equal bytes. Written by report.
"""

from pathlib import Path

from ifmmin.core.files import atomic_write


def write(path: Path, html: str) -> None:
    """Write the page."""
    with atomic_write(path) as temporary:
        temporary.write_text(html, "utf-8")
