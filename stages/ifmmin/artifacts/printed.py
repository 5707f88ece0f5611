r"""Table 1 for people.

    metrics/table1.md    Markdown: a line for each system, with its folds x seeds, then WA and UA of the six
                         conditions, of the average, and of the input avt. Cells like 0.7542↑⇑ ±.012: mean to
                         four digits, its marks behind it, deviation to three digits. No deviation where there
                         is one run; – where a system does not predict from that input. Reference rows stand
                         in a second table of the same shape. Then the notes, a line each
    metrics/table1.tex   LaTeX: a table* environment that needs \usepackage{booktabs} and nothing else, in
                         ASCII. Two blocks of four conditions, a, v, t, av above at, vt, average, avt: sixteen
                         numbers side by side would be wider than a page. A block has two lines of heads, then
                         two lines for each system, its means with their marks above its deviations (no second
                         line for a system of one run); reference rows below a rule. The notes stand in a
                         paragraph below, in the size of footnotes

Reference rows are those that the caller names: they are printed apart from what is compared. Written by
aggregate.
"""

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ifmmin.files import whole
from ifmmin.terms import AVERAGE, CONDITIONS, FULL, METRICS, braces

SHOWN = (*CONDITIONS, AVERAGE, FULL)
BLOCK = 4
"""Conditions that stand side by side in LaTeX."""

TIMES, NONE = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"

CAPTION = "WA and UA of each system under the six testing conditions, their average, and on the full input."
REFERENCE = "Reference rows, which take no part in the comparison:"
BELOW = "For reference, and no part of the comparison: {}."

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "↑": r"$\uparrow$",
    "⇑": r"$\Uparrow$",
    "±": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{EN DASH}": "--",
}
LATEX_MARKS = LATEX | {"*": "$^{*}$", "+": "$^{+}$"}


class Cell(NamedTuple):
    """What is printed of one number; empty texts where there is nothing."""

    mean: str
    marks: str
    spread: str


class Line(NamedTuple):
    """What is printed of one system; its cells are WA and UA of each condition shown."""

    system: str
    n_folds: int
    n_seeds: int
    cells: list[Cell]


