"""The tables that the page saves: each as CSV, Markdown and LaTeX. Tables in, texts out; no I/O."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ifmmin.report import printed
from ifmmin.report.encodings import Looks

SYSTEMS = ("system", "other", "network")
"""Columns that hold systems."""


def texts(
    tables: Mapping[str, pd.DataFrame],
    names: Mapping[str, str],
    looks: Looks,
    *,
    synthetic: bool,
    below: Sequence[str],
) -> dict[str, dict[str, str]]:
    """Format the tables.

    Args:
        tables: table1, and others by name.
        names: system to display name; others keep their identifier.
        looks: system to look.
        synthetic: whether the corpus is synthetic.
        below: notes below Table 1.

    Returns:
        Name to file extension to text: csv as in metrics/, md and tex for readers.
    """
    references = [system for system, look in looks.items() if look.reference]
    shown = (tables["table1"], names, references, below)
    result = {name: _formats(table, names) for name, table in tables.items()}
    result["table1"] |= {
        "md": printed.markdown(*shown, plain=synthetic),
        "tex": printed.latex(*shown, plain=synthetic),
    }
    return result


def _formats(table: pd.DataFrame, names: Mapping[str, str]) -> dict[str, str]:
    """Format a table: CSV as it is; four digits, display names and dashes for readers."""
    readable = table.assign(**{c: table[c].replace(dict(names)) for c in SYSTEMS if c in table})
    cells = readable.map(_cell)
    return {
        "csv": table.to_csv(index=False),
        "md": cells.map(lambda text: text.replace("|", r"\|")).to_markdown(index=False, disable_numparse=True)
        + "\n",
        "tex": cells.map(printed.escape).rename(columns=printed.escape).to_latex(index=False),
    }


def _cell(value: object) -> str:
    if isinstance(value, float):
        return printed.NONE if pd.isna(value) else f"{value:.4g}"
    return str(value)
