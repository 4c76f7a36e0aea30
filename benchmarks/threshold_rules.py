"""Which rule chooses thresholds best without masks: phantoms that no other choice was made on.

``python -m benchmarks.threshold_rules`` trains a classifier on each (ten minutes on one core; what
is finished is found again under ``runs``) and writes its section into RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.results import machine, table, write_section
from camzoo.cams.map_files import MapFiles
from camzoo.config import BenchConfig
from camzoo.core.progress import Reporter
from camzoo.core.reporters import reporter_for
from camzoo.data.datasets.phantom import VARIANTS
from camzoo.data.slices import CaseInfo
from camzoo.evaluate.mask_evidence import evidence_of
from camzoo.evaluate.prepared_cases import mapped_cases
from camzoo.evaluate.result_files import read_curves
from camzoo.harness.cells import Cell
from camzoo.harness.chains import map_chains
from camzoo.harness.opened import open_context, open_run
from camzoo.harness.path import open_cell, prepare_slices, sweep_thresholds
from camzoo.metrics.curves import Curves, middle_of_best
from camzoo.metrics.evidence import Evidence
from camzoo.metrics.overlap import dice
from camzoo.metrics.threshold_choice import choose_threshold
from camzoo.metrics.threshold_rules.base import suitability
from camzoo.metrics.threshold_rules.registry import rules
from camzoo.network.precision import autocast
from camzoo.presets import preset

#: Seeds of the phantoms; the default is 0, on which tests and the smoke preset run.
DATA_SEEDS: Final = (1,)
PATIENTS: Final = 15
METHODS: Final = (
    "cam", "grad-cam++", "layer-cam", "eigen-cam", "lpcam", "cam[blend]", "centre",
)  # fmt: skip
#: Slices of a case of which the classifier is asked: twice for each threshold.
ASKED: Final = 2


@dataclass(frozen=True)
class Choice:
    """A threshold that was chosen for a method of a cell, and what it gives.

    Attributes:
        phantom: Variant.
        seed: Seed of the phantom.
        method: The method.
        rule: Who chose.
        threshold: What was chosen.
        lost: Points of DSC of the test volumes below the threshold that validation masks choose.
    """

    phantom: str
    seed: int
    method: str
    rule: str
    threshold: float
    lost: float


def config(variant: str, seed: int) -> BenchConfig:
    """The smoke preset on few patients and coarse scans, so that all of them take minutes."""
    return preset("smoke", "phantom").changed(
        {
            "data.options": {"variant": variant, "patients": PATIENTS, "size": 96, "seed": seed},
            "data.size": 96,
            "training.crop": 64,
            "training.resize": [64, 112],
            "maps.side": 96,
            "maps.scales": [1.0],
            "maps.size": 48,
            "methods": METHODS,
        }
    )


def choices(config: BenchConfig, out: Path, reporter: Reporter) -> Iterator[Choice]:
    """Choose by every rule for every method of a run."""
    run = open_run(open_context(config, out, reporter))
    prepared = prepare_slices(run.context, run.dataset)
    cell = open_cell(run.context, prepared, run.splits[0], 0)
    where = str(config.data.options["variant"]), int(config.data.options["seed"])
    for text, artifact in map_chains(cell, run.context.chains).artifacts.items():
        frame = read_curves(sweep_thresholds(cell, text, artifact).folder)
        frame = frame.assign(subset=frame["case"].map(cell.split.subset_of()))
        dsc = test_dsc(frame)
        validated = choose_threshold(frame[frame["subset"] == "val"])
        named = {"validated": validated, "oracle": float(dsc.idxmax())}
        named |= chosen(cell, MapFiles.open(artifact.folder))
        for rule, threshold in named.items():
            lost = 100 * (dsc[validated] - dsc[threshold])
            yield Choice(*where, text, rule, threshold, float(lost))


def test_dsc(curves: pd.DataFrame) -> pd.Series:
    """Mean DSC of the test volumes by threshold: over cases, then over organs."""
    cube = Curves.of(curves).subset("test")
    scores = dice(cube.tp, cube.n_pred, cube.n_ref[..., None])
    scores[cube.n_ref == 0] = np.nan
    return pd.Series(np.nanmean(scores, axis=0).mean(axis=0), cube.thresholds)


def chosen(cell: Cell, maps: MapFiles) -> dict[str, float]:
    """What every rule chooses on the validation patients, by rule."""
    thresholds = cell.context.config.evaluation.thresholds
    found: dict[str, list[NDArray[np.float64]]] = {name: [] for name in rules}
    for case in mapped_cases(cell.prepared, {"": maps}, cell.split.val):
        read = case.predicted[""]
        assert read is not None
        assert case.image is not None
        evidence = evidence_of(read(), case.image(), case.plane, thresholds)
        evidence = asked(cell, maps, cell.prepared.cases[case.id], evidence)
        for name, parts in found.items():
            parts.append(suitability(rules.get(name)(), evidence))
    means = {name: np.nanmean(np.nanmean(parts, axis=0), axis=0) for name, parts in found.items()}
    return {name: thresholds[middle_of_best(mean)] for name, mean in means.items()}


def asked(cell: Cell, maps: MapFiles, info: CaseInfo, evidence: Evidence) -> Evidence:
    """Ask the classifier about masked slices of a case, evenly spread, and about no others."""
    kept, lost = np.full((2, *evidence.size.shape), np.nan)
    shown = np.flatnonzero(evidence.there.any(axis=1))
    for n in shown[np.unique(np.linspace(0, len(shown) - 1, ASKED).round().astype(int))]:
        grey = cell.slices.grey([info.first + n], torch.device("cpu"))[0]
        several = torch.from_numpy(np.array(maps.maps[info.first + n], np.float32))
        for c in np.flatnonzero(evidence.there[n]):
            kept[n, c], lost[n, c] = masked_scores(cell, grey, several, c, evidence.thresholds)
    return evidence.scored(kept, lost)


def masked_scores(
    cell: Cell, grey: torch.Tensor, maps: torch.Tensor, organ: int, thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Scores of an organ in a slice [S, S] of which the mask alone, or all but it, is left: [2, T].

    What is taken away gets the mean grey value of the slice.
    """
    classifier, settings = cell.trained.classifier, cell.context.config
    side = (settings.maps.side,) * 2
    image = F.interpolate(grey[None, None], side, mode="bilinear", antialias=True)[0, 0]
    value, winner = F.interpolate(maps[None], side, mode="bilinear")[0].max(0)
    levels = torch.from_numpy(thresholds)[:, None, None]
    masks = (value > levels) & (winner == organ)
    shown = torch.cat([masks, ~masks])
    blanked = torch.where(shown, image, image.mean()).to(classifier.device)
    with torch.inference_mode(), autocast(classifier.device, settings.training.precision):
        logits = classifier(classifier.normalise(blanked))[:, organ]
    return logits.double().sigmoid().cpu().numpy().reshape(2, -1)


