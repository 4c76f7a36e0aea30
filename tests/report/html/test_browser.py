"""A report as a browser shows it, opened from disk. Skipped where there is no Chromium."""

import os
import shutil
from pathlib import Path

import pytest

from camzoo.cams.map_files import MapFiles
from camzoo.metrics.sweep import threshold_sweep
from camzoo.report.folder import write_report
from tests.report.hostile import FRAMED
from tests.report.html.test_pages import data_of, small_run
from tests.report.test_segmentation_tables import maps

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

_CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(_CHROMIUM is None, reason="there is no chromium on this machine")


#: What has the focus, and its name for those who cannot see it.
FOCUSED = """() => {
  const one = document.activeElement;
  if (one === document.body) return [null, ""];
  const name = one.id || one.getAttribute("tabulator-field") || one.name || one.tagName;
  return [name, one.labels?.[0]?.textContent || one.ariaLabel || one.textContent];
}"""
PLACES = ["h2", ".ten dt", ".note", "nav a", ".tabulator-cell", ".tabulator-col"]
#: Colours of the text in some places, and of what it stands on.
COLOURS = """(places) => places.map((what) => {
  const one = document.querySelector(what);
  const clear = (place) => getComputedStyle(place).backgroundColor === "rgba(0, 0, 0, 0)";
  let ground = one;
  while (clear(ground)) ground = ground.parentElement;
  return [what, getComputedStyle(one).color, getComputedStyle(ground).backgroundColor];
})"""


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # As root, Chromium runs without its sandbox or not at all.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = started.chromium.launch(executable_path=_CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser):
    """Open a report; fails at the end where the page complained or asked for what is no file."""
    complaints, pages, asked = [], [], []

    def open_it(folder: Path, **options):
        page = browser.new_page(**options)
        pages.append(page)
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: r.url.startswith(("file:", "data:")) or complaints.append(r.url)
        )
        page.goto((folder / "index.html").as_uri())
        return page

    yield open_it
    for page in pages:
        page.close()
    assert complaints == []
    assert {url.partition(":")[0] for url in asked} <= {"file", "data"}


@pytest.fixture
def page(open_page, report):
    opened = open_page(report, viewport={"width": 1280, "height": 900})
    opened.wait_for_selector("#viewer[data-shown]")
    return opened


def column(page, field, table="score-table"):
    """Cells of a column from top to bottom."""
    cells = page.locator(f'#{table} .tabulator-row .tabulator-cell[tabulator-field="{field}"]')
    return cells.all_inner_texts()


def numbers(texts):
    return [float(text.split()[0]) for text in texts]


