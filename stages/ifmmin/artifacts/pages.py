"""The report as a page.

    metrics/report.html

No date, host or path inside, so that equal results are equal bytes. Written by report.
"""

from pathlib import Path

from ifmmin.files import whole


def write(path: Path, html: str) -> None:
    """Write the page."""
    with whole(path) as temporary:
        temporary.write_text(html, "utf-8")
