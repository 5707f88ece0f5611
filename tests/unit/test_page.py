"""The report's page and charts, from small hand-made tables."""

import functools
import io
import re

import numpy as np
import pandas as pd
import pytest

from ifmmin.report import charts, downloads, page, palette, printed
from ifmmin.results import mechanism

CONDITIONS = ["average", "a", "v", "t", "av", "at", "vt", "avt"]
CORPUS = {"name": "corpus <b>&", "classes": ["angry", "sad"], "synthetic": False, "iemocap": False}
COMPARED = {"proposed": "ours", "baselines": ["base"], "ablations": [], "on_par": 0.01}
NAMES = {"ours": "Ours & more", "absent": "Absent"}
LOOKS = palette.looks(["base", "ours", "floor"], NAMES, COMPARED)
OPTIONS = {
    "looks": LOOKS,
    "names": NAMES,
    "corpus": CORPUS,
    "findings": ["It ran."],
    "below": ["A note & more."],
    "facts": {"preset": "paper"},
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
        (
            "base",
            c,
            m,
            3,
            2,
            0.1,
            0.05,
            0.15,
            0.001,
            0.01 if (c, m) == ("average", "ua") else np.nan,
            0.08,
            2.0,
            "",
        )
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
        "recalls": pd.DataFrame(
            {
                "system": "ours",
                "condition": ["a", "a", "avt"],
                "class": ["p", "q", "p"],
                "recall": [0.25, 1, 0.5],
            }
        ),
        "robustness": pd.DataFrame(
            [
                ("ours", missing, condition, rate, 0.5 - rate / 2, 0.25, 0.125, np.nan)
                for missing, condition in (("modalities", "mixed"), ("frames", "avt"), ("frames", "a"))
                for rate in (0, 0.5)
            ],
            columns=["system", "missing", "condition", "missing_rate", "wa", "ua", "wa_std", "ua_std"],
        ),
        "confusion": pd.DataFrame(pairs, columns=["system", "condition", "actual", "predicted"]).assign(
            count=1, share=0.5
        ),
        "curves": pd.DataFrame(
            {
                "system": "ours",
                "epoch": [1, 2],
                "chosen": [0.25, 0.75],
                "L": [2.0, 1.0],
                "validation_L_cls": 1.0,
                "validation_ua": 0.5,
            }
        ),
        "fig3a": pd.DataFrame(
            {"network": "trained", "utterance_id": ["u"], "condition": "a", "class": "p", "x": 1.0, "y": 2.0}
        ),
        "mechanism": mechanism.summary(
            pd.DataFrame(
                [
                    ("pretraining", 1, 0, "probe", "avt", 0.9, 1 / 3),
                    ("pretraining", 2, 0, "probe", "avt", 0.7, 1 / 3),
                    ("ours", 1, 0, "R2", "a", -0.5, 0.0),
                    ("ours", 1, 0, "L_inv_missing", "six", 0.75, 0.5),
                ],
                columns=["network", "fold", "seed", "measure", "condition", "value", "reference"],
            )
        ),
        "fig3b": pd.DataFrame({"fold": [1, 1], "seed": 0, "epoch": [1, 2], "L_inv": [2.0, 1.0]}),
    }


@pytest.fixture(scope="module")
def text():
    return page.html(tables(), {"scores_a": {"mark": "</script><b>"}, "recall_0": {}}, **OPTIONS)


def visible(text):
    return text.split("<script>")[0]


def cells(text, metric):
    """Contents of the cells of Table 1 by (system, condition), in the order of the table."""
    body = text.split(f'<table id="table1-{metric}"')[1].split("</table>")[0]
    matches = re.findall(
        rf'<td data-system="(\w+)" data-condition="(\w+)" data-metric="{metric}"(.*?)</td>', body
    )
    return {tuple(key): value for *key, value in matches}


def test_every_cell_of_table_1_shows_score_mark_and_std_in_per_cent(text):
    wa, ua = cells(text, "wa"), cells(text, "ua")

    assert list(wa) == list(ua) == [(s, c) for s in ("base", "ours", "floor") for c in CONDITIONS]
    assert wa["base", "v"] == "><span>50.0</span><sup></sup><small>±1.2</small>"
    assert wa["ours", "v"] == ' class="best"><span>61.8</span><sup>↑</sup><small>±1.2</small>'
    assert ua["ours", "v"] == ' class="best"><span>30.9</span><sup></sup>'
    assert wa["floor", "avt"] == ">\N{EN DASH}"


