"""The report's page and charts, from small hand-made tables."""

import re

import numpy as np
import pandas as pd
import pytest

from ifmmin.report import charts, page

CONDITIONS = ["average", "a", "v", "t", "av", "at", "vt", "avt"]
CORPUS = {"name": "corpus <b>&", "classes": ["angry", "sad"], "synthetic": True, "iemocap": False}
OPTIONS = {
    "compared": {"proposed": "ours", "baselines": ["base"], "ablations": [], "on_par": 0.01},
    "params": {"lambda2": 100.0, "model.missing_steps.a": 1},
}


def table():
    """Ours, a baseline, and a reference that does not predict from the full input."""
    rows = [
        (
            system,
            c,
            wa,
            wa / 2,
            0.0125,
            np.nan,
            3,
            2,
            "↑" if system == "ours" else "",
            "",
            0.1,
            0.9,
            np.nan,
            np.nan,
        )
        for system, wa in (("ours", 0.61804), ("base", 0.5), ("floor", 0.25))
        for c in CONDITIONS
    ]
    frame = pd.DataFrame(
        rows,
        columns=[
            *["system", "condition", "wa", "ua", "wa_std", "ua_std", "n_folds", "n_seeds"],
            "wa_marks",
            "ua_marks",
            "wa_low",
            "wa_high",
            "ua_low",
            "ua_high",
        ],
    )
    frame.loc[frame.index[-1], ["wa", "ua", "wa_std"]] = np.nan
    return frame


def differences():
    rows = [
        ("base", c, m, 3, 2, 0.1, 0.05, 0.15, 0.001, 0.01 if c == "a" else 0.2, 0.08, 2.0, "a note")
        for c in CONDITIONS[:-1]
        for m in ("wa", "ua")
    ]
    columns = "other condition metric n_folds n_seeds difference ci_low ci_high p p_holm detectable"
    return pd.DataFrame(rows, columns=[*columns.split(), "effect_size", "note"])


def comparison():
    return pd.DataFrame(
        {
            "system": ["ours", "base"],
            "condition": ["a", "average"],
            "metric": ["wa", "ua"],
            "ours": [0.61804, np.nan],
            "paper": [0.6, 0.5],
            "difference": [0.01804, np.nan],
            "note": ["", "no runs of this system"],
        }
    )


def tables():
    pairs = [(s, c, x, y) for s in ("ours", "base") for c in ("a", "avt") for x in "pq" for y in "pq"]
    return {
        "table": table(),
        "significance": differences(),
        "comparison": comparison(),
        "scores": pd.DataFrame(
            {"system": "ours", "fold": [1, 2], "seed": 0, "condition": "a", "wa": 0.5, "ua": [0.25, 0.75]}
        ),
        "confusion": pd.DataFrame(pairs, columns=["system", "condition", "actual", "predicted"]).assign(
            count=1, share=0.5
        ),
        "curves": pd.DataFrame(
            {
                "system": "ours",
                "epoch": [1, 2],
                "L": [2.0, 1.0],
                "validation_L_cls": 1.0,
                "validation_ua": 0.5,
            }
        ),
        "fig3a": pd.DataFrame(
            {"network": "trained", "utterance_id": ["u"], "condition": "a", "class": "p", "x": 1.0, "y": 2.0}
        ),
        "mechanism": pd.DataFrame(
            [
                ("pretraining", 1, 0, "probe", "avt", 0.9, 1 / 3),
                ("pretraining", 2, 0, "probe", "avt", 0.7, 1 / 3),
                ("ours", 1, 0, "R2", "a", -0.5, 0.0),
                ("ours", 1, 0, "L_inv_missing", "six", 0.75, 0.5),
            ],
            columns=["network", "fold", "seed", "measure", "condition", "value", "reference"],
        ),
        "fig3b": pd.DataFrame({"fold": [1, 1], "seed": 0, "epoch": [1, 2], "L_inv": [2.0, 1.0]}),
    }


@pytest.fixture(scope="module")
def text():
    return page.html(
        tables(),
        {"bars": {"mark": "</script><b>"}},
        corpus=CORPUS,
        below=["A note & more."],
        facts={"preset": "paper"},
        **OPTIONS,
    )


def cells(text, table_id):
    """Cell contents by (system, condition, metric), in the order of the table."""
    body = text.split(f'<table id="{table_id}"')[1].split("</table>")[0]
    matches = re.findall(
        r'<td data-system="(\w+)" data-condition="(\w+)" data-metric="(\w+)">(.*?)</td>', body
    )
    return {tuple(key): value for *key, value in matches}


def test_every_cell_of_table_1_shows_score_mark_and_std(text):
    shown = cells(text, "table1")

    assert list(shown) == [(s, c, m) for s in ("ours", "base") for c in CONDITIONS for m in ("wa", "ua")]
    assert shown["ours", "v", "wa"] == "0.6180↑<small>±0.013</small>"
    assert shown["ours", "v", "ua"] == "0.3090"


