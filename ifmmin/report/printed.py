r"""Table 1 for readers, as Markdown and LaTeX. Tables in, texts out; no I/O.

    metrics/table1.md    Markdown: a table of UA, a table of WA, the notes
    metrics/table1.tex   LaTeX (ASCII): two table* environments; need \usepackage{booktabs}

A table has one row for each system and one column for the average and each condition. Cells are in per cent:
mean, marks, std. No std for a single run; – if the system does not support the input. References follow
below the compared systems. Written by aggregate.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

import pandas as pd

from ifmmin.results.table1 import SHOWN, heading

SCORES = {"ua": "UA", "wa": "WA"}
NONE = "\N{EN DASH}"
REFERENCES = "References, not part of the comparison"
TITLE = "{score} in per cent under the six testing conditions, their average, and with all modalities"

COMPACT = "\\centering\n\\footnotesize\n\\setlength{\\tabcolsep}{3pt}"
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
        "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
        "|": "$|$", '"': "''", "↑": r"$\uparrow$", "⇑": r"$\Uparrow$", "±": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$", NONE: "--",
    }
)  # fmt: skip


def markdown(
    table: pd.DataFrame, names: Mapping[str, str], references: Collection[str], notes: Sequence[str]
) -> str:
    """Format Table 1 as Markdown.

    Args:
        table: the frame of table1.csv.
        names: system to display name; others keep their identifier.
        references: systems that are not compared; names absent from the table are ignored.
        notes: sentences below the tables.

    Returns:
        The file's text.
    """
    parts = []
    for score, title in SCORES.items():
        compared, apart = _cells(table, score, "<sup>{}</sup>", " ±{}", names, references)
        parts += [f"**{TITLE.format(score=title)}**", _markdown(compared)]
        if len(apart):
            parts += [f"{REFERENCES}:", _markdown(apart)]
    escaped = str.maketrans({"*": r"\*", "+": r"\+"})
    text = "  \n".join(_with_names(note, names).translate(escaped) for note in notes)
    return "\n\n".join([*parts, *([text] if text else [])]) + "\n"


def _markdown(cells: pd.DataFrame) -> str:
    align = ("left", *("right",) * len(SHOWN))
    return cells.to_markdown(disable_numparse=True, colalign=align)


def latex(
    table: pd.DataFrame, names: Mapping[str, str], references: Collection[str], notes: Sequence[str]
) -> str:
    """Format Table 1 as LaTeX.

    Args:
        table: the frame of table1.csv.
        names: system to display name; others keep their identifier.
        references: systems that are not compared; names absent from the table are ignored.
        notes: sentences below the tables.

    Returns:
        The file's text, ASCII.
    """
    tables = []
    for score, title in SCORES.items():
        compared, apart = _cells(table, score, "$^{{{}}}$", r" {{\scriptsize$\pm${}}}", names, references)
        cells = pd.concat([compared, apart]).rename(_ascii).rename(columns=_ascii).rename_axis(None)
        text = cells.map(_latex_cell).style.to_latex(
            hrules=True,
            column_format="l" + "r" * len(SHOWN),
            caption=_ascii(TITLE.format(score=title) + "."),
            label=f"tab:table1_{score}",
            environment="table*",
            position_float="centering",
        )
        lines = text.replace(r"\centering", COMPACT).splitlines()
        if len(apart):
            lines.insert(lines.index(r"\bottomrule") - len(apart), r"\midrule")
        tables.append(lines)
    below = [*notes, *([f"{REFERENCES}: {', '.join(apart.index)}."] if len(apart) else [])]
    tables[-1][-1:-1] = [r"\par\smallskip\raggedright", *(_ascii(_with_names(note, names)) for note in below)]
    return "\n".join(["% Written by the stage aggregate. Needs \\usepackage{booktabs}.", *chain(*tables), ""])


def _latex_cell(cell: str) -> str:
    return cell.replace("↑", r"\uparrow").replace("⇑", r"\Uparrow").replace(NONE, "--")


def _with_names(note: str, names: Mapping[str, str]) -> str:
    """Replace the identifiers of systems by their display names."""
    return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), note)


def _ascii(text: str) -> str:
    return text.translate(LATEX).encode("ascii", "replace").decode()


def _cells(
    table: pd.DataFrame,
    score: str,
    marks: str,
    std: str,
    names: Mapping[str, str],
    references: Collection[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Format the cells of one score: of the compared systems, and of the references.

    Args:
        table: the frame of table1.csv.
        score: ua or wa.
        marks: format of the marks.
        std: format of the std.
        names: system to display name.
        references: systems that are not compared.
    """

    def cell(row: pd.Series) -> str:
        if pd.isna(row[score]):
            return NONE
        spread = row[f"{score}_std"]
        return (
            f"{100 * row[score]:.1f}"
            + (marks.format(row[f"{score}_marks"]) if row[f"{score}_marks"] else "")
            + ("" if pd.isna(spread) else std.format(f"{100 * spread:.1f}"))
        )

    by_condition = table.assign(cell=table.apply(cell, axis=1)).set_index(["system", "condition"])["cell"]
    cells = by_condition.unstack().loc[table["system"].unique(), list(SHOWN)].rename_axis("System")  # noqa: PD010 - cells are unique
    cells.columns = pd.Index([heading(condition).capitalize() for condition in SHOWN])
    is_reference = cells.index.isin(list(references))
    return cells[~is_reference].rename(names), cells[is_reference].rename(names)
