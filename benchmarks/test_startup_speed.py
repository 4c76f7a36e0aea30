"""What the command line takes to answer in words: CPU time and memory of whole processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.results import machine, table, write_section

ROUNDS = 5
#: What users wait for, in CPU seconds.
AT_ONCE, SOON = 1.0, 5.0
BENCH = ["bench", "--dataset", "phantom"]
COMMANDS = {
    "camzoo --version": (["--version"], AT_ONCE),
    "camzoo --help": (["--help"], AT_ONCE),
    "camzoo layers --help": (["layers", "--help"], AT_ONCE),
    "camzoo list": (["list"], AT_ONCE),
    "camzoo list --all": (["list", "--all"], AT_ONCE),
    "camzoo list baselines": (["list", "baselines"], AT_ONCE),
    "camzoo list datasets": (["list", "datasets"], AT_ONCE),
    "camzoo list lpcam": (["list", "lpcam"], AT_ONCE),
    "bench, misspelt method": ([*BENCH, "--methods", "gradcam"], AT_ONCE),
    "bench, misspelt setting": ([*BENCH, "--set", "training.epoch=3"], AT_ONCE),
    "bench, misspelt option": ([*BENCH, "--option", "patient=3"], AT_ONCE),
    "bench, misspelt data set": (["bench", "--dataset", "phantim"], AT_ONCE),
    "bench, misspelt baseline": ([*BENCH, "--baselines", "supervise"], AT_ONCE),
    "bench, misspelt preset": ([*BENCH, "--preset", "smok"], AT_ONCE),
    "bench, misspelt backbone": ([*BENCH, "--backbone", "resnet81"], AT_ONCE),
    "layers, misspelt model": (["layers", "resnet81"], AT_ONCE),
    "data check, misspelt data set": (["data", "check", "chaoss"], AT_ONCE),
    "camzoo doctor": (["doctor"], SOON),
}
#: Runs a command, and prints what it took: a process of its own, so that it is the only child.
METER = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def usage(words):
    """CPU seconds, user and system, and most memory in MiB of a command as a whole process."""
    program = [str(Path(sys.executable).parent / "camzoo"), *words]
    done = subprocess.run(
        [sys.executable, "-c", METER, *program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_answers_in_words(benchmark):
    rows = []
    for name, (words, most) in COMMANDS.items():
        seconds, memory = np.array([usage(words) for _ in range(ROUNDS)]).T
        middle = np.median(seconds)
        low, high = np.percentile(seconds, [25, 75])
        rows.append(
            {
                "what": name,
                "CPU, s": f"{middle:.2f} ({low:.2f} to {high:.2f})",
                "memory, MiB": f"{np.median(memory):.0f}",
                "at most, s": f"{most:g}",
                "holds": "yes" if middle < most else "no",
            }
        )
    notes = (
        "Whole processes, user and system time and largest resident memory, median (quartiles) of "
        f"{ROUNDS}. Names, papers and settings are read from sources (`camzoo.core.outline`), so "
        "that torch and timm are not imported for them; doctor does import torch."
    )
    made_with = machine("camzoo", "torch", "timm", "typer")
    write_section("Start", f"{notes}\n\n{table(rows)}\n\n{made_with}")
    assert [row["what"] for row in rows if row["holds"] == "no"] == []
    benchmark.pedantic(usage, args=(["--version"],), rounds=1)
