"""The conformance kit: what every CAM method has to hold to, tried out on tiny networks.

``camzoo check module:Class`` runs it, and so do the tests, on every registered method.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
import timm
import torch
from torch import Tensor, nn

from camzoo.cams.base import CamMethod, FitContext
from camzoo.cams.view.viewer import Viewer
from camzoo.conformance.kit import BrokenError, Result, run_checks
from camzoo.core.errors import ConfigError
from camzoo.core.randomness import seeded
from camzoo.data.slices import TaggedSlices
from camzoo.network.backbone import Classifier

#: Makes a method with the settings that are to be checked.
Method = Callable[[], CamMethod]


def check_method(
    method: type[CamMethod], settings: Mapping[str, Any] | None = None
) -> list[Result]:
    """Run all checks on a method; one that raises fails, and the others are still run.

    Args:
        method: Need not be registered.
        settings: Arguments of its constructor.
    """
    return run_checks(_CHECKS, partial(method, **(settings or {})))


def _shape(method: Method) -> None:
    """Three images that are not square, four classes: [3, 4, h, w], of the images' proportions."""
    network, images = _network(method, 4), _images(3)
    maps, grid = _maps(method, network, images), Viewer(network)(images).features.shape[2:]
    if maps.ndim != 4 or maps.shape[:2] != (3, 4):
        raise BrokenError(f"expected [3, 4, h, w], got {list(maps.shape)}")
    if maps.shape[2:] not in (grid, images.shape[2:]):
        raise BrokenError(
            f"expected the grid of the features ({grid[0]} x {grid[1]}) or of the images "
            f"(96 x 64), got {maps.shape[2]} x {maps.shape[3]}"
        )


def _one_class_one_channel(method: Method) -> None:
    classes = method().min_classes
    maps = _maps(method, _network(method, classes, channels=1), _images(2, channels=1))
    if maps.shape[:2] != (2, classes):
        raise BrokenError(f"expected [2, {classes}, h, w], got {list(maps.shape)}")


def _type(method: Method) -> None:
    maps = _maps(method, _network(method, 4), _images(2))
    if maps.dtype != torch.float32:
        raise BrokenError(f"expected float32, got {maps.dtype}")
    if maps.device != _images(1).device:
        raise BrokenError(f"expected maps on {_images(1).device}, got {maps.device}")
    if maps.requires_grad:
        raise BrokenError("the maps hang on a graph; detach them, or they keep its memory")


def _repeatable(method: Method) -> None:
    first, second = (_maps(method, _network(method, 4), _images(2)) for _ in range(2))
    if not torch.equal(first, second):
        raise BrokenError("two runs differ; seed what is random, from the image or the generator")


def _independent_of_the_batch(method: Method) -> None:
    together = _maps(method, _network(method, 4), _images(3))
    alone = _maps(method, _network(method, 4), _images(3)[1:2])
    _expect_close(alone, together[1:2], "an image alone gives another map than in a batch")


def _finite(method: Method, value: float) -> None:
    network = _network(method, 4)
    trunk = network.forward_features
    network.forward_features = lambda images, **more: trunk(images, **more) * 0 + value
    # Where each token lies cannot be seen of constant features: transformers are viewed elsewhere.
    layer = _middle(method) if method().needs_attention else None
    maps = _maps(method, network, _images(2), layer=layer)
    if not maps.isfinite().all():
        raise BrokenError(f"features that are {value} everywhere give maps that are not finite")


def _all_negative(method: Method) -> None:
    _finite(method, -1.0)


def _constant(method: Method) -> None:
    _finite(method, 1.0)


def _zero(method: Method) -> None:
    _finite(method, 0.0)


def _class_order(method: Method) -> None:
    """Classes exchanged in the classifier are exchanged in the maps."""
    if method().control:
        return
    network, order = _network(method, 4), [2, 0, 3, 1]
    before = _maps(method, network, _images(2))
    head = network.get_classifier()
    with torch.no_grad():
        head.weight.copy_(head.weight[order])
        head.bias.copy_(head.bias[order])
    after = _maps(method, network, _images(2), tag_order=order)
    _expect_close(after, before[:, order], "exchanging classes does not exchange their maps")
    if not method().class_specific and not torch.equal(before, before[:, :1].expand_as(before)):
        raise BrokenError("class_specific is False, but classes get different maps")


def _other_layer(method: Method) -> None:
    """A layer in the middle, where nothing has a closed form. Refusing it clearly is in order."""
    try:
        maps = _maps(method, _network(method, 4), _images(2), layer=_middle(method))
    except ConfigError:
        return
    if maps.shape[:2] != (2, 4) or not maps.isfinite().all():
        raise BrokenError(f"at a layer in the middle: shape {list(maps.shape)}, or not finite")


def _inference_mode(method: Method) -> None:
    network = _network(method, 4)
    with torch.inference_mode():
        _maps(method, network, _images(2))