def summary(found: pd.DataFrame) -> list[dict[str, object]]:
    """What each rule loses: by phantom, over all, at worst; the best first."""
    order = found.groupby("rule")["lost"].mean().sort_values().index
    rows: list[dict[str, object]] = []
    for rule in order:
        mine = found[found["rule"] == rule]
        needs = rules.describe(rule).facts["needs"] if rule in rules else "masks"
        rows.append(
            {"rule": rule, "looks at": needs}
            | {name: f"{part['lost'].mean():.1f}" for name, part in mine.groupby("phantom")}
            | {
                "all": f"{mine['lost'].mean():.2f}",
                "within 1 point, %": f"{100 * (mine['lost'] <= 1).mean():.0f}",
                "worst": f"{mine['lost'].max():.1f}",
                "thresholds": f"{mine['threshold'].min():.2f} to {mine['threshold'].max():.2f}",
            }
        )
    return rows


def main() -> None:
    """Run all phantoms and write the table."""
    reporter, found = reporter_for(Console()), []
    for variant, seed in product(VARIANTS, DATA_SEEDS):
        found += choices(config(variant, seed), Path("runs"), reporter)
    write(pd.DataFrame(found))


def write(found: pd.DataFrame) -> None:
    """Write the section."""
    text = (
        f"{machine('camzoo', 'torch', 'timm')}. Phantoms {', '.join(VARIANTS)}, {PATIENTS} "
        f"patients, data seeds {', '.join(map(str, DATA_SEEDS))}, preset smoke at 96 pixels, one "
        f"scale; methods {', '.join(METHODS)}. Points of DSC (mean over test volumes) below the "
        "threshold that the masks of the validation patients choose; rules see the same patients "
        "without masks. `oracle`: the best threshold of the test volumes."
    )
    write_section("Thresholds without masks", f"{text}\n\n{table(summary(found))}")


if __name__ == "__main__":
    main()