def test_tables_sort_by_mouse_and_by_keyboard(page):
    scores = numbers(column(page, "DSC (%)"))
    assert len(scores) >= 2
    assert scores == sorted(scores, reverse=True)
    heading = page.locator('#score-table .tabulator-col[tabulator-field="DSC (%)"]')
    heading.click()
    assert numbers(column(page, "DSC (%)")) == sorted(scores)
    heading.press("Enter")
    assert numbers(column(page, "DSC (%)")) == sorted(scores, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    page.locator('#score-table .tabulator-col[tabulator-field="method"]').press("Enter")
    names = column(page, "method")
    assert names == sorted(names, key=str.lower)


def test_tables_filter(page):
    everything = len(column(page, "method"))
    page.fill("#score-filter", "CENTRE")
    page.wait_for_function("document.querySelector('#score-count').textContent.startsWith('1 ')")
    assert column(page, "method") == ["centre"]
    page.fill("#score-filter", "")
    page.wait_for_function(
        f"document.querySelector('#score-count').textContent.startsWith('{everything} ')"
    )


def test_protocols_are_switches(page, report):
    lines = [
        line for line in data_of(report)["scores"]
        if line["protocol"] == "oracle" and line["organ"] == "mean of organs"
        and "test" in line["what"] and line["region"] == "whole"
    ]  # fmt: skip
    page.check('input[name="score-protocol"][value="oracle"]')
    expected = sorted((line["DSC (%)"] for line in lines), key=lambda t: -float(t.split()[0]))
    page.wait_for_function(
        "text => document.querySelector('#score-table').textContent.includes(text)",
        arg=expected[0],
    )
    assert column(page, "DSC (%)") == expected


def test_the_slider_shows_the_dsc_that_python_counts(page, report, finished):
    """At five thresholds of three cases, for every method and organ."""
    entries = data_of(report)["cases"][:3]
    assert len(entries) == 3
    masks = finished.prepared.vault.for_evaluation()
    for index, entry in enumerate(entries):
        page.select_option("#case", str(index))
        page.wait_for_selector(f'#viewer[data-shown="{entry["file"]}"]')
        levels = data_of(report, entry["file"])["levels"]
        info, label = finished.prepared.cases[entry["case"]], masks.label(entry["case"])
        tried = [round(len(levels) * share) for share in (0.1, 0.3, 0.5, 0.7, 0.9)]
        counted = {
            name: threshold_sweep(
                MapFiles.open(folder).volume(info).numpy(), label, [levels[k] for k in tried]
            ).dsc
            for name, folder in finished.maps.items()
        }
        for organ in range(len(entry["organs"])):
            page.select_option("#organ", str(organ + 1))
            for place, k in enumerate(tried):
                page.locator("#threshold").fill(str(k))
                page.wait_for_function(
                    "k => Number(document.querySelector('[data-dsc]').dataset.threshold) === k",
                    arg=levels[k],
                )
                shown = page.locator(".score[data-dsc]").evaluate_all(
                    "all => all.map((one) => Number(one.dataset.dsc))"
                )
                expected = [dsc[organ, place] for dsc in counted.values()]
                assert shown == pytest.approx(expected, abs=1e-3)


def test_moving_the_threshold_redraws_the_mask(page):
    canvas = page.locator("#pictures canvas").nth(1)
    page.uncheck("#show-map")
    page.locator("#threshold").fill("5")
    page.wait_for_timeout(200)
    before = canvas.evaluate("one => one.toDataURL()")
    page.locator("#threshold").fill("80")
    page.wait_for_timeout(200)
    assert canvas.evaluate("one => one.toDataURL()") != before


def test_the_viewer_is_worked_by_wheel_and_keys(page):
    at = lambda name: int(page.locator(f"#{name}").input_value())  # noqa: E731
    pictures = page.locator("#pictures")
    pictures.focus()
    z, k = at("slice"), at("threshold")
    page.keyboard.press("ArrowDown")
    assert at("slice") == z + 1
    page.keyboard.press("ArrowUp")
    assert at("slice") == z
    page.keyboard.press("ArrowRight")
    assert at("threshold") == k + 1
    assert page.locator('input[name="viewer-protocol"][value="slider"]').is_checked()
    page.locator("#pictures canvas").first.hover()
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"document.querySelector('#slice').value === '{z - 1}'")


def test_every_control_is_reached_by_keyboard_and_has_a_name(page):
    reached, nameless = set(), []
    for _ in range(200):
        page.keyboard.press("Tab")
        name, text = page.evaluate(FOCUSED)
        if name is None:
            break
        reached.add(name)
        if not text.strip():
            nameless.append(name)
    wanted = {"score-what", "score-protocol", "score-filter", "DSC (%)", "case", "organ", "slice",
              "threshold", "viewer-protocol", "show-map", "pictures"}  # fmt: skip
    assert wanted <= reached
    assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window_and_text_has_contrast(open_page, report, width, scheme):
    page = open_page(report, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.wait_for_selector("#viewer[data-shown]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    colours = page.evaluate(COLOURS, PLACES)
    for what, text, ground in colours:
        assert contrast(text, ground) >= 4.5, (what, text, ground)


def contrast(one, other):
    """Of two colours, as WCAG 2 defines it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_as_the_standard_has_it():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["script", "closing", "long", "right to left", "formula of TeX"])
def test_hostile_names_stay_text_in_the_browser(open_page, tmp_path, name):
    hostile = FRAMED[name]
    rows = [row | {"organ": hostile, "method": hostile} for row in maps()]
    run = small_run(tmp_path / "run", rows, failures={hostile: hostile})
    report = write_report([run], tmp_path / "out").parent
    page = open_page(report, viewport={"width": 390, "height": 844})
    page.wait_for_selector("#score-table .tabulator-row")
    assert page.locator("main img").count() == 0
    assert page.locator("main script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    line = data_of(report)["scores"][0]
    assert line["method"] in [text.strip() for text in column(page, "method")]
