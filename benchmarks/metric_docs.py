"""Writes the tables on metrics, protocols and statistics: ``python -m benchmarks.metric_docs``."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from benchmarks import masks, peers
from benchmarks.results import filled
from benchmarks.simulations import coverage, false_alarms, rank_coverage
from camzoo.core.protocol import Protocol
from camzoo.metrics.definitions import metrics_table
from camzoo.metrics.ladder import RUNGS
from camzoo.metrics.threshold_rules.registry import rules

DOCS = Path(__file__).parent.parent / "docs"

_RUNS = 2000
#: Distribution, name there -> what it computes, camzoo's name for that, camzoo's name that reads
#: the same.
SAME_NAME = {
    ("medpy", "ASD"): ("directed, prediction to reference", "MAD", "ASD"),
    ("medpy", "ASSD"): ("both directions pooled", "ASD", "ASSD"),
    ("medpy", "HD"): ("largest of both directions", "HD", "HD"),
    ("medpy", "HD95"): ("percentile of both directions pooled", "HD95", "HD95"),
    ("monai", "ASD"): ("directed, prediction to reference (its default)", "MAD", "ASD"),
    ("monai", "ASD, symmetric"): ("both directions pooled", "ASD", "ASD"),
    ("monai", "HD"): ("largest of both directions", "HD", "HD"),
    ("monai", "HD95"): ("larger of the two directed percentiles", "none", "HD95"),
    ("surface-distance-based-measures", "ASD, prediction to reference"): (
        "directed, points on voxel corners weighted by surface area",
        "none",
        "MAD",
    ),
    ("surface-distance-based-measures", "ASD, reference to prediction"): (
        "the other direction of the same",
        "none",
        "MAD reverse",
    ),
    ("surface-distance-based-measures", "HD"): ("largest, points on voxel corners", "none", "HD"),
    ("surface-distance-based-measures", "HD95"): (
        "larger of the two directed percentiles, by surface area",
        "none",
        "HD95",
    ),
    ("surface-distance-based-measures", "surface DSC"): (
        "share of surface area within 2 mm",
        "none",
        "NSD",
    ),
    ("panoptica", "ASSD"): ("mean of the two directed means", "ASSD", "ASSD"),
    ("panoptica", "HD"): ("largest of both directions", "HD", "HD"),
    ("panoptica", "HD95"): ("percentile of both directions pooled", "HD95", "HD95"),
    ("panoptica", "NSD"): ("mean of the two shares within 2 mm", "none", "NSD"),
}


def tool_rows():
    """Return a row per metric of each tool that is installed, measured on one pair of masks."""
    case = masks.predictions(50)[5], masks.organ(), masks.SPACING
    ours = peers.camzoo(*case)
    rows = []
    for name, tool in peers.installed().items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = tool(*case)
        for metric, value in theirs.items():
            computes, same, namesake = SAME_NAME[name.split()[0], metric]
            rows.append(
                {
                    "tool": name,
                    "name there": metric,
                    "what it computes": computes,
                    "in camzoo": same,
                    "value there": f"{value:.3f}",
                    "camzoo's value of the same name": f"{namesake} {ours[namesake]:.3f}",
                    "difference": f"{round(value - ours[namesake], 3) + 0.0:+.3f}",
                }
            )
    return rows


def simulation_rows():
    """Return what the statistics claim and what they do on data with known truth."""
    rows = [
        {
            "claim": "95 % interval of a mean",
            "how": f"{how} resampled, {patients} patients of 1 to 6 slices, {_RUNS} data sets",
            "measured": f"covers {100 * coverage(patients, _RUNS, by_patient=by_patient):.1f} %",
        }
        for patients in (8, 25, 60)
        for how, by_patient in (("patients", True), ("slices", False))
    ]
    rows += [
        {
            "claim": "at most 5 % false alarms",
            "how": f"8 equal methods, 20 patients, {_RUNS} data sets, Holm over {family}",
            "measured": f"{100 * false_alarms(_RUNS, all_pairs=all_pairs):.1f} %",
        }
        for family, all_pairs in (("all pairs", True), ("the best's rivals alone", False))
    ]
    return rows


def protocol_rows():
    """Return the protocols and what they look at."""
    return [{"protocol": p.value, "threshold": p.meaning} for p in Protocol]


def rule_rows():
    """Return the rules that need no masks, what they look at and where they are from."""
    described = {name: rules.describe(name) for name in rules}
    return [
        {"rule": name, "a good threshold": one.summary, "looks at": one.facts["needs"],
         "idea": one.facts["paper"]}
        for name, one in described.items()
    ]  # fmt: skip


def ladder_rows():
    """Return the ways of scoring and what they do."""
    return [{"way of scoring": rung.name, "what it does": rung.does} for rung in RUNGS]


#: Number of methods, patients, folds and seeds, and what moves methods.
RANKED = (
    (8, 6, 1, 1, "normal"), (8, 20, 1, 1, "normal"), (8, 20, 1, 1, "skewed"),
    (8, 60, 1, 1, "normal"), (30, 20, 1, 1, "normal"), (8, 20, 1, 3, "normal"),
    (8, 20, 5, 1, "normal"), (8, 60, 5, 3, "normal"),
)  # fmt: skip
#: Means of methods of which some are equal and some not.
MIXED = (0, 0, 0, 0, 0.5, 0.5, 1, 1)


def rank_rows():
    """Return how often the rank intervals of a table hold, of equal methods and of others."""
    layouts = [
        (np.zeros(m), {"patients": n, "folds": f, "seeds": s, "noise": noise})
        for m, n, f, s, noise in RANKED
    ]
    layouts.append((MIXED, {"patients": 20, "folds": 1, "seeds": 1}))
    rows = []
    for means, layout in layouts:
        every, one = rank_coverage(_RUNS, means, **layout)
        alike = "equal" if not np.any(means) else "partly equal"
        rows.append(
            {
                "methods": f"{len(means)}, {alike}",
                "patients": layout["patients"],
                "folds": layout["folds"],
                "seeds": layout["seeds"],
                "values": layout.get("noise", "normal"),
                "all intervals hold": f"{100 * every:.1f} %",
                "one interval holds": f"{100 * one:.1f} %",
            }
        )
    return rows


#: Page -> its generated parts -> their rows.
PAGES = {
    "metrics.md": {
        "tools": tool_rows,
        "definitions": lambda: metrics_table().to_dict("records"),
    },
    "protocols.md": {"protocols": protocol_rows, "rules": rule_rows, "ladder": ladder_rows},
    "statistics.md": {"simulations": simulation_rows, "ranks": rank_rows},
}


def main():
    for name, parts in PAGES.items():
        page = (DOCS / name).read_text(encoding="utf-8")
        for part, rows in parts.items():
            page = filled(page, part, rows())
        (DOCS / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
