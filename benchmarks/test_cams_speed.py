"""CAM methods beside pytorch-grad-cam and torch-cam: same weights, layer, images and process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Network:
    """One of timm's, and where peers have to hook what camzoo looks at by itself.

    Attributes:
        layer: Its name.
        reshape: Brings what a transformer's layer gives to [B, C, h, w], for pytorch-grad-cam;
            torch-cam has no such way.
    """

    layer: str
    reshape: Callable[[torch.Tensor], torch.Tensor] | None = None


def patches(tokens):
    """[B, 1 + n * n, C] with the class token first, as ViT has them."""
    side = int((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))


def channels_first(features):
    return features.permute(0, 3, 1, 2)


NETWORKS = {
    "resnet18": Network("layer4"),
    "resnet50": Network("layer4"),
    "efficientnet_b0": Network("bn2"),
    "densenet121": Network("features.norm5"),
    "convnext_nano": Network("stages.3"),
    "vit_tiny_patch16_224": Network("blocks.11.norm1", patches),
    "swin_tiny_patch4_window7_224": Network("norm", channels_first),
}
SIX = ("cam", "grad-cam", "grad-cam++", "ablation-cam", "eigen-cam", "layer-cam")
BACKBONES = ("resnet18", "resnet50")
CLASSES = (1, 4)
IMAGES, SIDE, ROUNDS = 2, 224, 3
PACKAGES = ("camzoo", "torch", "timm", "grad-cam", "torchcam")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
#: Beyond those: other kinds of network with few images, and one with many.
OTHERS = (*((name, IMAGES) for name in list(NETWORKS)[2:]), ("resnet18", 16))
#: What all kinds of network give, and classes of either kind of data set.
ANYWHERE, FEW_AND_MANY = ("grad-cam", "grad-cam++", "eigen-cam", "layer-cam"), (1, 10)
#: Methods that ask the network many times, or read all of it.
DEAR = ("score-cam", "fullgrad", "opti-cam")
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
    options = {"zero_init_last": False} if backbone.startswith("resnet") else {}
    model = timm.create_model(backbone, num_classes=classes, **options)
    return model.eval().to(DEVICE), torch.randn(count, 3, SIDE, SIDE, device=DEVICE)


def tools(backbone, classes, layer, methods, count=IMAGES):
    """Return {tool: function} for what each tool has of ``methods``; layer None is the last."""

    def copy():
        return network(backbone, classes)[0]

    _, images = network(backbone, classes, count)
    name, reshape = layer or NETWORKS[backbone].layer, NETWORKS[backbone].reshape
    has = [m for m in methods if m in cam_peers.GRADCAM and m != "ablation-cam"]
    torch_has = [m for m in methods if m in cam_peers.TORCHCAM and (layer is None or m != "cam")]
    torch_has = [] if reshape else torch_has
    found = {"bare pass": cam_peers.bare(copy(), images)}
    found["camzoo"] = cam_peers.camzoo(copy(), layer, images, methods)
    if has:
        found["camzoo, what grad-cam has"] = cam_peers.camzoo(copy(), layer, images, has)
        found["grad-cam"] = cam_peers.gradcam(copy(), name, images, has, classes, reshape)
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
    known = NETWORKS[backbone]
    theirs = cam_peers.gradcam(
        model, layer or known.layer, images, ["grad-cam"], classes, known.reshape
    )()
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


def test_other_networks_beside_peers(benchmark):
    """Other kinds of network, many classes and many images: nothing takes longer than a peer."""
    rows = []
    for backbone, count in OTHERS:
        for classes in FEW_AND_MANY:
            agree(backbone, classes, None)
            found = tools(backbone, classes, None, ANYWHERE, count)
            line = row(backbone, classes, "", interleaved(found, ROUNDS))
            line["methods"] = count
            rows.append({"images" if k == "methods" else k: v for k, v in line.items()})
    notes = (
        f"{SETTING.replace(f'{IMAGES} images', 'Images')} Methods: {', '.join(ANYWHERE)}, from one "
        "pass, at what the network's pooling sees; of ViT, at the first norm of the last block.\n\n"
        f"{table(rows)}\n\n"
        "- torch-cam takes no transformers. ConvNeXt has a norm between pooling and head, and ViT "
        "a block behind the layer, so that both take the passes back, one for each class, that the "
        "peers take for each class and method."
    )
    write_section("CAM methods, other networks", f"{notes}\n\n{machine(*PACKAGES)}")
    model, images = network("efficientnet_b0", 10)
    benchmark.pedantic(cam_peers.camzoo(model, None, images, ANYWHERE), rounds=ROUNDS)


def test_dear_methods_beside_peers(benchmark):
    """One image, once for peers: Score-CAM asks the network once per channel."""
    rows = []
    for classes in CLASSES:
        for method in DEAR:
            found = tools("resnet18", classes, None, [method], count=1)
            rows.append(row("resnet18", classes, method, interleaved(found, 1)))
    notes = (
        f"{SETTING.replace(f'{IMAGES} images', 'One image').replace(f'{ROUNDS} rounds', '1 round')}"
        f"\n\n{table(rows)}\n\n"
        "- No other library has Opti-CAM or LPCAM. LPCAM, once fitted, is one product with the "
        "features of the pass.\n"
        "- grad-cam's FullGrad and Score-CAM go class by class; camzoo's Score-CAM asks each "
        "masked image once for all."
    )
    write_section("CAM methods, dear ones", f"{notes}\n\n{machine(*PACKAGES)}")
    model, images = network("resnet18", 1, count=1)
    benchmark.pedantic(cam_peers.camzoo(model, None, images, ["fullgrad"]), rounds=ROUNDS)


def test_ablation_beside_grad_cam(benchmark):
    """One image, once: grad-cam runs the network once per channel and class."""
    rows = []
    for path, layer, backbone, classes in ABLATIONS:
        model, image = network(backbone, classes, count=1)
        ours = cam_peers.camzoo(model, layer, image, ["ablation-cam"])
        name = layer or NETWORKS[backbone].layer
        theirs = cam_peers.gradcam(model, name, image, ["ablation-cam"], classes)
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
