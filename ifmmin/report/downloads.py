"""The tables that the page saves: each as CSV, Markdown and LaTeX. Tables in, texts out; no I/O."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ifmmin.report import printed
from ifmmin.report.encodings import Looks
from ifmmin.results import marks


def texts(
    tables: Mapping[str, pd.DataFrame], looks: Looks, *, synthetic: bool, below: Sequence[str]
) -> dict[str, dict[str, str]]:
    """Format the tables.

    Args:
        tables: table1, and others by name.
        looks: system to look.
        synthetic: whether the corpus is synthetic.
        below: notes below Table 1.

    Returns:
        Name to file extension (csv, md, tex) to text.
    """
    names = {system: look.name for system, look in looks.items()}
    references = [system for system, look in looks.items() if look.reference]
    table = marks.unmarked(tables["table1"]) if synthetic else tables["table1"]
    shown = (table, names, references, below)
    result = {name: _formats(table) for name, table in tables.items()}
    result["table1"] |= {
        "md": printed.markdown(*shown, bold=not synthetic),
        "tex": printed.latex(*shown, bold=not synthetic),
    }
    return result


def _formats(table: pd.DataFrame) -> dict[str, str]:
    """Format a table as it is."""
    escaped = table.rename(columns=printed.escape).map(
        lambda x: printed.escape(x) if isinstance(x, str) else x
    )
    return {
        "csv": table.to_csv(index=False),
        "md": table.to_markdown(index=False) + "\n",
        "tex": escaped.to_latex(index=False, na_rep="--", float_format="%.4f"),
    }
