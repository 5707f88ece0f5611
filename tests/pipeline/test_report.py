"""The report in a browser, opened from disk without a network."""

import io
import json
import re
import shutil

import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.slow

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DASH = "\N{EN DASH}"
CHARTS = (
    *("scores_average", "scores_avt", "differences_average", "paper", "recall_0", "confusion"),
    *("robustness_modalities", "robustness_frames", "curves_validation_ua", "mechanism_probe"),
    *("fig3a_0_condition", "fig3b", "runs"),
)


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, reproduced, request):
    """The page with all charts drawn, its console messages and its requests."""
    context = browser.new_context(offline=True, **getattr(request, "param", {}))
    page = context.new_page()
    page.messages, page.requests = [], []
    page.on("console", lambda message: page.messages.append(message.text))
    page.on("pageerror", lambda error: page.messages.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto((reproduced.folder / "metrics/report.html").as_uri())
    for name in CHARTS:
        page.wait_for_selector(f"#chart-{name} svg .mark-group, #chart-{name} svg path")
    yield page
    context.close()


@pytest.mark.parametrize(
    "opened",
    [
        {"viewport": {"width": 1400, "height": 900}},
        {"viewport": {"width": 1000, "height": 900}},
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    ],
    indirect=True,
    ids=["desktop", "tablet", "phone"],
)
def test_the_report_loads_offline_without_messages_and_fits_the_window(opened):
    assert opened.messages == []
    assert len(opened.requests) == 1
    assert opened.requests[0].startswith("file:")
    width, window = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= window
    for name in CHARTS:
        box = opened.locator(f"#chart-{name} svg").bounding_box()
        assert 0.15 * window < box["width"] <= window, name


@pytest.mark.parametrize("opened", [{"viewport": {"width": 1000, "height": 900}}], indirect=True)
def test_table_1_fits_1000_pixels_without_scrolling(opened):
    widths = "table => [table.parentElement.clientWidth, table.scrollWidth]"
    room, table = opened.locator("#table1-ua").evaluate(widths)

    assert table <= room


def test_every_cell_has_the_value_of_table1_json(opened, reproduced):
    nested = json.loads(reproduced.read("metrics/table1.json"))
    cells = opened.locator("td[data-system]").evaluate_all(
        "all => all.map(td => [td.dataset.system, td.dataset.condition, td.dataset.metric, td.textContent])"
    )

    shown = {(system, condition, metric): text for system, condition, metric, text in cells}
    assert len(shown) == len(cells) == len(nested) * 8 * 2
    for (system, condition, metric), text in shown.items():
        if condition in nested[system]:
            expected = f"{100 * nested[system][condition][metric]:.1f}"
            assert text.split("±")[0] == expected, (system, condition, metric)
        else:
            assert text == DASH


def test_the_switch_shows_wa_in_the_table_and_in_every_chart(opened, reproduced):
    """The numbers of a chart are in the descriptions of its points for screen readers."""
    nested = json.loads(reproduced.read("metrics/table1.json"))

    for metric in ("wa", "ua"):
        opened.locator(f'.switch input[value="{metric}"]').nth(2).check()
        opened.wait_for_timeout(500)

        assert opened.locator(f"#table1-{metric}").is_visible()
        assert not opened.locator(f"#table1-{'ua' if metric == 'wa' else 'wa'}").is_visible()
        labels = opened.locator("#chart-scores_vt svg .mark-symbol path[aria-label]").evaluate_all(
            "all => all.map(point => point.getAttribute('aria-label'))"
        )
        [label] = [text for text in labels if "system: IF-MMIN;" in text]
        expected = 100 * nested["if_mmin"]["vt"][metric]
        assert float(re.search(r"value: ([\d.]+)", label)[1]) == pytest.approx(expected, abs=0.05)


def test_a_click_on_a_system_shows_its_folds_and_seeds(opened, reproduced):
    scores = pd.read_csv(reproduced.folder / "metrics/scores.csv")
    runs = scores[(scores["system"] == "if_mmin") & (scores["condition"] == "average")]
    body = opened.locator("#table1-ua tbody.proposed")

    assert body.locator("tr.run").first.is_hidden()
    body.locator("button.open").click()

    shown = body.locator("tr.run td:nth-child(2)").all_text_contents()
    assert shown == [f"{100 * ua:.1f}" for ua in runs.sort_values(["fold", "seed"])["ua"]]
    assert body.locator("tr.run").first.is_visible()


def test_buttons_save_the_files_that_they_name(opened, reproduced):
    def saved(selector):
        with opened.expect_download() as download:
            opened.locator(selector).click()
        return download.value.suggested_filename, download.value.path().read_bytes()

    name, text = saved('button[data-table="table1"][data-kind="md"]')
    assert (name, text.decode()) == ("table1.md", reproduced.read("metrics/table1.md"))
    name, text = saved('button[data-table="table1"][data-kind="tex"]')
    assert (name, text.decode()) == ("table1.tex", reproduced.read("metrics/table1.tex"))
    name, text = saved('button[data-table="recalls"][data-kind="csv"]')
    expected = pd.read_csv(reproduced.folder / "metrics/recalls.csv")
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(text)), expected)
    name, image = saved('button[data-chart="scores_average"][data-kind="svg"]')
    assert (name, image[:4]) == ("scores_average.svg", b"<svg")
    assert b"IF-MMIN" in image
    name, image = saved('button[data-chart="fig3b"][data-kind="png"]')
    assert (name, image[:8]) == ("fig3b.png", b"\x89PNG\r\n\x1a\n")


