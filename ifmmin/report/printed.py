r"""Table 1 for readers, as Markdown, LaTeX and plain text. Tables in, texts out; no I/O.

    metrics/table1.md    Markdown: a table of UA, a table of WA, the notes
    metrics/table1.tex   LaTeX (ASCII): two table* environments; need \usepackage{booktabs}

A table has one row for each system and one column for the average and each condition. Cells are in per cent:
mean, marks, std. The best of the compared systems is bold, unless the corpus is synthetic. No std for a
single run; – if the system does not support the input. References follow below the compared systems. Written
by aggregate. The plain text, for a terminal, has the means of one score.
"""

from collections.abc import Collection, Mapping, Sequence
from io import StringIO
from itertools import chain
from typing import NamedTuple

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from ifmmin.results.table1 import SHOWN, heading

SCORES = {"ua": "UA", "wa": "WA"}
NONE = "\N{EN DASH}"
REFERENCES = "References, not part of the comparison"
TITLE = "{score} in per cent under the six testing conditions, their average, and with all modalities"

COMPACT = "\\centering\n\\footnotesize\n\\setlength{\\tabcolsep}{3pt}"
MARK, WIDTH = ">", 100
"""Of the plain text: mark of the proposed system, and its width."""
LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
        "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
        "|": "$|$", '"': "''", "↑": r"$\uparrow$", "⇑": r"$\Uparrow$", "±": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$", NONE: "--",
    }
)  # fmt: skip


class Formats(NamedTuple):
    """How the parts of a cell look: format strings of one value."""

    std: str = ""
    best: str = "{}"
    marks: str = ""


