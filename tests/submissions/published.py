"""A run on a phantom that nothing was trained for, with predictions for its split."""

import json

import numpy as np

from camzoo.core.checksums import write_sums
from camzoo.core.progress import Quiet
from camzoo.core.stored import write_frame
from camzoo.core.supervision import Supervision
from camzoo.data.datasets.phantom import Phantom
from camzoo.data.loading import load_case
from camzoo.data.prepare import data_digest
from camzoo.data.splits import make_split
from camzoo.evaluate.rows import write_rows
from camzoo.presets import preset
from camzoo.segment.export import write_volume
from camzoo.submissions.bundle import OpenBundle
from camzoo.submissions.pack import Statement, pack
from camzoo.submissions.published import open_published
from camzoo.submissions.scoring import score_bundle
from tests.report.run_folders import ENVIRONMENT

RUN = "phantom-abdomen-smoke-0123abcd"
OPTIONS = {"variant": "abdomen", "patients": 5, "size": 40}
ABOUT = {
    "author": "A. Author", "licence": "CC BY 4.0", "citation": "Author, 2026",
    "seen": "ImageNet, and no scan",
}  # fmt: skip


def statement(method="shifted", supervision=Supervision.IMAGE, **about):
    return Statement(method, supervision, ABOUT | about)


def write_record(folder):
    """The record of a run without rows: all that packing and checking read of one."""
    config = preset("smoke", "phantom").changed({"data.options": OPTIONS})
    dataset = Phantom(**OPTIONS)
    split = make_split(dataset, config.data.split)
    manifest = {
        "schema": 1, "run": RUN, "config": config.without_places(), "environment": ENVIRONMENT,
        "dataset": {
            "title": "phantom", "organs": list(dataset.organs), "caveats": [],
            "name": dataset.own_name, "data": data_digest(dataset),
        },
        "splits": {"0": {name: list(getattr(split, name)) for name in ("train", "val", "test")}},
        "cells": [{"fold": 0, "seed": 0}], "equivalent": [], "failures": {},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write_predictions(folder, published, kind="masks", of=None, shift=1):
    """The reference of each case a few voxels aside: as labels, or as maps of 0.8 and 0.1."""
    for name in published.asked(of or kind, "0"):
        loaded = load_case(published.dataset, published.cases[name])
        labels = np.roll(loaded.label.array, shift, axis=1).astype(np.uint8)
        path = folder / f"{name}.nii.gz"
        folder.mkdir(exist_ok=True)
        if kind == "masks":
            write_volume(path, labels, loaded.label.affine)
        else:
            organs = range(1, len(published.dataset.organs) + 1)
            maps = np.stack([0.1 + 0.7 * (labels == c) for c in organs])
            np.save(path.with_name(f"{name}.npy"), maps.astype(np.float32))
    return folder


def packed(folder, published, kind="masks", **said):
    predictions = write_predictions(folder / f"{kind} predicted", published, kind)
    out = folder / f"{kind}.zip"
    pack(predictions, published, statement(**said), out, kind=kind)
    return out


def scored(path, published):
    return score_bundle(OpenBundle(path), published, Quiet())


def opened(folder):
    return open_published(folder, None)


def with_rows(record, submission):
    """Give a record rows of its own: those of a submission, under a name of camzoo's."""
    rows = submission.rows.assign(method="supervised", variant="", backbone="resnet10t", run=RUN)
    write_rows(rows, record / "rows.parquet")
    write_frame(rows.iloc[:0], record / "curves.parquet")
    write_sums(record, ("rows.parquet", "curves.parquet", "manifest.json"))
