"""Table 1 for readers, in Markdown, in LaTeX and as plain text."""

import re
import shutil
import subprocess

import pandas as pd
import pytest
import samples
import yaml

from conftest import ROOT
from ifmmin.report import printed

HEADS = ["Average", "{a}", "{v}", "{t}", "{a,v}", "{a,t}", "{v,t}", "{a,v,t}"]
NAMES = {"if_mmin": "IF-MMIN", "floor": "Floor & more"}


def table(*systems, marks=("", ""), avt=True):
    """WA 0.5 and UA 0.25 in every condition, stds 0.01234 and 0; marks in condition v alone."""
    conditions = ["average", "a", "v", "t", "av", "at", "vt", "avt"]
    rows = pd.DataFrame(
        [(system, c) for system in systems for c in conditions], columns=["system", "condition"]
    ).assign(wa=0.5, ua=0.25, wa_std=0.01234, ua_std=0.0, n_folds=2, n_seeds=3, wa_marks="", ua_marks="")
    rows.loc[rows["condition"] == "v", ["wa_marks", "ua_marks"]] = marks
    if not avt:
        rows.loc[rows["condition"] == "avt", ["wa", "ua", "wa_std", "ua_std"]] = None
    return rows


def markdown_tables(text):
    """The tables of a text: lists of rows of cells, without the line below the heading."""
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    rows = [[line.strip("|").split("|") for line in block.splitlines()] for block in blocks]
    return [[[cell.strip() for cell in row] for row in (block[0], *block[2:])] for block in rows]


def latex_tables(text):
    """The rows of cells of each tabular."""
    inner = re.findall(r"\\begin\{tabular\}\{\w+\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    return [
        [
            [cell.strip() for cell in re.split(r"(?<!\\)&", line[:-2])]
            for line in block.splitlines()
            if line.endswith(r"\\")
        ]
        for block in inner
    ]


def test_the_markdown_has_a_table_of_ua_and_one_of_wa_in_per_cent():
    ua, wa = markdown_tables(printed.markdown(table("x", "if_mmin"), NAMES, [], [], plain=True))

    assert ua[0] == wa[0] == ["System", *HEADS]
    assert ua[1:] == [[name, *["25.0 ±0.0"] * 8] for name in ("x", "IF-MMIN")]
    assert wa[1:] == [[name, *["50.0 ±1.2"] * 8] for name in ("x", "IF-MMIN")]


def test_the_markdown_rounds_and_leaves_out_missing_stds():
    """The sample's x: WA 0.625, std 0.17678. Its b ran once, with marks for {a} and without avt."""
    text = printed.markdown(samples.table(), {}, [], ["A note."], plain=False)

    ua, wa = markdown_tables(text)
    assert wa[1] == ["x", *["**62.5** ±17.7"] * 8]
    assert ua[1] == ["x", *["**20.8** ±5.9"] * 8]
    assert wa[2] == ["b", "33.3", "33.3<sup>↑⇑</sup>", *["33.3"] * 5, "\N{EN DASH}"]


def test_the_best_compared_system_of_each_column_is_bold():
    rows = table("x", "b", "floor")
    rows.loc[rows["system"] == "b", "ua"] = 0.3
    rows.loc[rows["system"] == "floor", ["ua", "wa"]] = 0.9
    rows.loc[(rows["system"] == "b") & (rows["condition"] == "v"), "wa"] = 0.4

    ua, wa = markdown_tables(printed.markdown(rows, NAMES, ["floor"], [], plain=False))[::2]
    plain = printed.markdown(rows, NAMES, ["floor"], [], plain=True)
    latex = latex_tables(printed.latex(rows, NAMES, ["floor"], [], plain=False))

    assert [row[1] for row in ua[1:]] == ["25.0 ±0.0", "**30.0** ±0.0"]
    assert [row[3] for row in wa[1:]] == ["**50.0** ±1.2", "40.0 ±1.2"]
    assert latex[0][2][1].startswith(r"\textbf{30.0}")
    assert "90.0}" not in str(latex)
    assert plain.count("**") == 4  # two titles


def text_lines(*args, **options):
    return printed.text(*args, **{"score": "ua", "proposed": "if_mmin", **options}).splitlines()


def test_the_text_has_aligned_means_in_per_cent_and_marks_the_proposed_system():
    lines = text_lines(table("x", "if_mmin", marks=("↑", "*+"), avt=False), NAMES, [], [], score="wa")

    assert lines[0].startswith("WA in per cent")
    assert lines[2].split() == ["System", *HEADS]
    assert lines[4].split() == ["x", *["50.0"] * 7, "\N{EN DASH}"]
    assert lines[5].split() == [">", "IF-MMIN", *["50.0"] * 7, "\N{EN DASH}"]
    assert {len(line) for line in lines[4:6]} == {len(lines[2])}


