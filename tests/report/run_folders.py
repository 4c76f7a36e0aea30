"""Folders of finished runs, as the harness leaves them."""

import json

from camzoo.config import BenchConfig
from camzoo.core.stored import write_frame
from camzoo.evaluate.rows import write_rows

ENVIRONMENT = {
    "packages": {"camzoo": "0.1.0", "torch": "2.9"}, "commit": "abc", "device": "cpu",
    "device_name": "Some Processor",
}  # fmt: skip


def manifest(rows, settings=None, **changes):
    """What a run with these rows says it was."""
    first = rows.iloc[0]
    named = {"data.name": first["dataset"], "backbone.name": first["backbone"]}
    config = BenchConfig().changed({"data.options.view": 2} | named | (settings or {}))
    cells = rows[["fold", "seed"]].drop_duplicates().to_dict("records")
    folds = rows.groupby("fold")
    return {
        "run": first["run"], "config": config.without_places(), "environment": ENVIRONMENT,
        "dataset": {
            "title": "ACDC", "organs": sorted(rows["organ"].unique()), "caveats": ["nominal mm"],
        },
        "splits": {str(fold): _subsets(mine) for fold, mine in folds},
        "cells": [{"steps": {}, **cell} for cell in cells], "equivalent": [], "failures": {},
        **changes,
    }  # fmt: skip


def _subsets(rows):
    cases = {name: sorted(mine["case"].unique()) for name, mine in rows.groupby("subset")}
    return {"train": [], "val": [], "test": []} | cases


def run_folder(path, rows, curves, costs=None, **changes):
    """Write rows and curves (both result rows) under a manifest."""
    path.mkdir()
    write_rows(rows, path / "rows.parquet")
    write_frame(curves.drop(columns=["protocol"]), path / "curves.parquet")
    (path / "manifest.json").write_text(json.dumps(manifest(rows, **changes)))
    if costs:
        (path / "costs.json").write_text(json.dumps(costs))
    return path