def test_a_synthetic_corpus_has_neither_marks_nor_bold_nor_daggers(text):
    synthetic = page.html(tables(), {}, **{**OPTIONS, "corpus": {**CORPUS, "synthetic": True}})

    assert "↑" not in visible(synthetic)
    assert "†" not in visible(synthetic)
    assert 'class="best"' not in visible(synthetic)
    assert "The corpus is synthetic" in synthetic
    assert "The corpus is synthetic" not in text


def test_systems_have_display_names_and_references_follow_a_line(text):
    body = text.split('<table id="table1-ua"')[1].split("</table>")[0]

    assert re.findall(r"</span>([^<]+)</button>", body) == ["base", "Ours &amp; more", "floor"]
    assert re.findall(r'<tbody class="([^"]*)">', body) == ["", "proposed", " references"]


def test_a_row_opens_to_the_scores_of_its_runs(text):
    body = text.split('<table id="table1-ua"')[1].split("</table>")[0]
    runs = re.findall(r'<tr class="run" hidden><th scope="row">(.*?)</th>(.*?)</tr>', body)

    dash = "<td>\N{EN DASH}</td>"
    assert [name for name, _ in runs] == ["fold 1, seed 0", "fold 2, seed 0"]
    assert [row for _, row in runs] == [
        f"{dash}<td><span>{score}</span></td>{6 * dash}" for score in ("25.0", "75.0")
    ]


def test_the_mechanism_is_averaged_over_runs_and_shows_its_references(text):
    body = text.split('<table id="mechanism-table">')[1].split("</table>")[0]
    rows = [re.findall(r"<td>(.*?)</td>", row) for row in body.split("<tr>")[2:]]

    assert re.findall(r'<th scope="col">(.*?)</th>', body)[2:] == ["Pretraining", "Ours &amp; more"]
    dash = "\N{EN DASH}"
    assert rows == [["", "0.800", dash], ["{a}", dash, "-0.500"], ["", dash, "0.750 (0.500)"]]


def test_a_difference_significant_after_holm_has_a_dagger(text):
    daggers = {m: [key for key, cell in cells(text, m).items() if "†" in cell] for m in ("ua", "wa")}

    assert daggers == {"ua": [("base", "average")], "wa": []}
    assert "† The average UA differs from that of Ours &amp; more" in text


def test_differences_are_in_points_with_interval_p_and_what_was_detectable():
    text = page.html(tables(), {"differences_a": {}}, **OPTIONS)
    body = text.split('<table id="differences-ua">')[1].split("</table>")[0]

    first = re.findall(r'<td title="">(.*?)</td>', body)[0]
    parts = ["+10.0", "[+5.0, +15.0]", "p 0.001, Holm 0.010", "detectable 8.0"]
    assert re.split(r"</?small>+", first.replace("</small><small>", "<small>"))[:4] == parts


def test_without_significant_differences_there_is_no_dagger():
    none = {**tables(), "significance": differences().assign(p=np.nan, p_holm=np.nan, difference=np.nan)}

    text = page.html(none, {"differences_a": {}}, **OPTIONS)

    assert "†" not in visible(text)
    assert not re.search(r"\bnan\b", visible(text))


def test_names_are_escaped(text):
    """Neither the name of the corpus nor names in the charts."""
    assert "corpus &lt;b&gt;&amp;" in text
    assert "</script><b>" not in text


def test_the_page_lists_all_settings_and_loads_nothing(text):
    assert "<dt>preset</dt><dd>paper</dd>" in text
    assert '<th scope="row">model.missing_steps.a</th><td class="left">1</td>' in text
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", visible(text))


def test_every_entry_of_the_contents_leads_to_a_section(text):
    nav = text.split("<nav")[1].split("</nav>")[0]
    entries = re.findall(r'href="#([\w-]+)"', nav)

    assert entries == re.findall(r'<h2 id="([\w-]+)">', text)
    assert len(entries) > 8


