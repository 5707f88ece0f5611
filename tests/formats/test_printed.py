"""Table 1 for people, in Markdown and in LaTeX."""

import re
import shutil
import subprocess

import pandas as pd
import pytest
import samples

from ifmmin.report import printed

HEADS = ["{a}", "{v}", "{t}", "{a,v}", "{a,t}", "{v,t}", "Average", "{a,v,t}"]
NOTES = [
    "100 % of A&B_C, #1 {a,v} ~ ^ \\.",
    "* or +: ↑ ⇑ ± \N{MULTIPLICATION SIGN} \N{EN DASH} H' p < 0.05 | λ é",
    "$1",
]
KNOWN = {
    *("begin", "end", "caption", "label", "centering", "par", "smallskip", "linewidth"),
    *("footnotesize", "scriptsize", "setlength", "tabcolsep", "multicolumn"),
    *("toprule", "midrule", "bottomrule", "cmidrule", "heavyrulewidth"),
    *("uparrow", "Uparrow", "pm", "times"),
    *("textbackslash", "textasciitilde", "textasciicircum"),
}
"""Commands of LaTeX itself and of booktabs."""


def table(*systems, marks=("", ""), avt=True):
    """Two folds: WA 0.5 and UA 0.25 on average, deviations 0.01234 and 0; marks in condition v alone."""
    conditions = ["average", "a", "v", "t", "av", "at", "vt", "avt"]
    whole = pd.DataFrame(
        [(system, c) for system in systems for c in conditions], columns=["system", "condition"]
    ).assign(wa=0.5, ua=0.25, wa_std=0.01234, ua_std=0.0, n_folds=2, n_seeds=3, wa_marks="", ua_marks="")
    whole.loc[whole["condition"] == "v", ["wa_marks", "ua_marks"]] = marks
    if not avt:
        whole.loc[whole["condition"] == "avt", ["wa", "ua", "wa_std", "ua_std"]] = None
        whole.loc[whole["condition"] == "avt", ["n_folds", "n_seeds"]] = 0
    return whole


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def test_the_markdown_has_a_line_for_each_system_with_the_full_input_last():
    lines = printed.markdown(table("x", "b"), [], []).splitlines()

    assert cells(lines[0]) == [
        "System",
        "Folds \N{MULTIPLICATION SIGN} seeds",
        *(f"{head} {score}" for head in HEADS for score in ("WA", "UA")),
    ]
    assert set(lines[1]) == set("|-:")
    assert len(cells(lines[1])) == 18
    assert [cells(line)[:2] for line in lines[2:]] == [[s, "2 \N{MULTIPLICATION SIGN} 3"] for s in ("x", "b")]
    assert cells(lines[3])[2:] == ["0.5000 ±.012", "0.2500 ±.000"] * 8


def test_the_markdown_rounds_to_four_and_three_digits_and_has_marks_behind_the_mean(tmp_path):
    """The sample's x: 0.5 and 0.75, deviation 0.17678; UA a third of all. b: a third and a ninth, once."""
    printed.write_markdown(tmp_path / "t.md", samples.table(), [], ["A note."])

    lines = (tmp_path / "t.md").read_text("utf-8").splitlines()
    assert cells(lines[2])[2:] == ["0.6250 ±.177", "0.2083 ±.059"] * 8
    assert cells(lines[3])[2:] == [
        *("0.3333↑⇑", "0.1111*+"),
        *("0.3333", "0.1111") * 6,
        *("\N{EN DASH}", "\N{EN DASH}"),
    ]
    assert cells(lines[3])[:2] == ["b", "1 \N{MULTIPLICATION SIGN} 1"]


def test_a_spread_stands_behind_the_marks():
    line = printed.markdown(table("x", marks=("↑", "+")), [], []).splitlines()[2]

    assert cells(line)[4:6] == ["0.5000↑ ±.012", "0.2500+ ±.000"]


def test_reference_rows_stand_in_a_second_table_under_a_line_that_says_so():
    """The name that the table lacks is no fault."""
    text = printed.markdown(table("floor", "x", "b"), ["floor", "ceiling"], ["A note.", "Another."])

    first, line, second, notes = text.rstrip("\n").split("\n\n")
    assert [cells(row)[0] for row in first.splitlines()[2:]] == ["x", "b"]
    assert line == printed.REFERENCE
    assert [cells(row)[0] for row in second.splitlines()[2:]] == ["floor"]
    assert second.splitlines()[:2] == first.splitlines()[:2]
    assert notes == "A note.  \nAnother.  "


