"""Where the time of the main job goes, stage by stage: ``python -m benchmarks.profile_run``.

One run from nothing, as a process of its own. What a stage took stands beside its result in the
store; what is left of the process's time are imports, tables and pictures.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.results import machine, table, write_section
from benchmarks.test_startup_speed import usage
from camzoo.harness.store import read_made

#: Stages that are a network's passes and little else.
NETWORK = ("train", "maps", "steps", "segment")
#: Everything that a run imports before it reads its first file.
IMPORTS = "import camzoo.harness.run, camzoo.report.leaderboards, camzoo.report.gallery"
CLOCK = f"import time; t = time.process_time(); {IMPORTS}; print(time.process_time() - t)"


def main() -> None:
    """Profile a run of each data set that is named, and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="what the section calls the run")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="of `camzoo bench`, but for --out")
    parser.add_argument("--keep", type=Path, help="new folder that keeps the run; else none does")
    given = parser.parse_args()
    words = [word for word in given.words if word != "--"]
    with tempfile.TemporaryDirectory() as folder:
        out = given.keep or Path(folder)
        out.mkdir(parents=True, exist_ok=out == Path(folder))
        total, memory = usage(["bench", *words, "--out", str(out)])
        stages = seconds_by_stage(out / "store")
    if not stages:
        raise SystemExit(f"camzoo bench {' '.join(words)}: nothing was made")
    stages["imports"] = imports()
    stages["tables, pictures and all else"] = total - sum(stages.values())
    network = sum(stages[name] for name in NETWORK) / total
    rows = [
        {"stage": name, "CPU, s": f"{seconds:.1f}", "share, %": f"{100 * seconds / total:.1f}"}
        for name, seconds in stages.most_common()
    ]
    notes = (
        f"`camzoo bench {' '.join(map(_placeless, words))}` from nothing: {total:.0f} s of CPU "
        f"time, user and system, of all threads; {memory:.0f} MiB. Networks ({', '.join(NETWORK)}) "
        f"take {100 * network:.0f} % (target 60). One run: shares of stages that take seconds vary."
    )
    made_with = machine("camzoo", "torch", "timm", "numpy", "pandas")
    write_section(
        f"Profile of the main job: {given.name}", f"{notes}\n\n{table(rows)}\n\n{made_with}"
    )


def seconds_by_stage(store: Path) -> Counter[str]:
    """CPU seconds of all that was made, by stage."""
    seconds: Counter[str] = Counter()
    for file in store.glob("*/*/made.json"):
        made = read_made(file.parent)
        if made and made.cpu_seconds is not None:
            seconds[file.parent.parent.name] += made.cpu_seconds
    return seconds


def imports() -> float:
    """CPU seconds that imports take, least of three processes: disks and caches add to it."""
    return min(
        json.loads(subprocess.run([sys.executable, "-c", CLOCK], capture_output=True).stdout)
        for _ in range(3)
    )


def _placeless(word: str) -> str:
    """A word of the command line without folders of this machine."""
    return Path(word).name if "/" in word else word


if __name__ == "__main__":
    main()
