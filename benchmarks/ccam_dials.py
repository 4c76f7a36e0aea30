"""Which part of C-CAM helps where: the phantom's dials, three seeds.

``python -m benchmarks.ccam_dials`` runs the grid (about an hour on one core; finished runs are
found again under ``runs``) and writes its section into RESULTS.md.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmarks.results import machine, table, write_section
from camzoo.config import BenchConfig
from camzoo.core.reporters import reporter_for
from camzoo.evaluate.rows import line_name
from camzoo.harness.run import bench
from camzoo.presets import preset
from camzoo.report.tables import pooled_dsc
from camzoo.steps.selection import select_methods

CONTRASTS = (1.0, 0.4)
COOCCURRENCES = (0.2, 1.0)
SEEDS = (0, 1, 2)
METHODS = select_methods(
    "cam,positives-only,c-cam[cc],c-cam[ac],c-cam[ac]:tau=0.25,c-cam[cc,ac],p-cam[aff],prior-only,"
    "c-cam[ac]:map=B,c-cam[cc,ac]:map=B,prior-only:map=B"
)
PATIENTS = 14


def config(contrast: float, cooccurrence: float) -> BenchConfig:
    """The smoke preset on one setting of the dials."""
    return preset("smoke", "phantom").changed(
        {
            "data.options": {
                "variant": "abdomen", "patients": PATIENTS,
                "contrast": contrast, "cooccurrence": cooccurrence,
            },
            "maps.scales": [1.0],
            "methods": METHODS,
            "seeds": SEEDS,
        }
    )  # fmt: skip


def validated(rows: pd.DataFrame) -> pd.Series:
    """Pooled DSC of the training slices in percent, validated threshold, by line and seed."""
    rows = rows[(rows["subset"] == "train") & (rows["protocol"] == "validated")]
    rows = rows.assign(line=[line_name(*pair) for pair in rows[["method", "variant"]].to_numpy()])
    organs = pooled_dsc(rows, ["line", "seed"])
    return 100 * organs.groupby(["line", "seed"])["dsc"].mean()


def gain(scores: pd.Series, line: str) -> str:
    """Mean ± sample standard deviation over seeds of what a method adds to CAM on the same seed."""
    difference = scores[line] - scores["cam"]
    return f"{difference.mean():+.1f} ± {difference.std(ddof=1):.1f}"


def main() -> None:
    """Run the grid and write the table."""
    reporter = reporter_for(Console())
    columns = {}
    for contrast, cooccurrence in product(CONTRASTS, COOCCURRENCES):
        result = bench(config(contrast, cooccurrence), Path("runs"), reporter)
        columns[f"contrast {contrast:g}, co-occurrence {cooccurrence:g}"] = validated(result.rows)
    lines = list(dict.fromkeys(next(iter(columns.values())).index.get_level_values("line")))
    rows: list[dict[str, object]] = [
        {"": "cam"}
        | {
            name: f"{scores['cam'].mean():.1f} ± {scores['cam'].std(ddof=1):.1f}"
            for name, scores in columns.items()
        }
    ]
    rows += [
        {"": line} | {name: gain(scores, line) for name, scores in columns.items()}
        for line in lines
        if line != "cam"
    ]
    text = (
        f"{machine('camzoo', 'torch', 'timm')}. Phantom `abdomen`, {PATIENTS} patients, preset "
        f"smoke at one scale, {len(SEEDS)} seeds. Pooled DSC (%) of the training slices at the "
        "validated threshold: of CAM, mean ± sample standard deviation over seeds; below, what "
        "each method adds to CAM of the same seed."
    )
    write_section("C-CAM on the phantom's dials", f"{text}\n\n{table(rows)}")


if __name__ == "__main__":
    main()