def test_references_stand_below_a_rule_in_the_text():
    lines = text_lines(table("floor", "x", "if_mmin"), NAMES, ["floor"], [])
    rules = [n for n, line in enumerate(lines) if set(line.strip()) == {"─"}]

    assert [lines[n + 1].split()[0] for n in rules[1:3]] == ["x", "Floor"]
    assert lines[rules[3] + 1] == "> proposed system; below the line: references, not compared."


def test_the_text_fits_100_columns_with_the_names_of_the_project():
    """A note and a name that are longer are wrapped."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    names = params["names"] | {"if_mmin": "IF-MMIN " * 9}
    notes = ["A note that is long. " * 9]

    lines = text_lines(table(*params["rows"]), names, ["late_fusion_floor"], notes)

    assert max(map(len, lines)) <= 100
    assert sum("that is long" in line for line in lines) > 1


def test_one_metric_can_be_printed_alone():
    only = table("x"), {}, [], []

    assert len(markdown_tables(printed.markdown(*only, ["wa"], plain=True))) == 1
    assert "**WA in per cent" in printed.markdown(*only, ["wa"], plain=True)
    assert len(latex_tables(printed.latex(*only, ["ua"], plain=True))) == 1
    assert "caption{UA in per cent" in printed.latex(*only, ["ua"], plain=True)


def test_marks_are_superscripts_between_mean_and_std():
    ua, wa = markdown_tables(printed.markdown(table("x", marks=("↑", "*+")), {}, [], [], plain=False))

    assert wa[1][3] == "**50.0**<sup>↑</sup> ±1.2"
    assert ua[1][3] == "**25.0**<sup>*+</sup> ±0.0"


def test_references_have_a_table_of_their_own_below():
    text = printed.markdown(table("floor", "x", "b"), NAMES, ["floor", "absent"], [], plain=True)

    first, second = markdown_tables(text)[:2]
    assert [row[0] for row in first] == ["System", "x", "b"]
    assert [row[0] for row in second] == ["System", "Floor & more"]
    assert text.count(f"\n\n{printed.REFERENCES}:\n\n") == 2


def test_notes_escape_marks():
    """In Markdown, two * are emphasis, and a + before a space begins a list."""
    text = printed.markdown(table("if_mmin"), NAMES, [], ["+ is on par, * too.", "Another."], plain=True)

    assert text.endswith("\n\n\\+ is on par, \\* too.  \nAnother.\n")


def test_the_latex_has_the_same_cells():
    compared = table("mctn", avt=False), table("if_mmin", marks=("↑⇑", "*+")), table("floor")
    text = printed.latex(pd.concat(compared), NAMES, ["floor"], ["100 % of x_y, ↑ λ."], plain=False)

    ua, wa = latex_tables(text)
    assert wa[0] == ["", *(head.replace("{", r"\{").replace("}", r"\}") for head in HEADS)]
    assert [row[0] for row in wa[1:]] == ["mctn", "IF-MMIN", r"Floor \& more"]
    assert wa[1][-1] == "--"
    assert wa[2][3] == r"\textbf{50.0}$^{\uparrow\Uparrow}$ {\scriptsize$\pm$1.2}"
    assert ua[2][3] == r"\textbf{25.0}$^{*+}$ {\scriptsize$\pm$0.0}"
    assert text.isascii()
    assert r"100 \% of x\_y, $\uparrow$ ?." in text
    assert r"References, not part of the comparison: Floor \& more." in text.replace(
        r"\textbackslash{}", "\\"
    )


def test_references_stand_below_a_rule_in_latex():
    lines = printed.latex(table("x", "floor"), {}, ["floor"], [], plain=True).splitlines()
    rules = [i for i, line in enumerate(lines) if line == r"\midrule"]

    assert [lines[i + 1].split(" &")[0] for i in rules] == ["x", "floor"] * 2


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex here")
def test_the_latex_compiles_with_booktabs_and_fits_a_page_of_two_columns(tmp_path):
    """ICASSP's page is 178 mm wide."""
    names = {"x": "IF-MMIN w/o cascaded input", "b": "Late fusion, zero-filled"}
    text = printed.latex(table("x", "b", marks=("↑⇑", "*+")), names, ["b"], ["100 % ± {a}"], plain=False)
    (tmp_path / "t.tex").write_text(text, "ascii")
    (tmp_path / "paper.tex").write_text(
        "\\documentclass[twocolumn]{article}\n\\usepackage{booktabs}\n\\setlength{\\textwidth}{178mm}\n"
        "\\begin{document}\n\\input{t.tex}\n\\end{document}\n",
        "ascii",
    )

    result = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout[-3000:]
    assert "Overfull" not in result.stdout