def test_versions_are_those_of_the_run_time_requirements():
    text = "# Run time\nnumpy==2.4.6\ntorch==2.13.0\n"

    assert page.pinned(text) == {"numpy": "2.4.6", "torch": "2.13.0"}


def test_saved_tables_are_those_of_the_metrics_folder():
    shown = {"table1": table(), "runs": tables()["scores"]}
    texts = downloads.texts(shown, NAMES, LOOKS, synthetic=False, below=["A note."])

    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(texts["runs"]["csv"])), tables()["scores"])
    notes = (["floor"], ["A note."])
    assert texts["table1"]["md"] == printed.markdown(table(), NAMES, *notes, plain=False)
    assert texts["table1"]["tex"] == printed.latex(table(), NAMES, *notes, plain=False)
    assert r"\toprule" in texts["runs"]["tex"]


def test_saved_tables_for_readers_have_names_dashes_and_four_digits():
    runs = pd.DataFrame({"system": ["ours", "a|b"], "ua": [1 / 3, np.nan], "p": [0.00003, 1]})
    texts = downloads.texts({"table1": table(), "runs": runs}, NAMES, LOOKS, synthetic=True, below=[])

    rows = [re.split(r"\s*(?<!\\)\|\s*", line)[1:-1] for line in texts["runs"]["md"].splitlines()[2:]]
    assert rows == [["Ours & more", "0.3333", "3e-05"], [r"a\|b", "\N{EN DASH}", "1"]]
    assert r"Ours \& more & 0.3333 & 3e-05" in texts["runs"]["tex"]
    assert "↑" not in texts["table1"]["md"]
    assert "↑" in texts["table1"]["csv"]  # as in metrics/table1.csv, whose note says what marks are worth


def specified(changed):
    return charts.specifications({**tables(), **changed}, LOOKS, NAMES, figure_system="ours")


@functools.cache
def unchanged():
    return specified({})


def specifications(changed=None):
    return specified(changed) if changed else unchanged()


def data(specification, *, without=()):
    """The rows of a chart's largest data set."""
    return pd.DataFrame(max(specification["datasets"].values(), key=len)).drop(columns=list(without))


def test_scores_show_the_confidence_interval_or_else_one_std():
    """WA has an interval (0.1 to 0.9), UA has neither, and the reference has no score for the full input."""
    rows = data(specifications()["scores_av"]).set_index(["system", "metric"])

    assert rows.loc[("Ours & more", "WA"), ["value", "low", "high"]].tolist() == [61.804, 10, 90]
    assert rows.loc[("Ours & more", "UA"), "value"] == 30.902
    assert "floor" not in set(data(specifications()["scores_avt"])["system"])
    without = {"table": table().assign(wa_low=np.nan, wa_high=np.nan)}
    ends = data(specifications(without)["scores_a"]).set_index(["system", "metric"])
    assert ends.loc[("Ours & more", "WA"), ["low", "high"]].tolist() == pytest.approx([60.554, 63.054])


def test_the_scores_of_all_conditions_share_one_zoomed_axis():
    found = specifications({"table": table().assign(wa_low=np.nan, wa_high=np.nan)})
    domains = [
        layer["encoding"]["x"]["scale"]["domain"]
        for name, chart in found.items()
        if name.startswith("scores_")
        for layer in chart["layer"]
    ]

    assert len(domains) == 2 * len(CONDITIONS)
    assert {tuple(domain) for domain in domains} == {(10, 65)}  # the reference's UA 12.5, our WA 61.8 + 1.25


def test_differences_are_points_without_intervals_for_two_folds():
    two = differences().assign(ci_low=np.nan, ci_high=np.nan, p=np.nan, p_holm=np.nan)
    chart = specifications({"significance": two})["differences_a"]

    rows = data(chart).set_index(["system", "metric"])
    assert rows.loc[("base", "UA"), "value"] == 10
    assert rows[["low", "high"]].isna().all(axis=None)
    assert "{'filter': 'isValid(datum.low)'}" in repr(chart)


def test_a_table_without_systems_of_the_paper_has_no_comparison_with_it():
    changed = {"comparison": comparison().iloc[:0]}
    found = specifications(changed)

    assert "paper" not in found
    assert 'id="paper"' not in page.html({**tables(), **changed}, found, **OPTIONS)


