"""A report as a browser shows it, opened from disk. Skipped where there is no Chromium."""

from pathlib import Path

import pytest

from camzoo.cams.map_files import MapFiles
from camzoo.metrics.sweep import threshold_sweep
from camzoo.report.folder import write_report
from tests.report.hostile import FRAMED
from tests.report.html.chromium import chromium, needed
from tests.report.html.test_pages import data_of, small_run
from tests.report.test_segmentation_tables import maps
from tests.report.vision import contrast, rgb

pytestmark = needed


#: What has the focus, and its name for those who cannot see it.
FOCUSED = """() => {
  const one = document.activeElement;
  if (one === document.body) return [null, ""];
  const name = one.id || one.getAttribute("tabulator-field") || one.name || one.tagName;
  return [name, one.labels?.[0]?.textContent || one.ariaLabel || one.textContent];
}"""
#: Of every element that shows text itself: its words, their colour, and that of what is behind.
TEXTS = """() => [...document.body.querySelectorAll("*")].flatMap((one) => {
  const words = [...one.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data);
  const text = one.placeholder || words.join("").trim();
  if (!text || !one.getClientRects().length) return [];
  const clear = (place) => getComputedStyle(place).backgroundColor === "rgba(0, 0, 0, 0)";
  let ground = one;
  while (clear(ground)) ground = ground.parentElement;
  const { color } = getComputedStyle(one, one.placeholder ? "::placeholder" : null);
  return [[text, color, getComputedStyle(ground).backgroundColor]];
})"""
#: Whether an element begins in the window.
IN_SIGHT = (
    "(one) => one.getBoundingClientRect().top >= 0 && one.getBoundingClientRect().top < innerHeight"
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


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
    texts = page.evaluate(TEXTS)
    assert len(texts) > 100
    for words, text, ground in texts:
        assert contrast(rgb(text), rgb(ground)) >= 4.5, (words, text, ground)


def test_a_newcomer_finds_the_answers_on_the_first_screen_or_one_click_off(page, report, finished):
    """Which is best and is it sure, at which threshold; where it failed, and what it costs."""
    names = page.locator("#summary dt").all_inner_texts()
    told = dict(zip(names, page.locator("#summary dd").all_inner_texts(), strict=True))
    for name in ("best method", "is it sure?", "protocol"):
        line = page.locator("#summary dt", has_text=name).first
        assert line.evaluate(IN_SIGHT), name
    line = max(
        (line for line in data_of(report)["scores"] if line["protocol"] == "validated"
         and line["organ"] == "mean of organs" and "test" in line["what"]
         and line["region"] == "whole"),
        key=lambda line: float(line["DSC (%)"].split()[0]),
    )  # fmt: skip
    assert told["best method"].startswith(f"{line['method']}: DSC {line['DSC (%)']} %")
    assert f"for {line['method']} {line['threshold']}" in told["protocol"]
    for part, shown in {"failures": "reason", "costs": "time"}.items():
        page.locator(f'nav a[href="#{part}"]').click()
        heading = page.locator(f'#{part} .tabulator-col[tabulator-field="{shown}"]')
        page.wait_for_function(IN_SIGHT, arg=heading.element_handle())
        assert column(page, "method", f"{part.rstrip('s')}-table")


def test_folds_and_seeds_are_chosen_and_the_case_stays(open_page, crossed, tmp_path):
    report = write_report([crossed.folder], tmp_path / "out").parent
    entries = {(e["fold"], e["seed"], e["case"]): e for e in data_of(report)["cases"]}
    page = open_page(report, viewport={"width": 1280, "height": 900})

    def shown(fold, seed, case):
        page.wait_for_selector(f'#viewer[data-shown="{entries[fold, seed, case]["file"]}"]')
        rows = crossed.rows[
            (crossed.rows["fold"] == fold) & (crossed.rows["seed"] == seed)
            & (crossed.rows["case"] == case) & (crossed.rows["protocol"] == "validated")
            & (crossed.rows["region"] == "whole") & (crossed.rows["subset"] == "test")
        ].set_index("method")  # fmt: skip
        scores = page.locator(".score[data-dsc]").evaluate_all(
            "all => all.map((one) => Number(one.dataset.dsc))"
        )
        assert scores == pytest.approx(list(rows.loc[["cam", "centre"], "dsc"]), abs=1e-3)

    cells = [f"fold {fold}, seed {seed}" for fold in (0, 1) for seed in (0, 1)]
    assert page.locator("#cell option").all_inner_texts() == cells
    first = [case for fold, seed, case in entries if (fold, seed) == (0, 0)]
    shown(0, 0, first[0])
    page.select_option("#case", index=1)
    shown(0, 0, first[1])
    page.locator("#slice").fill("3")
    page.select_option("#cell", "fold 0, seed 1")
    shown(0, 1, first[1])
    assert page.locator("#slice").input_value() == "3"
    page.select_option("#cell", "fold 1, seed 1")
    shown(1, 1, next(case for fold, seed, case in entries if (fold, seed) == (1, 1)))


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
