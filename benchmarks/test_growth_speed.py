"""How time and memory grow with cases and with methods, as whole processes from nothing."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.balls import SPACING, distance, save
from benchmarks.profile_run import imports, seconds_by_stage
from benchmarks.results import machine, table, write_section
from benchmarks.test_startup_speed import usage
from camzoo.registries import cams

PATIENTS = (10, 20, 40, 80)
#: How much more time eight times the patients may take for each, and how much more memory in all.
TIME, MEMORY = 1.05, 1.1
#: First so many methods by name, of those that do not ask the network hundreds of times a slice.
METHODS = (5, 20)
DEAR = {"score-cam", "opti-cam"}
BENCH = [
    "bench", "--dataset", "phantom", "--preset", "smoke", "--device", "cpu", "--quiet",
    "--set", "training.epochs=1", "--set", "maps.scales=[1.0]", "--set", "threads=1",
]  # fmt: skip
SCORED = ((5, 20), (5, 100), (50, 20), (50, 100))
GRID = (12, 96, 80)
MADE_WITH = ("camzoo", "torch", "numpy", "pandas")


@pytest.fixture(scope="module")
def start():
    """CPU seconds that imports take, which no number of cases changes."""
    return imports()


def test_cases(tmp_path, start, benchmark):
    """Time beyond the start is in proportion to the patients, and memory does not grow."""
    rows, each, peak = [], {}, {}
    for patients in PATIENTS:
        out = tmp_path / str(patients)
        words = [*BENCH, "--methods", "cam,eigen-cam", "--option", f"patients={patients}"]
        seconds, peak[patients] = usage([*words, "--out", str(out)])
        each[patients] = (seconds - start) / patients
        rows.append(
            {
                "patients": patients,
                "CPU, s": f"{seconds:.1f}",
                "beyond imports, s a patient": f"{each[patients]:.3f}",
                "memory, MiB": f"{peak[patients]:.0f}",
            }
        )
    least, most = PATIENTS[0], PATIENTS[-1]
    time, memory = each[most] / each[least], peak[most] / peak[least]
    notes = (
        "`camzoo bench` on so many phantoms, preset smoke with one epoch and one scale, methods "
        f"cam and eigen-cam, pages and pictures included; {start:.1f} s of each are imports. For "
        f"{most // least} times the patients a patient takes {time:.2f} times the time (target "
        f"{TIME:g}), and the process {memory:.2f} times the memory (target {MEMORY:g})."
    )
    write_section("Growth with cases", f"{notes}\n\n{table(rows)}\n\n{machine(*MADE_WITH)}")
    assert time <= TIME
    assert memory <= MEMORY
    benchmark.pedantic(usage, args=(["--version"],), rounds=1)


def test_methods(tmp_path, start, benchmark):
    """What is done for a method beside its maps costs the same for each, however many there are."""
    names = [name for name in cams.names() if ":" not in name and name not in DEAR]
    rows, rest = [], {}
    for count in (*METHODS, len(names)):
        out = tmp_path / str(count)
        seconds, memory = usage([*BENCH, "--methods", ",".join(names[:count]), "--out", str(out)])
        stages = seconds_by_stage(out / "store")
        shared = start + sum(stages[stage] for stage in ("prepare", "train"))
        rest[count] = (seconds - shared - stages["maps"]) / count
        rows.append(
            {
                "methods": count,
                "CPU, s": f"{seconds:.1f}",
                "imports, slices, classifier, s": f"{shared:.1f}",
                "maps, s": f"{stages['maps']:.1f}",
                "all else, s a method": f"{rest[count]:.2f}",
                "memory, MiB": f"{memory:.0f}",
            }
        )
    notes = (
        "`camzoo bench` on the default phantoms with the first so many methods by name, the last "
        f"line with all but {' and '.join(sorted(DEAR))} and those of other libraries; otherwise "
        "as above. What maps take is the methods' own. *All else* are sweep, distances, tables and "
        "pictures."
    )
    write_section("Growth with methods", f"{notes}\n\n{table(rows)}\n\n{machine(*MADE_WITH)}")
    assert rest[len(names)] <= TIME * rest[METHODS[0]]
    benchmark.pedantic(usage, args=(["--version"],), rounds=1)


def test_score(tmp_path, benchmark):
    """So does scoring of masks that others made."""
    rows, each, peak = [], {}, {}
    masks(tmp_path, *SCORED[-1])
    for methods, cases in SCORED:
        given = tmp_path / f"{methods}-{cases}"
        links(tmp_path, given, methods, cases)
        seconds, peak[methods, cases] = usage(
            ["score", "--preds", str(given / "preds"), "--masks", str(given / "labels"),
             "--spacing", "z={},y={},x={}".format(*SPACING), "--quiet",
             "--out", str(given / "scores")]
        )  # fmt: skip
        each[methods, cases] = seconds / methods / cases
        rows.append(
            {
                "methods": methods,
                "cases": cases,
                "CPU, s": f"{seconds:.1f}",
                "ms a mask": f"{1000 * each[methods, cases]:.1f}",
                "memory, MiB": f"{peak[methods, cases]:.0f}",
            }
        )
    notes = (
        "`camzoo score --preds`, a mask of "
        f"{' x '.join(map(str, GRID))} voxels with one organ for each method and case, all "
        "metrics, tables and tests of every pair included, and imports."
    )
    write_section("Growth of scoring", f"{notes}\n\n{table(rows)}\n\n{machine(*MADE_WITH)}")
    assert each[SCORED[-1]] <= TIME * each[SCORED[0]]
    assert peak[SCORED[-1]] <= 2 * peak[SCORED[0]]
    benchmark.pedantic(usage, args=(["--version"],), rounds=1)


def masks(folder, methods, cases):
    """Write balls as references, and the same moved and of another size as what methods found."""
    rng = np.random.default_rng(0)
    for part in ("labels", *(f"preds/method-{number:02}" for number in range(methods))):
        for case in range(cases):
            ball = distance(rng, GRID) < rng.uniform(11, 14)
            save(folder / part / f"case-{case:03}.npy", ball)


def links(folder, given, methods, cases):
    """The first so many methods and cases."""
    for part in ("labels", *(f"preds/method-{number:02}" for number in range(methods))):
        (given / part).mkdir(parents=True)
        for case in range(cases):
            name = f"case-{case:03}.npy"
            (given / part / name).symlink_to(folder / part / name)