def text(
    table: pd.DataFrame,
    names: Mapping[str, str],
    references: Collection[str],
    notes: Sequence[str],
    *,
    score: str,
    proposed: str,
) -> str:
    """Format one score of Table 1 as plain text.

    Args:
        table: the frame of table1.csv.
        names: system to display name; others keep their identifier.
        references: systems that are not compared; names absent from the table are ignored.
        notes: sentences below the table.
        score: ua or wa.
        proposed: the system to mark.

    Returns:
        The text.
    """
    grid = Table("", "System", box=box.HORIZONTALS, pad_edge=False)
    for condition in SHOWN:
        grid.add_column(heading(condition).capitalize(), justify="right", no_wrap=True)
    compared, apart = _cells(table, score, Formats(), names, references)
    for group in (compared, apart):
        for name, *cells in group.itertuples():
            grid.add_row(MARK if name == names.get(proposed, proposed) else "", name, *cells)
        grid.add_section()
    marks = f"{MARK} proposed system" + ("; below the line: references, not compared." if len(apart) else ".")
    console = Console(file=StringIO(), width=WIDTH, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(TITLE.format(score=SCORES[score]), grid, sep="\n")
        for note in (marks, *notes):
            console.print(note)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def markdown(
    table: pd.DataFrame,
    names: Mapping[str, str],
    references: Collection[str],
    notes: Sequence[str],
    scores: Collection[str] = tuple(SCORES),
    *,
    plain: bool,
) -> str:
    """Format Table 1 as Markdown.

    Args:
        table: the frame of table1.csv.
        names: system to display name; others keep their identifier.
        references: systems that are not compared; names absent from the table are ignored.
        notes: sentences below the tables.
        scores: ua, wa or both.
        plain: without marks and bold, for a synthetic corpus, on which no system is better than another.

    Returns:
        The file's text.
    """
    parts = []
    for score in scores:
        formats = Formats(" ±{}") if plain else Formats(" ±{}", "**{}**", "<sup>{}</sup>")
        compared, apart = _cells(table, score, formats, names, references)
        parts += [f"**{TITLE.format(score=SCORES[score])}**", _markdown(compared)]
        if len(apart):
            parts += [f"{REFERENCES}:", _markdown(apart)]
    escaped = str.maketrans({"*": r"\*", "+": r"\+"})
    below = "  \n".join(note.translate(escaped) for note in notes)
    return "\n\n".join([*parts, *([below] if below else [])]) + "\n"


def _markdown(cells: pd.DataFrame) -> str:
    align = ("left", *("right",) * len(SHOWN))
    return cells.to_markdown(disable_numparse=True, colalign=align)


def latex(
    table: pd.DataFrame,
    names: Mapping[str, str],
    references: Collection[str],
    notes: Sequence[str],
    scores: Collection[str] = tuple(SCORES),
    *,
    plain: bool,
) -> str:
    """Format Table 1 as LaTeX.

    Args:
        table: the frame of table1.csv.
        names: system to display name; others keep their identifier.
        references: systems that are not compared; names absent from the table are ignored.
        notes: sentences below the tables.
        scores: ua, wa or both.
        plain: without marks and bold, for a synthetic corpus, on which no system is better than another.

    Returns:
        The file's text, ASCII.
    """
    tables = []
    for score in scores:
        std = r" {{\scriptsize$\pm${}}}"
        formats = Formats(std) if plain else Formats(std, r"\textbf{{{}}}", "$^{{{}}}$")
        compared, apart = _cells(table, score, formats, names, references)
        cells = pd.concat([compared, apart]).rename(escape).rename(columns=escape).rename_axis(None)
        tabular = cells.map(_latex_cell).style.to_latex(
            hrules=True,
            column_format="l" + "r" * len(SHOWN),
            caption=escape(TITLE.format(score=SCORES[score]) + "."),
            label=f"tab:table1_{score}",
            environment="table*",
            position_float="centering",
        )
        lines = tabular.replace(r"\centering", COMPACT).splitlines()
        if len(apart):
            lines.insert(lines.index(r"\bottomrule") - len(apart), r"\midrule")
        tables.append(lines)
    below = [*notes, *([f"{REFERENCES}: {', '.join(apart.index)}."] if len(apart) else [])]
    tables[-1][-1:-1] = [r"\par\smallskip\raggedright", *(escape(note) for note in below)]
    return "\n".join(["% Written by the stage aggregate. Needs \\usepackage{booktabs}.", *chain(*tables), ""])


def _latex_cell(cell: str) -> str:
    return cell.replace("↑", r"\uparrow").replace("⇑", r"\Uparrow").replace(NONE, "--")


def escape(text: str) -> str:
    """Escape a text for LaTeX, as ASCII."""
    return text.translate(LATEX).encode("ascii", "replace").decode()


def _cells(
    table: pd.DataFrame,
    score: str,
    formats: Formats,
    names: Mapping[str, str],
    references: Collection[str],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Format the cells of one score: of the compared systems, and of the references.

    Args:
        table: the frame of table1.csv.
        score: ua or wa.
        formats: how the parts of a cell look.
        names: system to display name.
        references: systems that are not compared.
    """
    compared = table[~table["system"].isin(list(references))]
    best = compared.groupby("condition")[score].max()

    def cell(row: pd.Series) -> str:
        if pd.isna(row[score]):
            return NONE
        spread = row[f"{score}_std"]
        is_best = row["system"] not in references and row[score] == best[row["condition"]]
        return (
            (formats.best if is_best else "{}").format(f"{100 * row[score]:.1f}")
            + (formats.marks.format(row[f"{score}_marks"]) if row[f"{score}_marks"] else "")
            + ("" if pd.isna(spread) else formats.std.format(f"{100 * spread:.1f}"))
        )

    by_condition = table.assign(cell=table.apply(cell, axis=1)).set_index(["system", "condition"])["cell"]
    cells = by_condition.unstack().loc[table["system"].unique(), list(SHOWN)].rename_axis("System")  # noqa: PD010 - cells are unique
    cells.columns = pd.Index([heading(condition).capitalize() for condition in SHOWN])
    is_reference = cells.index.isin(list(references))
    return cells[~is_reference].rename(names), cells[is_reference].rename(names)
