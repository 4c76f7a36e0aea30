"""The same maps from camzoo, pytorch-grad-cam and torch-cam: all classes, on the grid of the image.

Each is used as its documentation shows, on a copy of the model of its own, since hooks of one tool
would burden the others. All maps end at the size of the image, since pytorch-grad-cam's cannot be
had otherwise.
"""

from __future__ import annotations

import contextlib
import io
import logging

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams

GRADCAM = {
    "grad-cam": "GradCAM",
    "grad-cam++": "GradCAMPlusPlus",
    "layer-cam": "LayerCAM",
    "eigen-cam": "EigenCAM",
    "ablation-cam": "AblationCAM",
    "score-cam": "ScoreCAM",
    "fullgrad": "FullGrad",
}
TORCHCAM = {
    "cam": "CAM",
    "grad-cam": "GradCAM",
    "grad-cam++": "GradCAMpp",
    "layer-cam": "LayerCAM",
    "score-cam": "ScoreCAM",
}


def camzoo(model, layer, images, methods):
    """Return a function that makes all maps of ``methods`` from one pass."""
    viewer = Viewer(model, layer)
    instances = {name: cams.get(name)() for name in methods}
    size = images.shape[2:]

    def run():
        view = viewer(images)
        return {
            name: F.interpolate(method(view), size=size, mode="bilinear")
            for name, method in instances.items()
        }

    return run


def bare(model, images):
    """Return a function that only classifies."""

    def run():
        with torch.inference_mode():
            return model(images)

    return run


def gradcam(model, layer, images, methods, classes, reshape=None):
    """Return a function that runs each method class by class, which is how the library works.

    Its object is made anew each time, in a ``with``, as its guide does: as long as it lives, it
    keeps what every pass of the model leaves at the layer. ``reshape`` makes channels first of what
    a transformer's layer gives.
    """
    import pytorch_grad_cam as library

    module = model.get_submodule(layer)
    targets = [[ClassifierOutputTarget(c)] * len(images) for c in range(classes)]

    def run():
        maps = {}
        aside = io.StringIO()  # its progress bars, and FullGrad's word about layers
        with contextlib.redirect_stderr(aside), contextlib.redirect_stdout(aside):
            for name in methods:
                with getattr(library, GRADCAM[name])(
                    model, [module], reshape_transform=reshape
                ) as cam:
                    maps[name] = np.stack([cam(images, target) for target in targets], axis=1)
        return maps

    return run


def torchcam(model, layer, images, methods, classes):
    """Return a function that runs each method on a pass of its own, as the library's guide does."""
    extractors = _extractors(model, layer, methods)

    def run():
        maps = {}
        for name, extractor in extractors.items():
            extractor.enable_hooks()
            maps[name] = _torchcam_maps(extractor, model(images), images, classes)
            extractor.disable_hooks()
        return maps

    return run


def torchcam_shared(model, layer, images, methods, classes):
    """The same from one pass for all methods, which its hooks allow though no guide says so."""
    extractors = _extractors(model, layer, methods)

    def run():
        for extractor in extractors.values():
            extractor.enable_hooks()
        scores = model(images)
        maps = {n: _torchcam_maps(e, scores, images, classes) for n, e in extractors.items()}
        for extractor in extractors.values():
            extractor.disable_hooks()
        return maps

    return run


def _extractors(model, layer, methods):
    import torchcam.methods as library

    logging.getLogger("torchcam").setLevel(logging.ERROR)
    options = {"cam": {"fc_layer": model.get_classifier()}}
    return {
        name: getattr(library, TORCHCAM[name])(
            model, layer, enable_hooks=False, **options.get(name, {})
        )
        for name in methods
    }


def _torchcam_maps(extractor, scores, images, classes):
    maps = [
        extractor(class_idx=c, scores=scores, retain_graph=True)
        if extractor._score_used
        else extractor(class_idx=c)
        for c in range(classes)
    ]
    stacked = torch.stack([m[0] for m in maps], dim=1)
    return F.interpolate(stacked, size=images.shape[2:], mode="bilinear")
