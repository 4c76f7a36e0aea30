"""Records of many methods and cases, as large as wanted: nothing in them was ever measured."""

import numpy as np
import pandas as pd

from camzoo.evaluate.rows import make_rows
from camzoo.metrics.overlap import dice
from camzoo.metrics.status import Status
from tests.report.run_folders import run_folder

THRESHOLDS = np.arange(1, 20) / 20
_SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
_CELL = {
    "run": "many", "dataset": "many", "split": "patient", "fold": 0, "seed": 0,
    "backbone": "resnet50", "stage": "pseudo-mask", "variant": "", "supervision": "image",
    "organ": "left ventricle",
}  # fmt: skip
#: Where each protocol cuts a method's maps; Otsu's rule takes another threshold for every case.
_POSITIONS = {"validated": 7, "oracle": 8, "fixed": 9, "otsu": None}


def large_record(folder, methods, cases, seed=0):
    """Write a run of so many methods; a patient has two cases, and a prediction in 100 is empty."""
    rng = np.random.default_rng(seed)
    case = pd.DataFrame(
        {
            "case": [f"patient{i // 2:04}_frame{i % 2}" for i in range(cases)],
            "patient": [f"patient{i // 2:04}" for i in range(cases)],
            "subset": np.repeat(list(_SHARES), [round(cases * s) for s in _SHARES.values()]),
            "n_ref": rng.integers(200, 900, cases),
        }
    )
    swept = [_sweep(rng, case["n_ref"].to_numpy(), method / methods) for method in range(methods)]
    names = [f"method-{method:03}" for method in range(methods)]
    curves = pd.concat([_curves(case, *p, n) for p, n in zip(swept, names, strict=True)])
    rows = pd.concat([_rows(rng, case, *p, n) for p, n in zip(swept, names, strict=True)])
    splits = {"0": {name: list(mine) for name, mine in case.groupby("subset")["case"]}}
    return run_folder(folder, make_rows(rows.to_dict("records")), curves, splits=splits)


def _sweep(rng, n_ref, share):
    """Voxels in both masks and in the prediction, [cases, thresholds] each."""
    found = np.sort(rng.uniform(0.2 + share / 9, 1, (len(n_ref), len(THRESHOLDS))))[:, ::-1]
    tp = np.rint(n_ref[:, None] * found).astype(int)
    spare = np.sort(rng.integers(0, 900, tp.shape), axis=1)[:, ::-1]
    there = rng.random((len(n_ref), 1)) > 0.01
    return tp * there, (tp + spare) * there


def _curves(case, tp, n_pred, method):
    long = case.loc[case.index.repeat(len(THRESHOLDS))].reset_index(drop=True)
    counts = {"tp": tp.ravel(), "n_pred": n_pred.ravel()}
    thresholds = np.tile(THRESHOLDS, len(case))
    return long.assign(**_CELL, method=method, threshold=thresholds, **counts, protocol="")


def _rows(rng, case, tp, n_pred, method):
    parts = []
    for protocol, position in _POSITIONS.items():
        where = rng.integers(0, len(THRESHOLDS), len(case)) if position is None else position
        at = np.arange(len(case)), np.broadcast_to(where, len(case))
        counts = {"tp": tp[at], "n_pred": n_pred[at]}
        dsc = dice(*counts.values(), case["n_ref"].to_numpy())
        lost = counts["n_pred"] == 0
        there, back = (np.where(lost, np.nan, rng.uniform(1, 20, len(case))) for _ in range(2))
        part = case.assign(
            **_CELL, method=method, region="whole", protocol=protocol, threshold=THRESHOLDS[at[1]],
            **counts, dsc=dsc, mad_mm=there, mad_reverse_mm=back, assd_mm=(there + back) / 2,
            asd_mm=(2 * there + back) / 3, hd_mm=50 + there, hd95_mm=40 + back / 2,
            diagonal_mm=300.0, spacing_z=3.0, spacing_y=1.0, spacing_x=1.0,
            status=np.where(lost, Status.EMPTY_PRED.value, Status.OK.value),
        )  # fmt: skip
        parts.append(part[part["subset"] != "val"])
    return pd.concat(parts)
