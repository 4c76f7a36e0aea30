"""Draws all methods on one slice of the phantom: ``python -m benchmarks.zoo_picture``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from camzoo.cams.base import FitContext
from camzoo.cams.view.viewer import Viewer
from camzoo.data.prepare import prepare
from camzoo.data.slices import Prepared
from camzoo.learning.loop import fit
from camzoo.network.backbone import build_classifier
from camzoo.presets import preset
from camzoo.registries import cams, datasets
from camzoo.report.sheet import write_sheet

PICTURE = Path(__file__).parent.parent / "docs" / "zoo.png"
SEED = 0
ORGAN = "spleen"


def draw(path: Path = PICTURE) -> None:
    """Train the smoke preset's classifier on the phantom and draw a slice it has not seen."""
    torch.manual_seed(SEED)
    config = preset("smoke", "phantom")
    # Some methods tell a class from others: one organ would not do.
    dataset = datasets.get("phantom")(variant="abdomen", patients=16, seed=SEED)
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared"
        prepared.mkdir()
        prepare(dataset, prepared, size=config.data.size, percentiles=(0.5, 99.5), min_area=1)
        data = Prepared(prepared)
        *training, last = list(data.cases)
        classifier = build_classifier(config.backbone, len(data.index.organs), seed=SEED)
        slices, device = data.tagged(training), torch.device("cpu")
        checkpoint = Path(folder) / "classifier.safetensors"
        fit(classifier, slices, config.training, seed=SEED, device=device, checkpoint=checkpoint)
        shown = data.tagged([last]).positives()
        grey = shown.grey([len(shown) // 2], device)
        generator = torch.Generator().manual_seed(SEED)
        context = FitContext(classifier.eval(), slices, generator, device)
        view = Viewer(classifier.model, config.backbone.layer)(classifier.normalise(grey))
        organ = data.index.organs.index(ORGAN)
        maps = {name: _map(name, organ, context, view) for name in _methods(view)}
        write_sheet(grey[0], maps, path)


def _methods(view):
    classes = view.logits.shape[1]
    native = {n: cams.get(n) for n in cams.names() if ":" not in n}
    return [
        name
        for name, method in native.items()
        if method.__module__.startswith("camzoo.cams.")
        and method.min_classes <= classes
        and not method.needs_attention
    ]


def _map(name, organ, context, view):
    method = cams.get(name)()
    if method.needs_fit:
        method.fit(context)
    return method(view)[0, organ]


if __name__ == "__main__":
    draw()
