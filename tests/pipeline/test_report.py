"""The report in a browser, opened from disk without a network."""

import json
import re
import shutil

import pandas as pd
import pytest
from playwright.sync_api import sync_playwright

pytestmark = pytest.mark.slow

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DASH = "\N{EN DASH}"
CHARTS = ("bars", "paper", "confusion", "curves", "fig3a", "fig3b", "runs")


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
        {"viewport": {"width": 1280, "height": 900}},
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    ],
    indirect=True,
    ids=["desktop", "phone"],
)
def test_the_report_loads_offline_without_messages_and_fits_the_window(opened):
    assert opened.messages == []
    assert len(opened.requests) == 1
    assert opened.requests[0].startswith("file:")
    width, window = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= window
    for name in CHARTS:
        box = opened.locator(f"#chart-{name} svg").bounding_box()
        assert 0.8 * (window - 80) < box["width"] <= window, name


def test_every_cell_has_the_value_of_table1_json(opened, reproduced):
    nested = json.loads(reproduced.read("metrics/table1.json"))
    cells = opened.locator("td[data-system]").evaluate_all(
        "all => all.map(td => [td.dataset.system, td.dataset.condition, td.dataset.metric, td.textContent])"
    )

    shown = {(system, condition, metric): text for system, condition, metric, text in cells}
    assert len(shown) == len(cells) == len(nested) * 8 * 2
    for (system, condition, metric), text in shown.items():
        if condition in nested[system]:
            expected = f"{nested[system][condition][metric]:.4f}"
            assert re.match(r"\d\.\d{4}", text)[0] == expected, (system, condition, metric)
        else:
            assert text == DASH


def test_the_report_warns_of_a_generated_corpus(opened):
    assert "It is no evidence that one system is better" in opened.locator("#synthetic").text_content()


def test_the_selectors_choose_which_confusion_matrix_is_shown(opened, reproduced):
    table = pd.read_csv(reproduced.folder / "metrics/confusion.csv")
    chart = opened.locator("#chart-confusion")

    for system, condition in (("if_mmin", "{v,t}"), ("late_fusion_floor", "{a,v,t}")):
        chart.locator("select").nth(0).select_option(system)
        chart.locator("select").nth(1).select_option(condition)
        opened.wait_for_timeout(300)

        code = "".join(re.findall(r"\w", condition))
        rows = table[(table["system"] == system) & (table["condition"] == code)]
        shown = chart.locator("svg .mark-text text").all_text_contents()
        numbers = sorted(int(text[:-1]) for text in shown if text.endswith("%"))
        assert numbers == pytest.approx(sorted(100 * rows["share"]), abs=0.5 + 1e-9)


def test_the_selector_of_the_bars_chooses_the_metric(opened, reproduced):
    """The number is in the description of the bar for screen readers."""
    nested = json.loads(reproduced.read("metrics/table1.json"))
    chart = opened.locator("#chart-bars")

    for metric in ("WA", "UA"):
        chart.locator("select").select_option(metric)
        opened.wait_for_timeout(300)

        bars = chart.locator("svg .mark-rect path[aria-label]").evaluate_all(
            "all => all.map(bar => bar.getAttribute('aria-label'))"
        )
        expected = nested["if_mmin"]["vt"][metric.lower()]
        [label] = [bar for bar in bars if "system: if_mmin;" in bar and "condition: {v,t};" in bar]
        assert f"metric: {metric}" in label
        assert float(re.search(r"mean: ([\d.]+)", label)[1]) == pytest.approx(expected, abs=5e-5)
        assert len(bars) == sum(len(cells) for cells in nested.values())


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
    assert "torch 2.13.0" in facts["versions"]
    assert facts["preset (compared on the keys it sets)"].startswith("demonstration, except for ")


def test_a_figure_setting_reruns_only_draw_and_report(project):
    ran = project.stages_run("exp", "run", "-S", "figures.perplexity=31")

    assert ran == ["draw", "report"]
    assert "31" in project.read("metrics/report.html").split("figures.perplexity")[1][:60]
