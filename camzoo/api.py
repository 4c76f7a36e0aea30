"""Maps of any timm classifier in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from camzoo.cams import cams
from camzoo.cams.base import CamMethod
from camzoo.cams.fusion import Fusion
from camzoo.cams.view import FeatureView, Viewer
from camzoo.errors import ConfigError


def compute_cams(
    model: nn.Module,
    images: Tensor,
    methods: str | CamMethod | Iterable[str | CamMethod],
    layer: str | Sequence[str] | None = None,
    *,
    fusion: Fusion | str = Fusion.MAX,
) -> dict[str, Tensor]:
    """Compute the raw maps of several methods for all classes, from one pass of the network.

    Raw means: larger is more evidence, negative values allowed, not resized, not normalised.

    Args:
        model: Any timm classifier. It is left as it was, mode and gradients included.
        images: Normalised as the model wants it, [B, 3, H, W], on the model's device.
        methods: Names from ``camzoo list cams``, or methods with settings of their own, such as
            ``SmoothGradCamPlusPlus(samples=16)``. A method that must be trained is given fitted.
        layer: Target layer or layers by name (``camzoo layers MODEL``); None is what the global
            pooling sees.
        fusion: How the maps of several layers become one.

    Returns:
        Name to maps [B, C, h, w], float32, on the device of the images, in the order of
        ``methods``. The grid is that of the features, or of the images for methods that do not
        read features.

    Raises:
        ConfigError: A method, layer or fusion is unknown, or a method cannot be used here; the
            message says why.

    Example:
        >>> import timm, torch
        >>> model = timm.create_model("test_resnet", num_classes=4)
        >>> maps = compute_cams(model, torch.rand(2, 3, 96, 160), ["cam", "eigen-cam"])
        >>> tuple(maps["cam"].shape)
        (2, 4, 3, 5)
    """
    chosen = _instances(methods)
    view = Viewer(model, layer, fusion)(images)
    return {name: _maps(name, method, view) for name, method in chosen.items()}


def _instances(methods: str | CamMethod | Iterable[str | CamMethod]) -> dict[str, CamMethod]:
    listed = [methods] if isinstance(methods, str | CamMethod) else list(methods)
    chosen: dict[str, CamMethod] = {}
    for method in listed:
        instance = cams.get(method)() if isinstance(method, str) else method
        if isinstance(method, str) and instance.needs_fit:
            raise ConfigError(
                f"{method} learns from training slices: fit it and pass the method, not its name"
            )
        name = instance.name or type(instance).__name__
        if name in chosen:
            raise ConfigError(f"method {name!r} is asked for twice; ask once per call")
        chosen[name] = instance
    return chosen


def _maps(name: str, method: CamMethod, view: FeatureView) -> Tensor:
    classes = view.logits.shape[1]
    if classes < method.min_classes:
        raise ConfigError(
            f"{name} compares classes and needs {method.min_classes}; the model has {classes}"
        )
    return method(view)
