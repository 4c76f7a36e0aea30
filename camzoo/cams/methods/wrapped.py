"""Every CAM class of pytorch-grad-cam as a method called ``gradcam:<ClassName>``.

The library runs as its authors wrote it, on the same model, layer and images. It leaves its traces
on the model (mode, parameter gradients, hooks, replaced layers), all of which are undone. Where a
class makes a raw map, that is what is returned, so that it is treated like any other method's; the
few that only give finished maps (FullGrad, FinerCAM, RefineCAM, SESS) come as they are, scaled to
[0, 1] on the grid of the image.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from camzoo.cams.base import CamMethod
from camzoo.cams.methods.grad_cam_classes import class_names, facts_of, summary_of
from camzoo.cams.view.feature_view import FeatureView
from camzoo.core.errors import ConfigError
from camzoo.network.isolation import evaluating, grad_mode, hooked, undone
from camzoo.network.outputs import logits_of


def __getattr__(name: str) -> type[CamMethod]:
    """Make the method of a library class when it is asked for."""
    if name not in class_names():
        raise AttributeError(f"pytorch-grad-cam has no CAM class {name!r}")
    return _method(name)


@cache
def _method(name: str) -> type[CamMethod]:
    facts = {
        "__module__": __name__,
        "__doc__": summary_of(name),
        "name": f"gradcam:{name}",
        "library_class": name,
        **facts_of(name),
    }
    return type(name, (LibraryCam,), facts)


class LibraryCam(CamMethod):
    """Runs a class of pytorch-grad-cam, class by class.

    Attributes:
        library_class: Its name.
    """

    paper = "as implemented in pytorch-grad-cam (Gildenblat et al.)"
    cost = "at least 1 forward and 1 backward per class through the whole network"
    library_class: ClassVar[str]

    def saliency(self, view: FeatureView) -> Tensor:
        """Return the library's maps: raw ones on the features' grid where it has them."""
        model = view.viewer.model
        layers = [_module(view)]
        maps = []
        with (
            grad_mode(enabled=True),
            undone(model),
            evaluating(model),
            _quiet(),
            _seeded(),
            _plain_attention(),
        ):
            cam, raw = self._make(_LogitsAlone(model), layers, view)
            try:
                for c in range(view.logits.shape[1]):
                    finished = cam(view.images.clone(), **self._target(c, len(view.images)))
                    maps.append(torch.as_tensor(raw.pop() if raw else finished))
            finally:
                _forget(cam)
        return torch.stack(maps, dim=1).to(view.features)

    def _make(
        self, model: nn.Module, layers: list[nn.Module], view: FeatureView
    ) -> tuple[Callable[..., Any], list[Any]]:
        """Return the library's object, and a list that each of its raw maps is put into."""
        import pytorch_grad_cam as library

        raw: list[Any] = []
        cls = getattr(library, self.library_class)
        if hasattr(cls, "get_cam_image"):
            cls = _listening(cls, raw)
        options: dict[str, Any] = {}
        if view.layout.kind != "nchw":
            options["reshape_transform"] = view.layout.to_map
        if view.layout.kind == "tokens" and self.library_class == "AblationCAM":
            options["ablation_layer"] = library.ablation_layer.AblationLayerVit()
        if self.library_class == "FullGrad":
            layers = []
        return cls(model, layers, **options), raw

    def _target(self, c: int, count: int) -> dict[str, Any]:
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        if self.library_class == "FinerCAM":  # compares only if it may choose the targets itself
            return {"targets": None, "target_idx": c}
        return {"targets": [ClassifierOutputTarget(c)] * count}


class _LogitsAlone(nn.Module):
    """A network as the library needs it: one that gives logits [B, C] and nothing else."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return logits_of(self.model(images), len(images), self.model)


def _listening(cls: Any, raw: list[Any]) -> Any:
    """Derive a class that remembers its last raw map, before ReLU and scaling."""

    class Listening(cls):  # type: ignore[misc]
        def get_cam_image(self, *args: Any, **kwargs: Any) -> Any:
            raw[:] = [super().get_cam_image(*args, **kwargs)]
            return raw[0]

    return Listening


def _module(view: FeatureView) -> nn.Module:
    """Return the module whose output are the features, which the library wants to hook."""
    model = view.viewer.model
    if view.layer is not None:
        return model.get_submodule(view.layer)
    given: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, _: object, output: Any) -> None:
        given.append((module, output))

    with evaluating(model), grad_mode(enabled=False), hooked((model.modules(), keep)):
        features = model.forward_features(view.images[:1])  # type: ignore[operator]
    makers = [module for module, output in given if output is features]
    if not makers:
        raise ConfigError(
            f"no module of {type(model).__name__} gives the features themselves, which "
            "pytorch-grad-cam needs; choose a layer by name (camzoo layers lists them)"
        )
    return makers[-1]


def _forget(cam: Any) -> None:
    """Empty what the library's objects hold; their own clean-up fails on token maps."""
    bases = getattr(cam, "base_cam_per_layer", [getattr(cam, "base_cam", cam)])
    for base in bases:
        base.activations_and_grads.gradients = []
        base.activations_and_grads.activations = []


def _plain_attention() -> AbstractContextManager[None]:
    """Use the only attention kernel that can be differentiated twice, which ShapleyCAM does."""
    return sdpa_kernel(SDPBackend.MATH)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow the library's progress bars and remarks."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Make the library's random maps repeatable, and leave NumPy's global generator as it was."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