def test_without_reference_rows_and_notes_there_is_one_table_and_nothing_else():
    text = printed.markdown(table("x"), ["floor"], [])

    assert "\n\n" not in text
    assert text.endswith("|\n")


def test_a_note_on_marks_is_read_as_it_is_written():
    """In Markdown two * are emphasis, and a + before a space begins a list."""
    text = printed.markdown(table("x"), [], ["+ is on par with the best, * too; * with one, 1 + 1."])

    assert text.splitlines()[-1] == r"\+ is on par with the best, \* too; \* with one, 1 + 1.  "


def rows(text):
    r"""Rows of the tabular, without rules: what ends in \\."""
    inner = text.split(r"\begin{tabular}")[1].split(r"\end{tabular}")[0]
    return [line.removesuffix(r" \\") for line in inner.splitlines() if line.endswith(r"\\")]


def latex_cells(row):
    return [cell.strip() for cell in re.split(r"(?<!\\)&", row)]


def test_the_latex_has_two_blocks_of_four_conditions_each():
    text = printed.latex(table("x"), [], [])

    heads = [latex_cells(row) for row in rows(text) if "multicolumn" in row]
    names = [
        [re.fullmatch(r"\\multicolumn\{2\}\{c\}\{(.*)\}", cell)[1] for cell in head[2:]] for head in heads
    ]
    assert names == [
        [r"\{a\}", r"\{v\}", r"\{t\}", r"\{a,v\}"],
        [r"\{a,t\}", r"\{v,t\}", "Average", r"\{a,v,t\}"],
    ]
    below = [latex_cells(row) for row in rows(text) if "WA" in row]
    assert below == [["", r"$\times$ seeds", *("WA", "UA") * 4]] * 2
    rules = [line for line in text.splitlines() if "cmidrule" in line]
    assert (
        rules
        == [
            r"\cmidrule(lr){3-4} \cmidrule(lr){5-6} \cmidrule(lr){7-8} \cmidrule(lr){9-10}",
        ]
        * 2
    )


def test_the_latex_has_means_with_marks_above_their_spreads():
    """The number of v stands in the first block's third and fourth column of numbers."""
    text = printed.latex(table("if_x", marks=("↑⇑", "*+")), [], [])

    means, spreads = [latex_cells(row) for row in rows(text)][2:4]
    assert means == [
        *(r"if\_x", r"2$\times$3", "0.5000", "0.2500"),
        *(r"0.5000$\uparrow$$\Uparrow$", "0.2500$^{*}$$^{+}$"),
        *("0.5000", "0.2500") * 2,
    ]
    assert spreads == ["", "", *(r"\scriptsize$\pm$.012", r"\scriptsize$\pm$.000") * 4]


def test_the_latex_has_dashes_for_missing_cells_and_no_spread_below_them():
    last, spread = [latex_cells(row) for row in rows(printed.latex(table("x", avt=False), [], []))][-2:]

    assert last[-4:] == ["0.5000", "0.2500", "--", "--"]
    assert spread[-4:] == [r"\scriptsize$\pm$.012", r"\scriptsize$\pm$.000", "", ""]


def test_the_latex_has_one_line_for_a_system_of_one_run():
    """A block: two lines of heads, one for each of two systems."""
    once = table("x", "b").assign(wa_std=None, ua_std=None)

    assert len(rows(printed.latex(once, [], []))) == 2 * (2 + 2)


def test_reference_rows_stand_below_a_rule_of_each_block_and_are_named():
    once = table("floor_1", "x").assign(wa_std=None, ua_std=None)

    text = printed.latex(once, ["floor_1"], ["A note."])

    inner = text.split(r"\begin{tabular}")[1].split(r"\end{tabular}")[0].splitlines()[1:]
    order = [line.split(" &")[0].split("[")[0].split("(")[0] for line in inner]
    block = ["System", r"\cmidrule", "", r"\midrule", "x", r"\midrule", r"floor\_1"]
    assert order == [r"\toprule", *block, r"\midrule", *block, r"\bottomrule"]
    assert text.split("A note.")[1].splitlines()[1] == r"References, not part of the comparison: floor\_1."


def test_the_notes_are_escaped():
    text = printed.latex(table("x"), [], NOTES)

    notes = text.split("\\begin{minipage}{\\linewidth}\n\\footnotesize\n")[1].split("\n\\end{minipage}")[0]
    assert notes.splitlines() == [
        r"100 \% of A\&B\_C, \#1 \{a,v\} \textasciitilde{} \textasciicircum{} \textbackslash{}.",
        r"* or +: $\uparrow$ $\Uparrow$ $\pm$ $\times$ -- H' p $<$ 0.05 $|$ U+03BB U+00E9",
        r"\$1",
    ]


