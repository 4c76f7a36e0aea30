"""CAM methods beside pytorch-grad-cam and torch-cam: same weights, layer, images and process."""

from __future__ import annotations

from time import perf_counter, process_time

import numpy as np
import pytest
import timm
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from threadpoolctl import threadpool_limits

from benchmarks import cam_peers
from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, milliseconds, ratio
from camzoo.cams.compute import compute_cams

SIX = ("cam", "grad-cam", "grad-cam++", "ablation-cam", "eigen-cam", "layer-cam")
BACKBONES = ("resnet18", "resnet50")
CLASSES = (1, 4)
IMAGES, SIDE, ROUNDS = 2, 224, 3
PACKAGES = ("camzoo", "torch", "timm", "grad-cam", "torchcam")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ABLATIONS = (
    ("closed form", None, "resnet18", 1),
    ("closed form", None, "resnet18", 4),
    ("closed form", None, "resnet50", 1),
    ("general, layer3", "layer3", "resnet18", 1),
)
#: How much longer than a bare pass six methods may take, and how much faster than peers to be.
TARGET_PASS, TARGET_GRADCAM, TARGET_TORCHCAM, TARGET_ABLATION = 1.3, 10.0, 3.0, 1000.0
SETTING = (
    f"{IMAGES} images {SIDE} x {SIDE}, float32, random weights, evaluation mode, all maps resized "
    f"to the image. Median (quartiles) CPU time of {ROUNDS} rounds on one thread, in one process, "
    "the tools taking turns; ratios are taken round by round."
)


@pytest.fixture(autouse=True)
def _one_thread():
    """CPU time is the time a user waits if there is one thread; other programs hardly matter.

    NumPy's linear algebra included, whose threads would spin on into the next tool's time.
    """
    with threadpool_limits(1):
        yield


def network(backbone, classes, count=IMAGES):
    torch.manual_seed(0)
    model = timm.create_model(backbone, num_classes=classes, zero_init_last=False)
    return model.eval().to(DEVICE), torch.randn(count, 3, SIDE, SIDE, device=DEVICE)


def tools(backbone, classes, layer, methods):
    """Return {tool: function} for what each tool has of ``methods``; layer None is the last."""

    def copy():
        return network(backbone, classes)[0]

    _, images = network(backbone, classes)
    name = layer or "layer4"
    has = [m for m in methods if m in cam_peers.GRADCAM and m != "ablation-cam"]
    torch_has = [m for m in methods if m in cam_peers.TORCHCAM and (layer is None or m != "cam")]
    found = {"bare pass": cam_peers.bare(copy(), images)}
    found["camzoo"] = cam_peers.camzoo(copy(), layer, images, methods)
    if has:
        found["camzoo, what grad-cam has"] = cam_peers.camzoo(copy(), layer, images, has)
        found["grad-cam"] = cam_peers.gradcam(copy(), name, images, has, classes)
    if torch_has:
        found["camzoo, what torchcam has"] = cam_peers.camzoo(copy(), layer, images, torch_has)
        found["torchcam"] = cam_peers.torchcam(copy(), name, images, torch_has, classes)
    if len(torch_has) > 1:
        shared = cam_peers.torchcam_shared(copy(), name, images, torch_has, classes)
        found["torchcam, one pass for all"] = shared
    return found


def agree(backbone, classes, layer):
    """The tools have to give the same Grad-CAM, finished alike, or the times mean nothing."""
    model, images = network(backbone, classes)
    raw = compute_cams(model, images, "grad-cam", layer)["grad-cam"].relu().cpu().numpy()
    theirs = cam_peers.gradcam(model, layer or "layer4", images, ["grad-cam"], classes)()
    for c in range(classes):
        finished = scale_cam_image(scale_cam_image(raw[:, c], (SIDE, SIDE)))
        np.testing.assert_allclose(finished, theirs["grad-cam"][:, c], atol=1e-3)


def row(backbone, classes, methods, times):
    """One line: how long, how many bare passes, and how many times as fast as each peer."""
    line = {
        "backbone": backbone,
        "classes": classes,
        "methods": methods,
        "camzoo, ms": milliseconds(times["camzoo"]),
        "bare passes": ratio(times["camzoo"], times["bare pass"]),
    }
    for peer in ("grad-cam", "torchcam"):
        line[f"{peer} / camzoo"] = (
            ratio(times[peer], times[f"camzoo, what {peer} has"]) if peer in times else "has none"
        )
    together = "torchcam, one pass for all"
    line[f"{together} / camzoo"] = (
        ratio(times[together], times["camzoo, what torchcam has"]) if together in times else ""
    )
    return line


