r"""Table 1 as Markdown and LaTeX.

    metrics/table1.md    Markdown: one row for each system, with its folds x seeds, then WA and UA of the six
                         conditions, the average and the input avt. Cells like 0.7542↑⇑ ±.012: mean (four
                         digits), marks, std (three digits). No std for a single run; – if the system does not
                         support the input. References follow in a second table of the same shape, then the
                         notes, one per line
    metrics/table1.tex   LaTeX (ASCII): a table* environment that needs only \usepackage{booktabs}. Two blocks
                         of four conditions, a, v, t, av above at, vt, average, avt, because sixteen columns
                         would not fit on a page. A block has two heading lines, then two lines for each
                         system: means with marks, and stds (omitted for a single run); references follow
                         below a rule. The notes follow in footnote size

References are the systems that the caller prints apart from the comparison. Written by aggregate.
"""

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ifmmin.core.files import atomic_write
from ifmmin.core.terms import AVERAGE, CONDITIONS, FULL, METRICS, braces

SHOWN = (*CONDITIONS, AVERAGE, FULL)
BLOCK = 4
"""Conditions side by side in LaTeX."""

TIMES, NONE = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"

CAPTION = "WA and UA of each system under the six testing conditions, their average, and on the full input."
REFERENCE = "References, not part of the comparison:"
BELOW = "References, not part of the comparison: {}."

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
    """A formatted score; empty texts where a value is missing."""

    mean: str
    marks: str
    std: str


class Line(NamedTuple):
    """The formatted row of a system; its cells are WA and UA of each condition in SHOWN."""

    system: str
    n_folds: int
    n_seeds: int
    cells: list[Cell]


def write_markdown(path: Path, table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> None:
    """Write table1.md; see `markdown`."""
    with atomic_write(path) as temporary:
        temporary.write_text(markdown(table, apart, notes), "utf-8")


def write_latex(path: Path, table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> None:
    """Write table1.tex; see `latex`."""
    with atomic_write(path) as temporary:
        temporary.write_text(latex(table, apart, notes), "ascii")


def markdown(table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> str:
    """Format Table 1 as Markdown.

    Args:
        table: the frame of table1.csv.
        apart: names of the references; names absent from the table are ignored.
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
    return f"{cell.mean}{cell.marks}" + (f" ±{cell.std}" if cell.std else "")


def _markdown_text(note: str) -> str:
    """Escape marks in a note that Markdown would read as emphasis or as a list."""
    return re.sub(r"\*|^[+#-](?=\s)", r"\\\g<0>", note)


def latex(table: pd.DataFrame, apart: Collection[str], notes: Sequence[str]) -> str:
    """Format Table 1 as LaTeX.

    Args:
        table: the frame of table1.csv.
        apart: names of the references; names absent from the table are ignored.
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
    """Format the headings and rows of one block of conditions."""
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
    """Format a system: its means and, if present, its stds below them."""
    cells = line.cells[len(METRICS) * conditions.start : len(METRICS) * conditions.stop]
    runs = rf"{line.n_folds}$\times${line.n_seeds}"
    means = [cell.mean + _latex_text(cell.marks, LATEX_MARKS) if cell.mean else "--" for cell in cells]
    rows = [_latex_row([_latex_text(line.system), runs, *means])]
    if any(cell.std for cell in line.cells):
        stds = [rf"\scriptsize$\pm${cell.std}" if cell.std else "" for cell in cells]
        rows.append(_latex_row(["", "", *stds]))
    return "\n".join(rows)


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_text(text: str, characters: Mapping[str, str] = LATEX) -> str:
    """Convert a text to ASCII LaTeX; a character without an entry appears as its code point."""
    return "".join(characters.get(c, c if c.isascii() else f"U+{ord(c):04X}") for c in text)


def _lines(table: pd.DataFrame, apart: Collection[str]) -> tuple[list[Line], list[Line]]:
    """Format all rows: those of the compared systems, and those of the references."""
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
    mean, std = row[score], row[f"{score}_std"]
    if pd.isna(mean):
        return Cell("", "", "")
    return Cell(f"{mean:.4f}", row[f"{score}_marks"], "" if pd.isna(std) else f"{std:.3f}".lstrip("0"))


def _head(condition: str) -> str:
    """Name a condition as in the paper: its modalities in braces."""
    return "Average" if condition == AVERAGE else braces(condition)
