"""What the ranks of many methods take, with their intervals."""

import json
import subprocess
import sys

from benchmarks.results import machine, table, write_section

#: Methods, cases, patients, replicates.
SIZES = ((20, 200, 100, 2000), (200, 200, 100, 2000), (200, 1000, 1000, 1000))
#: CPU seconds and MiB that the largest may take.
MOST = 20.0, 1024.0
SCRIPT = """
import json, sys, time
import numpy as np
from camzoo.metrics.ranks import Units, rank_methods
methods, cases, patients, replicates = json.loads(sys.argv[1])
scores = np.random.default_rng(0).normal(size=(cases, methods))
began = time.process_time()
rank_methods(scores, Units.of(np.arange(cases) % patients), replicates=replicates)
took = time.process_time() - began
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([took, int(status["VmHWM"].split()[0]) / 1024]))
"""


def spent(size):
    """CPU seconds of the ranking, and MiB of its process."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(size)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_ranks_of_many_methods(benchmark):
    found = {size: spent(size) for size in SIZES}
    rows = [
        dict(zip(("methods", "cases", "patients", "replicates"), size, strict=True))
        | {"CPU, s": f"{seconds:.1f}", "memory, MiB": f"{memory:.0f}"}
        for size, (seconds, memory) in found.items()
    ]
    notes = (
        "Rank intervals of one metric, over all pairs of methods (`camzoo.metrics.ranks`), in a "
        f"process of its own. Target for the largest: {MOST[0]:g} s and {MOST[1]:g} MiB."
    )
    made_with = machine("camzoo", "numpy")
    write_section("Ranks of many methods", f"{notes}\n\n{table(rows)}\n\n{made_with}")
    assert all(took <= most for took, most in zip(found[SIZES[-1]], MOST, strict=True))
    benchmark.pedantic(spent, args=(SIZES[0],), rounds=1)
