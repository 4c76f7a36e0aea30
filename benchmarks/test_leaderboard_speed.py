"""What pages of many methods on a thousand cases take, as whole processes, imports included."""

import shutil

from benchmarks.results import machine, table, write_section
from benchmarks.test_startup_speed import usage
from tests.report.large_record import large_record

CASES = 1000
#: CPU seconds and MiB that a page of 200 methods may take.
MOST = 20.0, 1024.0
#: The same before methods were summed up at once and text was read as categories.
BEFORE = {20: (10.4, 1160), 60: (31.7, 1600), 200: (186.1, 3018)}


def test_pages_of_many_methods(tmp_path, benchmark):
    rows, spent, html = [], {}, {}
    for methods, (seconds, memory) in BEFORE.items():
        out = tmp_path / str(methods)
        (out / "records").mkdir(parents=True)
        large_record(out / "records" / "many", methods, CASES)
        spent[methods] = usage(["leaderboard", "--quiet", "--out", str(out)])
        run = out / "records" / "many"
        html[methods] = usage(["report", "--quiet", str(run), "--out", str(out / "report")])
        rows.append(
            {
                "methods": methods,
                "CPU, s": f"{spent[methods][0]:.1f}",
                "memory, MiB": f"{spent[methods][1]:.0f}",
                "CPU before, s": f"{seconds:.1f}",
                "memory before, MiB": memory,
                "report: CPU, s": f"{html[methods][0]:.1f}",
                "report: memory, MiB": f"{html[methods][1]:.0f}",
            }
        )
        shutil.rmtree(out)
    notes = (
        f"`camzoo leaderboard` on one record of so many methods x {CASES} cases x 19 thresholds, "
        "four protocols, 100 test patients with two cases each: a whole process, user and system "
        f"time and largest resident memory. Target for 200 methods: {MOST[0]:g} s and {MOST[1]:g} "
        "MiB. *before*: at 37fa2a1, on the same records and an Intel Xeon; the pages were the same "
        "byte for byte then. *report*: `camzoo report` on the same record."
    )
    made_with = machine("camzoo", "numpy", "pandas", "pyarrow")
    write_section("Leaderboards of many methods", f"{notes}\n\n{table(rows)}\n\n{made_with}")
    for taken in (spent[200], html[200]):
        assert all(took <= most for took, most in zip(taken, MOST, strict=True))
    benchmark.pedantic(usage, args=(["--version"],), rounds=1)