def test_a_system_that_did_not_run_has_its_display_name_too():
    absent = comparison().replace({"base": "absent"})
    found = specifications({"comparison": absent})

    assert set(data(found["paper"])["system"]) == {"Ours & more", "Absent"}


def test_titles_name_what_a_selector_shows():
    """A saved chart has no selector."""
    titles = {name: chart.get("title", {}).get("text") for name, chart in specifications().items()}

    assert titles["recall_0"] == {"expr": "('p: recall in per cent, ' + recall_condition)"}
    assert titles["runs"] == {"expr": "((metric + ' in per cent, ') + runs_condition)"}
    assert titles["confusion"] == {"expr": "((confusion_system + ', ') + confusion_condition)"}
    assert titles["scores_a"] == {"expr": "(metric + ' in per cent, {a}')"}


def test_without_differences_there_is_no_chart_of_them():
    found = specifications({"significance": differences().assign(difference=np.nan)})

    assert not [name for name in found if name.startswith("differences")]


def test_robustness_shows_mixed_modalities_and_frames_of_the_full_input():
    found = specifications()

    modalities = data(found["robustness_modalities"]).set_index(["metric", "missing_rate"])
    assert modalities.loc[("WA", 0.5), ["value", "low", "high"]].tolist() == [25, 12.5, 37.5]
    assert modalities.loc[("UA", 0.5), ["value", "low", "high"]].tolist() == [25, 25, 25]  # no std
    assert len(data(found["robustness_frames"])) == 4


def test_a_measure_of_the_mechanism_is_drawn_beside_its_reference():
    probe, l_inv = (data(specifications()[f"mechanism_{name}"]) for name in ("probe", "L_inv_missing"))

    assert probe[["network", "value"]].to_numpy().tolist() == [["Pretraining", pytest.approx(0.8)]]
    assert probe["reference"].tolist() == [pytest.approx(1 / 3)]
    assert l_inv[["value", "reference"]].to_numpy().tolist() == [[1.5, 1.0]]  # 0.75 over 0.5


def test_a_unit_is_equally_long_on_both_axes_of_figure_3a():
    points = pd.DataFrame({"x": [0.0, 10.0], "y": [1.0, 2.0]})
    wide = pd.concat([tables()["fig3a"]] * 2, ignore_index=True).assign(x=points["x"], y=points["y"])
    chart = specifications({"fig3a": wide})["fig3a_0_class"]

    x, y = (chart["encoding"][axis]["scale"]["domain"] for axis in "xy")
    assert chart["width"] == chart["height"]
    assert x[1] - x[0] == pytest.approx(y[1] - y[0])
    assert x[0] < 0
    assert x[1] > 10
    assert sum(y) / 2 == pytest.approx(1.5)


def test_selectors_offer_the_systems_and_conditions_of_the_data():
    chosen = {
        parameter["name"]: (parameter["value"], parameter["bind"]["options"])
        for parameter in specifications()["confusion"]["params"]
        if "options" in parameter.get("bind", {})
    }

    assert chosen["confusion_system"] == ("Ours & more", ["base", "Ours & more", "floor"])
    assert chosen["confusion_condition"] == ("{a}", ["{a}", "{a,v,t}"])


def colour_scales(node):
    """All colour scales of systems in a specification."""
    if isinstance(node, list):
        return [scale for part in node for scale in colour_scales(part)]
    if not isinstance(node, dict):
        return []
    own = [node["scale"]] if node.get("field") == "system" and "range" in node.get("scale", {}) else []
    return own + [scale for part in node.values() for scale in colour_scales(part)]


def test_a_system_has_the_same_colour_in_every_chart():
    scales = [scale for scale in colour_scales(specifications()) if scale["range"][0].startswith("#")]

    expected = {look.name: look.colour for look in LOOKS.values()}
    assert len(scales) > 20
    assert all(dict(zip(s["domain"], s["range"], strict=True)) == expected for s in scales)


def test_chart_specifications_are_deterministic():
    """Otherwise the bytes of the page would change without reason."""
    assert repr(specified({})) == repr(specified({}))
