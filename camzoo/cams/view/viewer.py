"""Looks at batches of images through a classifier, at chosen layers."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import shorten
from typing import cast

import torch
from torch import Tensor, nn

from camzoo.cams.view.cut import Cut, HeadCut, Trace
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.fusion import Fusion
from camzoo.cams.view.layer_cut import LayerCut
from camzoo.cams.view.linear import Readout, find_readout, normed_weights
from camzoo.cams.view.network_pass import NetworkPass
from camzoo.cams.view.order import in_raster_order
from camzoo.cams.view.targets import UNKNOWN, Layer, default_layer, last_map, layer_names
from camzoo.core.errors import CamzooError, ConfigError
from camzoo.network.isolation import evaluating, grad_mode
from camzoo.network.layout import Layout, layout_in
from camzoo.network.outputs import logits_of
from camzoo.network.wrappers import unwrap


class Viewer:
    """Looks at images through a classifier, which it never changes.

    Args:
        model: Any classifier of images, on any device, in any mode: it is run in evaluation mode
            and every module is put back into its own. What ``torch.compile`` or copies for several
            devices wrap around it is left aside.
        layer: The target layer by its name in ``model.named_modules()`` or as the module itself, or
            several of them. None means what the global pooling of a timm model sees; for a vision
            transformer that classifies by its class token (whose last patch tokens have no
            influence), the first norm of the last block; and for a network that timm did not
            build, the last layer that gives a feature map whose places count.
        fusion: How the maps of several layers become one: "max", "mean" or "product".

    Attributes:
        model: The network inside all wrappers.
        layers: Names of the target layers; empty for what the pooling sees, and before the first
            batch where the layer has to be looked for.

    Raises:
        ConfigError: The layer does not exist or cannot be used, the fusion is unknown, or the model
            is traced or scripted.

    Example:
        >>> import timm
        >>> viewer = Viewer(timm.create_model("resnet18", num_classes=4))
        >>> view = viewer(torch.rand(2, 3, 64, 96))
        >>> tuple(view.features.shape), view.closed_form
        ((2, 512, 2, 3), True)
    """

    def __init__(
        self,
        model: nn.Module,
        layer: Layer | Iterable[Layer] | None = None,
        fusion: Fusion | str = Fusion.MAX,
    ) -> None:
        self.model = unwrap(model)
        self.fusion = Fusion.named(fusion)
        self.layers: tuple[str, ...] = ()
        self._cut: Cut | None = None  # until the first batch, where the layer has to be looked for
        if layer is not None:
            self._cut_at(layer_names(layer, model))
        elif HeadCut.suits(self.model) and (known := default_layer(self.model)) is not UNKNOWN:
            if known is None:
                self._cut = HeadCut(self.model)
            else:
                self._cut_at((known,))
        self._layouts: dict[torch.Size, list[Layout]] = {}
        self._readout: Readout | None = None
        self._normed: Tensor | None = None
        self._explored = False
        self._beside: dict[tuple[str, ...], Viewer] = {}

    def __call__(
        self, images: Tensor, *, rows: slice = slice(None), mirrored: bool = False
    ) -> FeatureView:
        """Run the network once on a batch of normalised images, on its device.

        The first batch is used to find out, with a few more passes, what kind of network it is.

        Args:
            images: [B, 3, H, W].
            rows: Which slices they show, for the view to tell.
            mirrored: Whether they are mirrored left to right, likewise.

        Raises:
            ConfigError: The images are no float batch, the network cannot classify them, or the
                layer gives no feature map.
        """
        if images.ndim != 4 or not images.is_floating_point() or not images.numel():
            raise ConfigError(
                "expected a float batch of images [B, channels, height, width], got "
                f"{tuple(images.shape)} of {images.dtype}"
            )
        seen = self._look(images) if self._explored else self._first(images)

        def view(index: int, earlier: tuple[FeatureView, ...] = ()) -> FeatureView:
            return FeatureView(
                self, images, seen.features(index), seen.logits.detach().float(),
                bool(self.closed_form), self.class_weights(),
                self.layers[index] if self.layers else None, seen.layouts[index],
                rows, mirrored, earlier, seen, index,
            )  # fmt: skip

        last = len(seen.layouts) - 1
        with grad_mode(enabled=False):
            return view(last, tuple(map(view, range(last))))

    def at(self, layers: tuple[str, ...]) -> Viewer:
        """Return the viewer of other layers of the same model, which is looked into only once.

        Raises:
            ConfigError: A layer does not exist.
        """
        if layers not in self._beside:
            self._beside[layers] = Viewer(self.model, layers)
        return self._beside[layers]

    @property
    def closed_form(self) -> bool | None:
        """Whether average pooling and one linear layer follow the layer; None before any view."""
        return self._readout is not None if self._explored else None

    def classify(self, images: Tensor) -> Tensor:
        """Return the logits [N, C] of images, without a view.

        Differentiable with respect to the images if they require it.
        """
        with evaluating(self.model), grad_mode(enabled=images.requires_grad):
            return logits_of(self.model(images), len(images), self.model).float()

    def class_weights(self) -> Tensor | None:
        """Return a copy of the weights [C, K] that plain CAM takes, if there are such."""
        if self._readout is not None:
            return self._readout.weights()
        return None if self._normed is None else self._normed.clone()

    def _cut_at(self, names: tuple[str, ...]) -> None:
        self.layers, self._cut = names, LayerCut(self.model, names)

    def _first(self, images: Tensor) -> NetworkPass:
        """Look for the first time, when the network may turn out not to take such images."""
        try:
            if self._cut is None:
                self._cut_at((last_map(self.model, images[:1]),))
            return self._look(images)
        except (CamzooError, MemoryError, torch.OutOfMemoryError):
            raise
        except (RuntimeError, ValueError, TypeError, LookupError, AssertionError) as error:
            if "memory" in str(error):  # how an allocator says it
                raise
            raise ConfigError(
                f"{type(self.model).__name__} cannot be looked into on images "
                f"{list(images.shape)} of {str(images.dtype).removeprefix('torch.')} on "
                f"{images.device}: {type(error).__name__}: {shorten(str(error), 300)}"
            ) from error

    def _look(self, images: Tensor) -> NetworkPass:
        cut = cast("Cut", self._cut)
        trace = cut.forward(images, graph=self._readout is None)
        seen = NetworkPass(cut, trace, self._layouts_of(cut, trace))
        if not self._explored:
            self._explore(seen)
        return seen

    def _explore(self, seen: NetworkPass) -> None:
        """Find out what kind of head follows the layer, once."""
        if len(seen.layouts) == 1:
            self._readout = find_readout(seen)
            if self._readout is None and not self.layers:
                self._normed = normed_weights(seen)
        self._explored = True

    def _layouts_of(self, cut: Cut, trace: Trace) -> list[Layout]:
        """How the layers arrange their outputs; found out once for each size of images."""
        size = trace.images.shape[1:]
        if size not in self._layouts:
            found = [self._layout(output, trace.images) for output in trace.outputs]
            self._layouts[size] = [
                in_raster_order(cut, trace, index, layout, self._place)
                for index, layout in enumerate(found)
            ]
        return self._layouts[size]

    def _layout(self, output: Tensor, images: Tensor) -> Layout:
        layout = layout_in(self.model, output.shape, (images.shape[2], images.shape[3]))
        if layout is None or len(output) != len(images):
            raise ConfigError(
                f"{self._place}: {tuple(output.shape)} is no feature map of images "
                f"{tuple(images.shape)}; choose another layer (camzoo layers lists those of timm's "
                "models)"
            )
        return layout

    @property
    def _place(self) -> str:
        return f"{' or '.join(self.layers) or 'the features'} of {type(self.model).__name__}"
