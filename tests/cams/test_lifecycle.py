"""Long loops: no memory grows, no hook or graph survives, and the model is as it was."""

import gc
import os
from pathlib import Path

import pytest
import torch

from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams
from tests.cams.networks import lively, pictures

#: What the methods of the paper need besides the pass: gradients, ablations, eigenvectors.
METHODS = ["grad-cam", "grad-cam++", "ablation-cam", "eigen-cam", "layer-cam", "hires-cam"]


def resident_bytes():
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("resident memory is read from /proc")
    return int(statm.read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.slow
@pytest.mark.parametrize("layer", [None, "layer3"])
def test_two_hundred_batches_leave_memory_flat(layer):
    model = lively("test_resnet", channels=(8, 8, 8, 8))
    viewer = Viewer(model, layer)
    methods = [cams.get(name)() for name in METHODS]
    sizes = []
    gc.disable()  # nothing may depend on the collector of cycles
    try:
        for batch in range(200):
            view = viewer(pictures(2, 32, 64, seed=batch))
            for method in methods:
                method(view)
            if batch >= 20:  # the allocator has settled
                sizes.append(resident_bytes())
    finally:
        gc.enable()
    assert max(sizes) <= 1.02 * min(sizes)


def test_no_tensor_survives_its_view():
    model = lively("test_resnet")
    viewer = Viewer(model, "layer3")
    methods = [cams.get(name)() for name in METHODS]

    def tensors():
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    def batch():
        view = viewer(pictures())
        for method in methods:
            method(view)

    batch()
    gc.collect()
    before = tensors()
    gc.disable()
    try:
        for _ in range(3):
            batch()
        assert tensors() == before
    finally:
        gc.enable()


@pytest.mark.parametrize("layer", [None, "layer3", ["layer2", "layer4.0.conv2"]])
def test_the_model_is_bit_identical_afterwards(layer):
    model = lively("test_resnet")
    model.train()
    model.layer1.eval()
    for parameter in model.layer2.parameters():
        parameter.requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    facts = [
        (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in vars(m))
        for m in model.modules()
    ]
    view = Viewer(model, layer)(pictures())
    for name in METHODS:
        cams.get(name)()(view)
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert facts == [
        (m.training, len(m._forward_hooks), len(m._forward_pre_hooks), "forward" in vars(m))
        for m in model.modules()
    ]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(p.requires_grad for p in model.layer2.parameters())


def test_the_viewer_recovers_from_a_method_that_fails():
    model = lively("test_resnet")
    viewer = Viewer(model, "layer3")
    expected = viewer(pictures()).gradients().clone()
    with pytest.raises(RuntimeError):
        viewer(pictures()).head(torch.zeros(2, 7, 4, 6))
    assert not any("forward" in vars(module) for module in model.modules())
    torch.testing.assert_close(viewer(pictures()).gradients(), expected)