def test_the_mechanism_is_averaged_over_runs_and_shows_its_references(text):
    body = text.split('<table id="mechanism">')[1].split("</table>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in body.split("<tr>")[2:]]

    assert re.findall(r'<th scope="col">(.*?)</th>', body)[2:] == ["Pretraining", "ours"]
    dash = "\N{EN DASH}"
    assert rows == [["", "0.800", dash], ["{a}", dash, "-0.500"], ["", dash, "0.750 (0.500)"]]


def test_references_have_their_own_table_and_missing_cells_are_dashes(text):
    shown = cells(text, "references")

    assert {system for system, _, _ in shown} == {"floor"}
    assert shown["floor", "avt", "wa"] == "\N{EN DASH}"


def test_a_difference_significant_after_holm_has_a_dagger(text):
    shown = cells(text, "table1")

    assert [key for key, value in shown.items() if "†" in value] == [("base", "a", "wa"), ("base", "a", "ua")]
    assert "† Differs from ours" in text
    assert "[+0.0500, +0.1500] p 0.001, Holm 0.010, detectable 0.080<" in text


def test_without_significant_differences_there_is_no_dagger():
    none = {**tables(), "significance": differences().assign(p=np.nan, p_holm=np.nan, difference=np.nan)}

    text = page.html(none, {}, corpus=CORPUS, below=[], facts={}, **OPTIONS)

    assert "†" not in text.split("<script>")[0]
    assert "nan" not in text.split("<script>")[0]


def test_only_a_synthetic_corpus_is_called_synthetic(text):
    real = page.html(tables(), {}, corpus={**CORPUS, "synthetic": False}, below=[], facts={}, **OPTIONS)

    assert "The corpus is synthetic" in text
    assert "The corpus is synthetic" not in real


def test_names_are_escaped(text):
    """Neither the name of the corpus nor names in the charts."""
    assert "corpus &lt;b&gt;&amp;" in text
    assert "</script><b>" not in text


def test_the_page_lists_all_settings_and_links_to_nothing(text):
    assert "<dt>preset</dt><dd>paper</dd>" in text
    assert '<th scope="row">model.missing_steps.a</th><td class="left">1</td>' in text
    outside = text.split("<script>")[0]
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", outside)


def test_versions_are_those_of_the_run_time_requirements():
    text = "# Run time\nnumpy==2.4.6\ntorch==2.13.0\n# Development: tests\npytest==9\n"

    assert page.pinned(text) == {"numpy": "2.4.6", "torch": "2.13.0"}


def specifications():
    return charts.specifications(tables(), systems=["ours", "base", "floor"], figure_system="ours")


def data(specification):
    """The rows of a chart's only data set."""
    [rows] = specification["datasets"].values()
    return pd.DataFrame(rows)


def test_bars_show_the_confidence_interval_or_else_one_std():
    """WA has an interval (0.1 to 0.9), UA has neither, and the reference has no bar for the full input."""
    rows = data(specifications()["bars"]).set_index(["system", "condition", "metric"])

    assert rows.loc[("ours", "{a,v}", "WA"), ["mean", "low", "high"]].tolist() == [0.61804, 0.1, 0.9]
    assert rows.loc[("ours", "{a,v}", "UA"), ["mean", "low", "high"]].tolist() == [0.30902] * 3
    assert ("floor", "{a,v,t}", "WA") not in rows.index
    without = {**tables(), "table": table().assign(wa_low=np.nan, wa_high=np.nan)}
    bars = charts.specifications(without, systems=["ours"], figure_system="ours")["bars"]
    ends = data(bars).set_index(["system", "condition", "metric"]).loc[("ours", "{a}", "WA"), ["low", "high"]]
    assert ends.tolist() == pytest.approx([0.61804 - 0.0125, 0.61804 + 0.0125])


def test_selectors_offer_the_systems_and_conditions_of_the_data():
    chosen = {
        parameter["name"]: (parameter["value"], parameter["bind"]["options"])
        for parameter in specifications()["confusion"]["params"]
        if "options" in parameter.get("bind", {})
    }

    assert chosen["confusion_system"] == ("ours", ["ours", "base", "floor"])
    assert chosen["confusion_condition"] == ("{a}", ["{a}", "{a,v,t}"])


def test_a_system_has_the_same_colour_in_every_chart():
    scales = [
        layer["encoding"]["color"]["scale"]
        for layer in (specifications()["bars"]["layer"][0], specifications()["curves"])
    ]

    assert scales[0] == scales[1]
    assert scales[0]["domain"] == ["ours", "base", "floor"]


def test_chart_specifications_are_deterministic():
    """Otherwise the bytes of the page would change without reason."""
    assert repr(specifications()) == repr(specifications())
