"""Maps of any classifier of images in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from textwrap import shorten
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from camzoo.cams import cams
from camzoo.cams.asking import harm
from camzoo.cams.base import CamMethod
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.fusion import Fusion
from camzoo.cams.view.targets import Layer
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import CamzooError, ConfigError
from camzoo.core.spec import build, parse

#: Faults of the machine, which end the call: no method is to blame for them.
_MACHINE: Final = (MemoryError, OSError, torch.OutOfMemoryError)


class MissingMapsWarning(UserWarning):
    """Some of the methods that were asked for cannot be had on this network; the others can."""


def compute_cams(
    model: nn.Module,
    images: Tensor | NDArray[Any],
    methods: str | CamMethod | Iterable[str | CamMethod],
    layer: Layer | Iterable[Layer] | None = None,
    *,
    classes: int | Sequence[int] | None = None,
    fusion: Fusion | str = Fusion.MAX,
) -> dict[str, Tensor]:
    """Compute the raw maps of several methods, from one pass of the network.

    Raw means: larger is more evidence, negative values allowed, not resized, not normalised. For a
    picture see :func:`camzoo.overlay`.

    Args:
        model: Any classifier that gives logits [B, C] for images: of timm, torchvision, MONAI, your
            own; compiled, or wrapped for several devices. Of outputs that are tuples or
            dictionaries the logits are taken where it is clear which they are, and one logit per
            image, [B], counts as one class. It is left as it was, mode and gradients included.
        images: Normalised as the model wants it, [B, channels, H, W], floating point, on the
            model's device; a NumPy array is brought there. Grey images [B, H, W] are taken by a
            model of one channel, whose convolutions say so.
        methods: Names from ``camzoo list cams``, with settings where one wants others than the
            defaults (``smooth-grad-cam++:samples=16``), or methods themselves, such as
            ``MyCam(samples=16)``. A method that must be trained is given fitted.
        layer: Target layer or layers, by name as in ``model.named_modules()`` (``camzoo layers
            MODEL``) or as modules. None is what the global pooling of a timm model sees; of other
            networks, the last layer that gives a feature map.
        classes: Which of the model's classes to return maps of, by number, in this order; None is
            all.
        fusion: How the maps of several layers become one.

    Returns:
        Name, as it was asked for, to maps [B, C, h, w], float32, on the device of the images, in
        the order of ``methods``. The grid is that of the features, or of the images for methods
        that do not read features. Where some of several methods cannot be had on this network,
        those are missing, and a :class:`MissingMapsWarning` says why.

    Raises:
        ConfigError: The images, a name, layer, class or fusion is wrong, or none of the methods can
            be used here; the message says why.

    Example:
        >>> import timm, torch
        >>> model = timm.create_model("test_resnet", num_classes=4)
        >>> maps = compute_cams(model, torch.rand(2, 3, 96, 160), ["cam", "eigen-cam"])
        >>> tuple(maps["cam"].shape)
        (2, 4, 3, 5)
    """
    chosen = _instances(methods)
    viewer = Viewer(model, layer, fusion)
    maps, missing = _asked(chosen, lambda: viewer(_batch(images, viewer.model)), classes)
    _report(missing, alone=not maps)
    return maps


def _asked(
    methods: dict[str, CamMethod],
    look: Callable[[], FeatureView],
    classes: int | Sequence[int] | None,
) -> tuple[dict[str, Tensor], dict[str, Exception]]:
    """Maps of the methods that can be had here, and why the others cannot."""
    view = look()
    wanted = _class_numbers(classes, view.logits.shape[1])
    maps: dict[str, Tensor] = {}
    missing: dict[str, Exception] = {}
    for name, method in methods.items():
        try:
            found = _maps(name, method, view)
        except _MACHINE:
            raise
        except Exception as error:  # a plug-in may raise anything
            missing[name] = error
        else:
            maps[name] = found if wanted is None else found[:, wanted]
        if view.changes():
            view = look()
    return maps, missing


def _report(missing: dict[str, Exception], *, alone: bool) -> None:
    """Raise if there are no maps at all, else warn of those that are missing."""
    if not missing:
        return
    if alone and len(missing) == 1:
        raise next(iter(missing.values()))
    reasons = "; ".join(
        f"{name}: {shorten(str(error), 300) if isinstance(error, CamzooError) else repr(error)}"
        for name, error in missing.items()
    )
    if alone:
        raise ConfigError(f"none of the methods can be had here: {reasons}")
    warnings.warn(f"no maps of {reasons}", MissingMapsWarning, stacklevel=3)


def _instances(methods: str | CamMethod | Iterable[str | CamMethod]) -> dict[str, CamMethod]:
    listed = [methods] if isinstance(methods, str | CamMethod) else _listed(methods)
    if not listed:
        raise ConfigError("no method is asked for; camzoo list cams names them")
    chosen: dict[str, CamMethod] = {}
    asked: set[str] = set()
    for method in listed:
        if not isinstance(method, str | CamMethod):
            raise ConfigError(
                f"expected methods by name or as CamMethod objects, got {shorten(repr(method), 80)}"
            )
        if isinstance(method, str):
            spec = parse(method, cams)
            name, one, instance = method, str(spec), build(spec, cams)
            instance = _Unfitted(spec.name) if instance.needs_fit else instance
        else:
            name = one = method.name or type(method).__name__
            instance = method
        if one in asked:
            raise ConfigError(f"method {one!r} is asked for twice; ask once per call")
        asked.add(one)
        chosen[name] = instance
    return chosen


def _listed(methods: Any) -> list[Any]:
    try:
        return list(methods)
    except TypeError as error:
        raise ConfigError(f"expected methods, got {type(methods).__name__}") from error


class _Unfitted(CamMethod):
    """Stands for a method that would have to learn first."""

    def __init__(self, method: str) -> None:
        self._method = method

    def saliency(self, _view: FeatureView) -> Tensor:
        raise ConfigError(
            f"{self._method} learns from training slices: fit it and pass the method, not its name"
        )


def _batch(images: Tensor | NDArray[Any], model: nn.Module) -> Tensor:
    """Bring images into the form [B, channels, H, W] on the model's device.

    Raises:
        ConfigError: They are no such batch, or for a model of other channels.
    """
    first = next(model.parameters(), None)
    if isinstance(images, np.ndarray):
        if images.dtype.kind != "f":
            raise ConfigError(
                f"expected images as floats, normalised as the model wants them, got {images.dtype}"
            )
        kind = first.dtype if first is not None else torch.float32
        batch = torch.from_numpy(np.array(images, dtype=np.float32, order="C")).to(kind)
        batch = batch if first is None else batch.to(first.device)
    elif isinstance(images, Tensor):
        batch = images
    else:
        raise ConfigError(
            f"expected images as a tensor or a NumPy array, got {type(images).__name__}"
        )
    return _with_channels(batch, _channels(model))


def _with_channels(batch: Tensor, channels: int | None) -> Tensor:
    shape = list(batch.shape)
    if batch.ndim == 3 and channels == 1:
        return batch[:, None]
    if batch.ndim == 3:
        raise ConfigError(
            f"expected images [B, {channels or 'channels'}, H, W], got {shape}; only a model of "
            "one channel takes grey images [B, H, W]"
        )
    if batch.ndim == 4 and channels is not None and shape[3] == channels != shape[1]:
        raise ConfigError(
            f"expected images [B, {channels}, H, W], got {shape}; bring the last axis to the front "
            "(NumPy: transpose(0, 3, 1, 2), torch: permute(0, 3, 1, 2))"
        )
    return batch


def _channels(model: nn.Module) -> int | None:
    """How many channels the model takes by its first convolution, if it has one."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    return None


def _class_numbers(classes: int | Sequence[int] | None, count: int) -> list[int] | None:
    if classes is None:
        return None
    listed: list[Any] = list(classes) if isinstance(classes, Iterable) else [classes]
    if any(isinstance(c, bool) or not isinstance(c, int | np.integer) for c in listed):
        raise ConfigError(f"expected classes by number, 0 to {count - 1}, got {classes!r}")
    outside = [c for c in listed if not 0 <= c < count]
    if outside or not listed or len(set(listed)) < len(listed):
        raise ConfigError(
            f"expected one or more different classes from 0 to {count - 1}, got {classes!r}"
        )
    return [int(c) for c in listed]


def _maps(name: str, method: CamMethod, view: FeatureView) -> Tensor:
    classes = view.logits.shape[1]
    if classes < method.min_classes:
        raise ConfigError(
            f"{name} compares classes and needs {method.min_classes}; the model has {classes}"
        )
    maps = method(view)
    changed = view.changes()
    if changed:
        raise ConfigError(f"{name} {harm(changed)}")
    return maps