def faults(text):
    """What would keep LaTeX from reading a file, or from printing what is meant."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    return [
        *(f"not ASCII: {c}" for c in text if not c.isascii()),
        *(f"unknown: {name}" for name in re.findall(r"\\([A-Za-z]+)", body) if name not in KNOWN),
        *faults_of_characters(re.sub(r"\\[A-Za-z]+|\\.", "", body.replace(r"\\", ""))),
        *faults_of_environments(body),
        *faults_of_columns(body),
    ]


def faults_of_characters(plain):
    """Of a text whose commands and escaped characters are left out."""
    words = re.sub(r"\$[^$]*\$", "", plain)
    depths = [plain[:n].count("{") - plain[:n].count("}") for n in range(len(plain) + 1)]
    return [
        *(f"odd number of $: {line}" for line in plain.splitlines() if line.count("$") % 2),
        *(f"raw: {c}" for c in re.findall(r"[%#~_^\\\"<>|]", words)),
        *(["braces"] if min(depths) < 0 or depths[-1] else []),
    ]


def faults_of_environments(body):
    found, opened = [], []
    for what, name in re.findall(r"\\(begin|end)\{([^}]*)\}", body):
        if what == "begin":
            opened.append(name)
        elif not opened or opened.pop() != name:
            found.append(f"ends without a beginning: {name}")
    return found + [f"no end: {name}" for name in opened]


def faults_of_columns(body):
    """Rows that do not fill the columns of the table, and lines outside of it that have columns."""
    [columns] = re.findall(r"\\begin\{tabular\}\{([lcr]+)\}", body)
    spans = {row: [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", row)] for row in rows(body)}
    outside = re.sub(r"\\begin\{tabular\}.*\\end\{tabular\}", "", body, flags=re.DOTALL)
    return [
        *(row for row, n in spans.items() if len(latex_cells(row)) + sum(n) - len(n) != len(columns)),
        *(line for line in outside.splitlines() if len(latex_cells(line)) > 1),
    ]


def full_table():
    """As many rows, names as long and marks as many as there will be."""
    compared = table("mctn", avt=False), table("mmin", "mmin_no_cycle"), table("if_mmin", marks=("↑⇑", "*+"))
    others = table("if_mmin_no_inv", "if_mmin_no_cascade", "floor"), table("ceiling", avt=False)
    return pd.concat([*compared, *others], ignore_index=True)


def test_the_latex_is_sound(tmp_path):
    printed.write_latex(tmp_path / "t.tex", full_table(), ["floor", "ceiling"], NOTES)

    text = (tmp_path / "t.tex").read_text("ascii")
    assert faults(text) == []
    assert len(rows(text)) == 2 * (2 + 2 * 8)
    assert re.findall(r"\\begin\{(.*?)\}", text) == ["table*", "tabular", "minipage"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"\&", "&"),
        (r"\%", "%"),
        (r"\_", "_"),
        (r"\#", "#"),
        (r"\{a\}", "{a}}"),
        (r"\end{minipage}", ""),
        (r"$\pm$", "±"),
        (r"$\pm$", r"$\pm"),
        (r"\textasciitilde{}", "~"),
        ("$^{*}$", "^{*}"),
        (r"\toprule", r"\hline"),
        ("0.5000 & ", "0.5000 "),
    ],
)
def test_the_check_of_latex_finds_what_is_wrong(old, new):
    """The check is worth something only if it does."""
    text = printed.latex(full_table(), ["floor"], NOTES)

    assert old in text
    assert faults(text.replace(old, new, 1))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_latex_compiles_with_booktabs_alone_and_fits_a_page_of_two_columns(tmp_path):
    """ICASSP's page is 178 mm wide. Without the dollar, whose font a small installation lacks."""
    printed.write_latex(tmp_path / "t.tex", full_table(), ["floor", "ceiling"], NOTES[:2])
    (tmp_path / "paper.tex").write_text(
        "\\documentclass[twocolumn]{article}\n\\usepackage{booktabs}\n\\setlength{\\textwidth}{178mm}\n"
        "\\begin{document}\n\\input{t.tex}\n\\end{document}\n",
        "ascii",
    )

    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "paper.pdf").is_file()
    assert "Overfull" not in done.stdout
