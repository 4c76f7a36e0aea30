"""What methods took, beside what they reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from camzoo.core.text import plain
from camzoo.evaluate.rows import SEGMENTATION
from camzoo.metrics.subregions import WHOLE
from camzoo.report.records import Record
from camzoo.report.segmentation import cost_table
from camzoo.report.table_cells import NONE, spread, summaries, title
from camzoo.report.tables import HEADLINE
from camzoo.report.told_apart import told_apart


def cost_lines(record: Record, maps: Mapping[str, Path]) -> list[dict[str, str]]:
    """Time and memory of each method and baseline of a run, and its DSC on test volumes.

    Args:
        record: The run.
        maps: Folders of the store with the maps of the first fold and seed, by line.
    """
    scores, dsc = _scores(record), title("dsc")
    return [
        {"run": record.run, dsc: scores.get(line["method"], NONE)}
        | {name: plain(text) for name, text in line.items()}
        for line in [*_of_maps(maps), *_of_baselines(record)]
    ]


def _of_maps(maps: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    if not maps:
        return

    from camzoo.harness.store import read_made  # with torch, for which records alone have no need

    for name, folder in maps.items():
        if made := read_made(folder):
            memory = f"{made.memory_mib:.0f}" if made.memory_mib else NONE
            took = {"time": f"{made.seconds:.1f} s", "memory (MiB)": memory}
            yield {"method": name, "what": "maps of all slices"} | took


def _of_baselines(record: Record) -> Iterator[dict[str, str]]:
    for line in cost_table(record.costs).to_dict("records") if record.costs else ():
        took = {"time": line["training"], "memory (MiB)": line["memory (MiB)"]}
        yield {"method": line["method"], "what": "baseline, training"} | took


def _scores(record: Record) -> dict[str, str]:
    """Mean DSC of test volumes, by line and by every name of a line that several share."""
    rows = told_apart(record)
    rows = rows[(rows["subset"] == "test") & (rows["region"] == WHOLE)]
    rows = rows[(rows["protocol"] == HEADLINE.value) | (rows["stage"] == SEGMENTATION)]
    return {
        name: spread(numbers["dsc"], 100)
        for line, numbers in summaries(rows, ["dsc"])
        for name in (line["method"], *line["method"].split(" = "))
    }