@pytest.mark.parametrize(("path", "layer"), [("closed form", None), ("general, layer3", "layer3")])
def test_speed_beside_peers(path, layer, benchmark):
    methods = [m for m in SIX if layer is None or m not in {"cam", "ablation-cam"}]
    rows = []
    for backbone in BACKBONES:
        for classes in CLASSES:
            found = tools(backbone, classes, layer, methods)
            agree(backbone, classes, layer)
            rows.append(row(backbone, classes, "all", interleaved(found, ROUNDS)))
            for method in methods:
                alone = tools(backbone, classes, layer, [method])
                rows.append(row(backbone, classes, method, interleaved(alone, ROUNDS)))
    count = "all six" if layer is None else "four of the six"
    notes = (
        f"{SETTING}\n\n{table(rows)}\n\n"
        f"- *all*: {count} methods of the paper from one pass. grad-cam has no plain CAM, and its "
        "Ablation-CAM is timed apart; torchcam has CAM, Grad-CAM, Grad-CAM++ and Layer-CAM. Ratios "
        "compare only methods that both have, each tool used as its guide shows: grad-cam makes a "
        "pass and a full backward pass per class and method, torchcam a pass per method.\n"
        "- *torchcam, one pass for all* lets its extractors share a pass, the most its code can do."
    )
    if layer is None:
        notes += (
            f"\n- Targets, for all methods and 4 classes: at most {TARGET_PASS} bare passes, "
            f"{TARGET_GRADCAM:g} times as fast as grad-cam and {TARGET_TORCHCAM:g} times as "
            "torchcam. One method and one class alone have nothing to share: there camzoo saves "
            "grad-cam's backward pass, and torchcam nothing but the graph."
        )
    else:
        notes += (
            "\n- Target: faster than both, all methods together. A method alone takes the very "
            "passes that torchcam takes, and on one class Eigen-CAM those of grad-cam: they tie."
        )
    write_section(f"CAM methods, {path}", f"{notes}\n\n{machine(*PACKAGES)}")
    model, images = network("resnet18", 4)
    benchmark.pedantic(cam_peers.camzoo(model, layer, images, methods), rounds=ROUNDS)


def test_ablation_beside_grad_cam(benchmark):
    """One image, once: grad-cam runs the network once per channel and class."""
    rows = []
    for path, layer, backbone, classes in ABLATIONS:
        model, image = network(backbone, classes, count=1)
        ours = cam_peers.camzoo(model, layer, image, ["ablation-cam"])
        theirs = cam_peers.gradcam(model, layer or "layer4", image, ["ablation-cam"], classes)
        ours()
        start = process_time()
        theirs()
        slow = process_time() - start
        fast = interleaved({"camzoo": ours}, 3)["camzoo"]
        rows.append(
            {
                "path": path,
                "backbone": backbone,
                "classes": classes,
                "camzoo, ms": milliseconds(fast),
                "grad-cam, s": f"{slow:.1f}",
                "grad-cam / camzoo": f"{slow / sorted(fast)[1]:.0f}",
            }
        )
    notes = (
        "One image 224 x 224, with the pass and the resizing. CPU time on one thread; grad-cam "
        f"once, camzoo median (quartiles) of 3.\n\n{table(rows)}\n\n"
        f"- Target: {TARGET_ABLATION:g} times as fast in closed form. The ratio follows the passes "
        "that grad-cam makes, one per channel (512 and 2048) and class, so that resnet18 with one "
        "class is out of its reach. On the general path both run what lies behind the layer once "
        "per channel, camzoo for all classes at once and without what lies in front."
    )
    write_section("Ablation-CAM", f"{notes}\n\n{machine(*PACKAGES)}")
    model, image = network("resnet18", 1, count=1)
    benchmark.pedantic(cam_peers.camzoo(model, None, image, ["ablation-cam"]), rounds=3)


@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_images_per_second_on_a_gpu(benchmark):
    rows = []
    for backbone in BACKBONES:
        model, images = network(backbone, 4, count=64)

        def synchronised(function):
            def run():
                function()
                torch.cuda.synchronize()

            return run

        found = {
            "bare pass": synchronised(cam_peers.bare(model, images)),
            "six methods": synchronised(cam_peers.camzoo(model, None, images, SIX)),
        }
        times = interleaved(found, 20, clock=perf_counter)
        rows.append(
            {
                "backbone": backbone,
                "images per second": f"{64 / sorted(times['six methods'])[10]:.0f}",
                "bare passes": ratio(times["six methods"], times["bare pass"]),
            }
        )
    name = torch.cuda.get_device_name()
    notes = f"64 images 224 x 224, six methods, 4 classes, resized, on {name}.\n\n{table(rows)}"
    write_section("CAM methods on a GPU", f"{notes}\n\n{machine(*PACKAGES)}")
    benchmark.pedantic(found["six methods"], rounds=5)
