"""How soon reports are there in a browser and answer: headless Chromium, opened from disk."""

from benchmarks.results import machine, table, write_section
from benchmarks.test_leaderboard_speed import CASES
from benchmarks.test_startup_speed import usage
from tests.report.html.chromium import chromium, needed
from tests.report.large_record import large_record

pytestmark = needed
METHODS = 200
#: Most MiB and seconds to the first paint of what ``make bench`` leaves.
SMALL, PAINTED = 5.0, 1.0
#: Seconds within which a page still feels as if it answered at once (Nielsen, 1993).
ANSWERED = 1.0
#: Seconds from the start of the navigation to the first paint, and to all of the tables.
OPENED = """async () => {
  const last = document.querySelector("#failure-count");
  while (!last.textContent) await new Promise(requestAnimationFrame);
  const ready = performance.now();
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return [paint.startTime / 1000, ready / 1000];
}"""
#: Seconds from an input to the picture in which a part of the page says something else.
ANSWER = """async ([act, watched]) => {
  const now = () => document.querySelector(watched).textContent;
  const [before, start] = [now(), performance.now()];
  if (act.value === undefined) document.querySelector(act.at).click();
  else {
    document.querySelector(act.at).value = act.value;
    document.querySelector(act.at).dispatchEvent(new Event(act.event));
  }
  while (now() === before) await new Promise(requestAnimationFrame);
  await new Promise(requestAnimationFrame);
  return (performance.now() - start) / 1000;
}"""
#: Its threshold is that of no other, so that the table says something else in any run.
PROTOCOL = {"at": 'input[name="score-protocol"][value="fixed"]'}
FILTER = {"at": "#score-filter", "event": "input"}


def test_reports_in_a_browser(tmp_path, benchmark):
    reports = {
        "`make bench`": (_phantom(tmp_path), "grad"),
        f"{METHODS} methods x {CASES} cases": (_large(tmp_path), "method-19"),
    }
    rows = []
    with chromium() as browser:
        for name, (folder, sought) in reports.items():
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto((folder / "index.html").as_uri())
            painted, ready = page.evaluate(OPENED)
            took = {
                "first paint": painted,
                "all tables": ready,
                "other protocol": page.evaluate(ANSWER, [PROTOCOL, ".tabulator-table"]),
                "filter": page.evaluate(ANSWER, [FILTER | {"value": sought}, "#score-count"]),
            }
            size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 2**20
            assert max(took["other protocol"], took["filter"]) <= ANSWERED, took
            rows.append({"report": name, "MiB": size} | took)
    assert rows[0]["MiB"] <= SMALL
    assert rows[0]["first paint"] <= PAINTED
    cells = [{k: v if k == "report" else f"{v:.2f}" for k, v in row.items()} for row in rows]
    notes = (
        "Opened from disk in headless Chromium at 1280 x 900; seconds of wall time. *all tables*: "
        "until the last table stands. *other protocol*, *filter*: from the click or the letter to "
        f"the picture of the new table. Targets: {SMALL:g} MiB and {PAINTED:g} s to the first "
        f"paint of what `make bench` leaves, {ANSWERED:g} s for an answer."
    )
    made_with = machine("camzoo", "playwright")
    write_section("Reports in a browser", f"{notes}\n\n{table(cells)}\n\n{made_with}")
    benchmark.pedantic(usage, args=(["--version"],), rounds=1)


def _phantom(folder):
    report, runs = folder / "phantom", folder / "runs"
    words = ["bench", "--dataset", "phantom", "--preset", "smoke", "--methods"]
    usage([*words, "cam,grad-cam++,centre", "--out", str(runs), "--report", str(report)])
    return report


def _large(folder):
    run, report = folder / "many", folder / "large"
    large_record(run, METHODS, CASES)
    usage(["report", "--quiet", str(run), "--out", str(report)])
    return report
