"""Folders of finished runs, as the harness leaves them."""

import json

from camzoo.config import BenchConfig
from camzoo.rows import write_rows

ENVIRONMENT = {
    "packages": {"camzoo": "0.1.0", "torch": "2.9"}, "commit": "abc", "device": "cpu",
    "device_name": "Some Processor",
}  # fmt: skip


def manifest(settings=None, **changes):
    config = BenchConfig().changed({"data.options.view": 2} | (settings or {}))
    return {
        "run": "r1", "config": config.without_places(), "environment": ENVIRONMENT,
        "dataset": {"title": "ACDC", "organs": ["left ventricle"], "caveats": ["nominal mm"]},
        "cells": [], "equivalent": [], "failures": {}, **changes,
    }  # fmt: skip


def run_folder(path, rows, curves, costs=None, **changes):
    """Write rows and curves (both result rows) under a manifest."""
    path.mkdir()
    write_rows(rows, path / "rows.parquet")
    curves.drop(columns=["protocol"]).to_parquet(path / "curves.parquet")
    (path / "manifest.json").write_text(json.dumps(manifest(**changes)))
    if costs:
        (path / "costs.json").write_text(json.dumps(costs))
    return path