CONTRAST = """
() => {
  const luminance = rgb => {
    const [r, g, b] = rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const behind = node => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour.slice(0, 3);
    }
    return null;
  };
  const worst = [];
  const texts = "h1, h2 a, h3, p, li, a, th, td, small, sup, button, label, summary, dt, dd";
  for (const node of document.querySelectorAll(texts)) {
    if (!node.textContent.trim() || !node.checkVisibility()) continue;
    const [front, back] = [parse(getComputedStyle(node).color).slice(0, 3), behind(node)].map(luminance);
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    worst.push([ratio, node.tagName, node.textContent.slice(0, 30)]);
  }
  return worst.sort((x, y) => x[0] - y[0]).slice(0, 3).concat([[worst.length]]);
}
"""


@pytest.mark.parametrize(
    "opened", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True, ids=["light", "dark"]
)
def test_all_text_has_a_contrast_of_at_least_4_5_to_1(opened):
    *worst, [n] = opened.evaluate(CONTRAST)

    assert n > 100
    assert worst[0][0] >= 4.5, worst


def test_the_report_warns_of_a_generated_corpus(opened):
    assert "It is no evidence that one system is better" in opened.locator("#synthetic").text_content()


def test_the_selectors_choose_which_confusion_matrix_is_shown(opened, reproduced):
    table = pd.read_csv(reproduced.folder / "metrics/confusion.csv")
    chart = opened.locator("#chart-confusion")

    for system, name, condition in (
        ("if_mmin", "IF-MMIN", "{v,t}"),
        ("late_fusion_floor", "Late fusion, zero-filled", "{a,v,t}"),
    ):
        chart.locator("select").nth(0).select_option(name)
        chart.locator("select").nth(1).select_option(condition)
        opened.wait_for_timeout(300)

        code = "".join(re.findall(r"\w", condition))
        rows = table[(table["system"] == system) & (table["condition"] == code)]
        shown = chart.locator("svg .mark-text text").all_text_contents()
        numbers = sorted(int(text[:-1]) for text in shown if text.endswith("%"))
        assert numbers == pytest.approx(sorted(100 * rows["share"]), abs=0.5 + 1e-9)


def test_the_report_names_the_settings(opened):
    facts = dict(
        zip(
            opened.locator("#facts dt").all_text_contents(),
            opened.locator("#facts dd").all_text_contents(),
            strict=True,
        )
    )

    assert facts["lambda2"] == "100.0"
    assert facts["folds"] == "1, 2"
    assert facts["device and precision"] == "cpu float32"
    assert "torch 2.13.0" in facts["pinned versions"]
    assert facts["preset (compared on the keys it sets)"].startswith("demonstration, except for ")


def test_a_figure_setting_reruns_only_draw_and_report(project):
    ran = project.stages_run("exp", "run", "-S", "figures.perplexity=31")

    assert ran == ["draw", "report"]
    assert "31" in project.read("metrics/report.html").split("figures.perplexity")[1][:60]