def _leaves_the_model_alone(method: Method) -> None:
    network = _network(method, 4)
    network.train()
    for module in list(network.modules())[::2]:
        module.training = False
    for parameter in list(network.parameters())[::2]:
        parameter.requires_grad_(False)
    before = _state(network)
    _maps(method, network, _images(2))
    for (what, old), (_, new) in zip(before, _state(network), strict=True):
        if not (torch.equal(old, new) if isinstance(old, Tensor) else old == new):
            raise BrokenError(f"{what} of the model is changed")


def _leaves_the_view_alone(method: Method) -> None:
    network, images = _network(method, 4), _images(2)
    for layer in (None, _middle(method)):
        view = Viewer(network, layer)(images.clone())
        instance = method()
        try:
            if instance.needs_fit:
                instance.fit(_context(network, images, layer, None))
            instance(view)
        except ConfigError:  # refusing a layer is in order
            continue
        changed = view.changes(thorough=True)
        if changed:
            raise BrokenError(f"{changed}, which other methods read, is changed; work on a copy")


def _state(network: nn.Module) -> list[tuple[str, Any]]:
    """Everything a method could change, with a name for it."""
    tensors = [(name, value.clone()) for name, value in network.state_dict().items()]
    modes = [(f"mode of {name}", m.training) for name, m in network.named_modules()]
    hooks = [(f"hooks of {n}", len(m._forward_hooks)) for n, m in network.named_modules()]
    own = [(f"forward of {n}", "forward" in vars(m)) for n, m in network.named_modules()]
    grads = [(f"gradient of {n}", p.grad is None) for n, p in network.named_parameters()]
    frozen = [(f"requires_grad of {n}", p.requires_grad) for n, p in network.named_parameters()]
    return [*tensors, *modes, *hooks, *own, *grads, *frozen]


def _maps(
    method: Method,
    network: Any,
    images: Tensor,
    *,
    layer: str | None = None,
    tag_order: list[int] | None = None,
) -> Tensor:
    """Run a fresh instance, fitted where it has to be."""
    instance = method()
    if instance.needs_fit:
        instance.fit(_context(network, images, layer, tag_order))
    return instance(Viewer(network, layer)(images))


def _context(
    network: Any, images: Tensor, layer: str | None, tag_order: list[int] | None
) -> FitContext:
    channels, classes = images.shape[1], network.num_classes
    rng = np.random.default_rng(0)
    store = rng.integers(0, 256, (12, 64, 64), dtype=np.uint8)
    tags = (rng.random((12, classes)) < 0.6).astype(np.uint8)
    slices = TaggedSlices(
        store=store,
        rows=np.arange(12),
        tags=tags if tag_order is None else tags[:, tag_order],
        organs=tuple(f"organ{c}" for c in range(classes)),
        sided=False,
        cases=(("case", 0, 12),),
    )
    classifier = Classifier(network, (0.5,) * channels, (0.5,) * channels, frozen_norm=True)
    generator = torch.Generator().manual_seed(0)
    return FitContext(classifier, slices, generator, images.device, layer)


def _network(method: Method, classes: int, channels: int = 3) -> Any:
    """A small ResNet or transformer with pooling and a linear head, the same at every call."""
    name = "test_resnet"
    options: dict[str, Any] = {"channels": (8, 8, 16, 16), "zero_init_last": False}
    if method().needs_attention:
        name = "test_vit"
        options = {"dynamic_img_size": True, "global_pool": "avg", "fc_norm": False}
    with seeded(0):
        network: Any = timm.create_model(name, num_classes=classes, in_chans=channels, **options)
        nn.init.normal_(network.get_classifier().weight, std=0.5)
        nn.init.normal_(network.get_classifier().bias)
    return network.eval()


def _middle(method: Method) -> str:
    """A layer in the middle of that network."""
    return "blocks.3" if method().needs_attention else "layer3"


def _images(count: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, 96, 64, generator=generator)


def _expect_close(got: Tensor, expected: Tensor, complaint: str) -> None:
    scale = expected.abs().max().item() or 1.0
    gap = (got - expected).abs().max().item() / scale
    if not gap < 1e-3:
        raise BrokenError(f"{complaint}: they differ by {gap:.1%} of the largest value")


_CHECKS: Final[dict[str, Callable[[Method], None]]] = {
    "shape [B, C, h, w] for images that are not square": _shape,
    "one class, one image channel": _one_class_one_channel,
    "float32, on the device of the images, without a graph": _type,
    "the same twice": _repeatable,
    "each image for itself": _independent_of_the_batch,
    "features all negative": _all_negative,
    "features constant": _constant,
    "features zero": _zero,
    "order of classes": _class_order,
    "a layer in the middle": _other_layer,
    "under torch.inference_mode": _inference_mode,
    "model, modes, hooks and gradients unchanged": _leaves_the_model_alone,
    "the view unchanged": _leaves_the_view_alone,
}