def write_markdown(path: Path, table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> None:
    """Write table1.md; see `markdown`."""
    with whole(path) as temporary:
        temporary.write_text(markdown(table, apart, notes), "utf-8")


def write_latex(path: Path, table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> None:
    """Write table1.tex; see `latex`."""
    with whole(path) as temporary:
        temporary.write_text(latex(table, apart, notes), "ascii")


def markdown(table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> str:
    """Lay Table 1 out as Markdown.

    Args:
        table: the frame of table1.csv.
        apart: names of the reference rows; one that the table lacks is no fault.
        notes: sentences below the table.

    Returns:
        The file's text.
    """
    compared, reference = _lines(table, apart)
    parts = [_markdown_table(compared)]
    if reference:
        parts += [REFERENCE, _markdown_table(reference)]
    if notes:
        parts.append("\n".join(f"{_markdown_text(note)}  " for note in notes))
    return "\n\n".join(parts) + "\n"


def _markdown_table(lines: Sequence[Line]) -> str:
    heads = [f"{_head(condition)} {score.upper()}" for condition in SHOWN for score in METRICS]
    rows = [
        ["System", f"Folds {TIMES} seeds", *heads],
        *(
            [line.system, f"{line.n_folds} {TIMES} {line.n_seeds}", *map(_markdown_cell, line.cells)]
            for line in lines
        ),
    ]
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|---|:---:|" + "---:|" * len(heads), *body])


def _markdown_cell(cell: Cell) -> str:
    if not cell.mean:
        return NONE
    return f"{cell.mean}{cell.marks}" + (f" ±{cell.spread}" if cell.spread else "")


def _markdown_text(note: str) -> str:
    """Keep what a note says of marks from being read as emphasis or as a list."""
    return re.sub(r"\*|^[+#-](?=\s)", r"\\\g<0>", note)


def latex(table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> str:
    """Lay Table 1 out as LaTeX.

    Args:
        table: the frame of table1.csv.
        apart: names of the reference rows; one that the table lacks is no fault.
        notes: sentences below the table.

    Returns:
        The file's text, ASCII.
    """
    compared, reference = _lines(table, apart)
    slices = [slice(start, start + BLOCK) for start in range(0, len(SHOWN), BLOCK)]
    blocks = [_latex_block(conditions, compared, reference) for conditions in slices]
    below = [BELOW.format(", ".join(line.system for line in reference))] if reference else []
    return "\n".join(
        [
            "% Written by the stage aggregate. Needs \\usepackage{booktabs}.",
            r"\begin{table*}[t]",
            r"\centering",
            rf"\caption{{{CAPTION}}}",
            r"\label{tab:table1}",
            r"\par\smallskip",
            r"\footnotesize",
            r"\setlength{\tabcolsep}{3pt}",
            rf"\begin{{tabular}}{{lc{'ll' * BLOCK}}}",
            r"\toprule",
            "\n\\midrule[\\heavyrulewidth]\n".join(blocks),
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}",
            r"\footnotesize",
            *(_latex_text(text) for text in (*notes, *below)),
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def _latex_block(conditions: slice, compared: Sequence[Line], reference: Sequence[Line]) -> str:
    """Heads and rows of the conditions that stand side by side."""
    shown = SHOWN[conditions]
    groups = [rf"\multicolumn{{2}}{{c}}{{{_latex_text(_head(condition))}}}" for condition in shown]
    rules = [rf"\cmidrule(lr){{{column}-{column + 1}}}" for column in range(3, 3 + 2 * len(shown), 2)]
    parts = [
        _latex_row(["System", "Folds", *groups]),
        " ".join(rules),
        _latex_row(["", r"$\times$ seeds", *("WA", "UA") * len(shown)]),
        r"\midrule",
        *(_latex_line(line, conditions) for line in compared),
    ]
    if reference:
        parts += [r"\midrule", *(_latex_line(line, conditions) for line in reference)]
    return "\n".join(parts)


def _latex_line(line: Line, conditions: slice) -> str:
    """One system: its means and, where there are any, its deviations below them."""
    cells = line.cells[len(METRICS) * conditions.start : len(METRICS) * conditions.stop]
    runs = rf"{line.n_folds}$\times${line.n_seeds}"
    means = [cell.mean + _latex_text(cell.marks, LATEX_MARKS) if cell.mean else "--" for cell in cells]
    rows = [_latex_row([_latex_text(line.system), runs, *means])]
    if any(cell.spread for cell in line.cells):
        spreads = [rf"\scriptsize$\pm${cell.spread}" if cell.spread else "" for cell in cells]
        rows.append(_latex_row(["", "", *spreads]))
    return "\n".join(rows)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_text(text: str, characters: Mapping[str, str] = LATEX) -> str:
    """Write a text in the ASCII of LaTeX; a character that is not in the list appears by its number."""
    return "".join(characters.get(c, c if c.isascii() else f"U+{ord(c):04X}") for c in text)


def _lines(table: pd.DataFrame, apart: Collection[str]) -> tuple[list[Line], list[Line]]:
    """Round what is printed; the systems that are compared, and the reference rows."""
    lines = [
        _line(str(system), rows.set_index("condition"))
        for system, rows in table.groupby("system", sort=False)
    ]
    return (
        [line for line in lines if line.system not in apart],
        [line for line in lines if line.system in apart],
    )


def _line(system: str, rows: pd.DataFrame) -> Line:
    by_condition = rows.to_dict("index")
    cells = [_cell(by_condition[condition], score) for condition in SHOWN for score in METRICS]
    return Line(system, int(rows["n_folds"].max()), int(rows["n_seeds"].max()), cells)


def _cell(row: Mapping[Hashable, Any], score: str) -> Cell:
    mean, spread = row[score], row[f"{score}_std"]
    if pd.isna(mean):
        return Cell("", "", "")
    return Cell(f"{mean:.4f}", row[f"{score}_marks"], "" if pd.isna(spread) else f"{spread:.3f}".lstrip("0"))


def _head(condition: str) -> str:
    """Name a condition as the paper does: its modalities in braces."""
    return "Average" if condition == AVERAGE else braces(condition)
