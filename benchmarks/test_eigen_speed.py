"""What methods with eigenvectors take beside the pass that all share, and pytorch-grad-cam's."""

from __future__ import annotations

import pytest
import timm
import torch
from threadpoolctl import threadpool_limits

from benchmarks import cam_peers
from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, milliseconds, ratio
from camzoo.cams import leading
from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams

SIDE, CLASSES, ROUNDS = 512, 4, 7
METHODS = ("eigen-cam", "eigen-grad-cam", "seg-eigen-cam", "kpca-cam")
#: Network, target layer, and the name that pytorch-grad-cam needs for it.
NETWORKS = (
    ("resnet50", None, "layer4"),
    ("mobilenetv2_100", "blocks", "blocks"),
    ("mobilenetv2_100", None, "bn2"),
)
PACKAGES = ("camzoo", "torch", "timm", "grad-cam")


@pytest.fixture(autouse=True)
def _one_thread():
    """CPU time is the time a user waits if there is one thread; other programs hardly matter."""
    with threadpool_limits(1):
        yield


def network(name):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=CLASSES, output_stride=16)
    return model.eval(), torch.randn(1, 3, SIDE, SIDE)


def maps_of(method, view):
    """Return a function that makes the maps of a view whose gradients are there."""
    instance = cams.get(method)()
    return lambda: instance(view)


def decomposing(function):
    """Return the same function with full decompositions in the place of a few products."""

    def run():
        small, leading.SMALL = leading.SMALL, SIDE**2
        try:
            return function()
        finally:
            leading.SMALL = small

    return run


def rows_of(name, layer, peer_layer):
    """A line per method, all timed in turn with a bare pass."""
    model, images = network(name)
    view = Viewer(model, layer)(images)
    view.gradients(compact=True)
    tools = {method: maps_of(method, view) for method in METHODS}
    full = {f"{method}, full": decomposing(run) for method, run in tools.items()}
    own = network(name)[0]
    peer = {"peer": cam_peers.gradcam(own, peer_layer, images, ["eigen-cam"], 1)}
    ours = {"ours": cam_peers.camzoo(network(name)[0], layer, images, ["eigen-cam"])}
    bare = {"bare": cam_peers.bare(model, images)}
    times = interleaved(bare | tools | full | peer | ours, ROUNDS)
    for method in METHODS:
        yield {
            "backbone, layer": f"{name}, {layer or 'the last'}",
            "features": " x ".join(map(str, view.features.shape[1:])),
            "bare pass, ms": milliseconds(times["bare"]),
            "method": method,
            "bare passes": ratio(times[method], times["bare"]),
            "full decomposition, bare passes": ratio(times[f"{method}, full"], times["bare"]),
            "grad-cam / camzoo": ratio(times["peer"], times["ours"])
            if method == "eigen-cam"
            else "",
        }


def test_eigenvectors_beside_a_bare_pass(benchmark):
    rows = [row for given in NETWORKS for row in rows_of(*given)]
    notes = (
        f"1 image {SIDE} x {SIDE} at stride 16, float32, random weights, {CLASSES} classes. What a "
        "method takes from features and gradients to raw maps of all classes, in bare passes of "
        f"the network: median (quartiles) CPU time of {ROUNDS} rounds on one thread, in one "
        f"process, all in turn; ratios are taken round by round.\n\n{table(rows)}\n\n"
        "- *full decomposition*: the same maps from LAPACK's eigh of the smaller Gram matrix.\n"
        "- *grad-cam / camzoo*: pytorch-grad-cam's EigenCAM of one class beside Eigen-CAM of all, "
        "both with the pass and the resizing to the image. grad-cam makes a singular value "
        "decomposition with all vectors of both sides.\n"
        "- Targets: 0.1 bare passes for Eigen-CAM, 0.3 for Eigen-Grad-CAM and Seg-Eigen-CAM, with "
        "2048 channels behind ResNet-50 and 320 of MobileNetV2. On the 1280 channels behind its "
        "last convolution Eigen-CAM reads ten megabytes two dozen times, and the network is light."
    )
    write_section("Eigenvectors", f"{notes}\n\n{machine(*PACKAGES)}")
    model, images = network("mobilenetv2_100")
    benchmark.pedantic(maps_of("eigen-cam", Viewer(model, "blocks")(images)), rounds=ROUNDS)
