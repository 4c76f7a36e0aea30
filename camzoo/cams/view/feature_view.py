"""What a classifier saw in one batch, computed once and shared by all CAM methods.

A :class:`Viewer` is set up once per model and layer; called on a batch it gives a
:class:`FeatureView`. The network is run once. Whatever a method asks for besides (gradients,
ablated logits) is made on first use, from the part of the network behind the layer only. Where that
part is average pooling and a linear layer, both have a closed form and cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import shorten
from typing import cast

import torch
from torch import Tensor, nn

from camzoo.cams.view.cut import Cut, HeadCut, Trace, no_gradient
from camzoo.cams.view.fusion import Fusion
from camzoo.cams.view.layer_cut import LayerCut
from camzoo.cams.view.linear import UNKNOWN, Readout, default_layer, find_readout, normed_weights
from camzoo.cams.view.order import in_raster_order
from camzoo.cams.view.seals import Seals
from camzoo.cams.view.targets import Layer, last_map, layer_names
from camzoo.core.errors import CamzooError, ConfigError
from camzoo.network.isolation import evaluating, grad_mode
from camzoo.network.layout import Layout, layout_in
from camzoo.network.outputs import logits_of
from camzoo.network.wrappers import unwrap

#: How many numbers a batch of perturbed features may hold at once (64 MB in float32).
CHUNK = 2**24

#: What a view gets to know after it was made.
_MOVING = ("earlier", "rows", "mirrored", "_ablated")


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

    def __call__(self, images: Tensor) -> FeatureView:
        """Run the network once on a batch of normalised images [B, 3, H, W], on its device.

        The first batch is used to find out, with a few more passes, what kind of network it is.

        Raises:
            ConfigError: The images are no float batch, the network cannot classify them, or the
                layer gives no feature map.
        """
        if images.ndim != 4 or not images.is_floating_point() or not images.numel():
            raise ConfigError(
                "expected a float batch of images [B, channels, height, width], got "
                f"{tuple(images.shape)} of {images.dtype}"
            )
        if not self._explored:
            return self._first(images)
        return self._look(images)

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

    def _first(self, images: Tensor) -> FeatureView:
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
                f"{list(images.shape)} of {_short(images.dtype)} on {images.device}: "
                f"{type(error).__name__}: {shorten(str(error), 300)}"
            ) from error

    def _look(self, images: Tensor) -> FeatureView:
        cut = cast("Cut", self._cut)
        trace = cut.forward(images, graph=self._readout is None)
        layouts = self._layouts_of(cut, trace)
        if not self._explored:
            self._explore(cut, trace, layouts)
        gradients = _Gradients(self.model, trace, layouts)
        with grad_mode(enabled=False):
            views = [
                FeatureView(self, cut, trace, index, layout, gradients)
                for index, layout in enumerate(layouts)
            ]
        views[-1].earlier = tuple(views[:-1])
        return views[-1]

    def _explore(self, cut: Cut, trace: Trace, layouts: Sequence[Layout]) -> None:
        """Find out what kind of head follows the layer, once."""
        if len(layouts) == 1:
            self._readout = find_readout(cut, trace, layouts[0])
            if self._readout is None and not self.layers:
                self._normed = normed_weights(cut, trace, layouts[0])
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


class FeatureView:
    """One batch as a classifier sees it at one layer.

    All tensors are float32 on the model's device and outside any graph.

    Attributes:
        images: What the network was given, [B, 3, H, W].
        features: The feature map at the layer, [B, K, h, w].
        logits: [B, C].
        closed_form: Whether average pooling and one linear layer follow the layer.
        class_weights: Weights [C, K] of the linear classifier, if it weighs the channels of this
            map after pooling (and perhaps a norm); else None. What plain CAM needs.
        layer: Name of the layer, or None for what the pooling sees.
        layout: How the layer itself arranges its output.
        earlier: The views of the other layers, if the viewer was set up with several.
        rows: Which slices of a set the images are, where the pipeline made the view; else all.
        mirrored: Whether the pipeline mirrored them left to right.
    """

    def __init__(
        self,
        viewer: Viewer,
        cut: Cut,
        trace: Trace,
        index: int,
        layout: Layout,
        gradients: _Gradients,
    ) -> None:
        self.viewer = viewer
        self.images = trace.images
        self.features = layout.to_map(trace.outputs[index].detach()).float()
        self.logits = trace.logits.detach().float()
        self.closed_form = bool(viewer.closed_form)
        self.class_weights = viewer.class_weights()
        self._linear = self.class_weights if self.closed_form else None
        self.layer = viewer.layers[index] if viewer.layers else None
        self.layout = layout
        self.earlier: tuple[FeatureView, ...] = ()
        self.rows = slice(None)
        self.mirrored = False
        self._cut, self._trace, self._index = cut, trace, index
        self._gradients = gradients
        self._ablated: Tensor | None = None
        self._seals = Seals()
        for name in ("images", "features", "logits", "class_weights"):
            self._seals.add(name, getattr(self, name))
        self._fixed = {name: value for name, value in vars(self).items() if name not in _MOVING}

    @property
    def layers(self) -> tuple[FeatureView, ...]:
        """The views of all layers the viewer was set up with; usually only this one."""
        return (*self.earlier, self)

    def changes(self, *, thorough: bool = False) -> str:
        """Say what of the view is no longer what the network gave, for messages; "" if all is.

        Args:
            thorough: Read the numbers, too, which waits for the device. Else only what torch
                itself notes is seen: not what is written through NumPy or ``.data``.
        """
        found = [name for view in self.layers for name in view._changed(thorough=thorough)]
        if not found:
            found = self._gradients.seals.broken(thorough=thorough)
        return " and ".join(f"view.{name}" for name in dict.fromkeys(found))

    def _changed(self, *, thorough: bool) -> list[str]:
        own = vars(self)
        exchanged = [name for name, value in self._fixed.items() if own.get(name) is not value]
        return [*exchanged, *self._seals.broken(thorough=thorough)]

    def head(self, features: Tensor, rows: Tensor | None = None) -> Tensor:
        """Return the logits [N, C] of other features, running only what lies behind the layer.

        Differentiable with respect to the features if they require it.

        Args:
            features: [N, K, h, w].
            rows: [N], the image of the batch that each belongs to; by default N = B, in order.
                (What is not features, such as class tokens and skip connections around the layer,
                is taken from that image.)

        Raises:
            ConfigError: N is not B and ``rows`` is not given.
        """
        if rows is None:
            if len(features) != len(self.images):
                raise ConfigError(
                    f"{len(features)} feature maps for {len(self.images)} images: say with rows "
                    "which image each belongs to"
                )
            rows = torch.arange(len(features), device=features.device)
        raw = self._trace.outputs[self._index].detach()
        with grad_mode(enabled=features.requires_grad):
            output = self.layout.from_map(features.to(raw.dtype), raw[rows, : self.layout.prefix])
            return self._cut.behind(self._index, output, self._trace, rows).float()

    def gradients(self, *, compact: bool = False) -> Tensor:
        """Return the gradient of each logit with respect to the features, [B, C, K, h, w].

        Computed once per batch for all classes and layers; parameters get no gradients.

        Args:
            compact: Leave axes along which the gradient is constant at size 1, ready for
                broadcasting: [1, C, K, 1, 1] in closed form. Otherwise such axes are expanded,
                without a copy.
        """
        if self._linear is not None:
            gradient = self._linear[None, :, :, None, None] / self.features[0, 0].numel()
        else:
            gradient = self._gradients.of(self._index)
        if compact:
            return gradient
        classes = self.logits.shape[1]
        return gradient.expand(len(self.features), classes, *self.features.shape[1:])

    def ablated_logits(self) -> Tensor:
        """Return the logits [B, K, C] that are left when one channel of the features is zero."""
        if self._ablated is None:
            with grad_mode(enabled=False):
                self._ablated = self._ablate()
            self._seals.add("ablated_logits()", self._ablated)
        return self._ablated

    def classify(self, images: Tensor) -> Tensor:
        """Return the logits [N, C] of other images, differentiable if the images require it."""
        with self._trace.autocast():
            return self.viewer.classify(images)

    def again(self, images: Tensor) -> FeatureView:
        """View other images, such as noisy copies of these, at the same layer."""
        with self._trace.autocast():
            return self.viewer(images).layers[self._index]

    def _ablate(self) -> Tensor:
        if self._linear is not None:
            share = self.features.mean((2, 3))[:, :, None] * self._linear.T
            return self.logits[:, None] - share
        ablated = self.logits[:, None].repeat(1, self.features.shape[1], 1)
        # A channel that is zero anyway changes nothing.
        rows, channels = self.features.flatten(2).any(2).nonzero(as_tuple=True)
        step = max(1, CHUNK // self.features[0].numel())
        for part in range(0, len(rows), step):
            row, channel = rows[part : part + step], channels[part : part + step]
            features = self.features[row]
            features[torch.arange(len(row), device=row.device), channel] = 0
            ablated[row, channel] = self.head(features, row)
        return ablated


class _Gradients:
    """The gradients of one pass with respect to all its target layers, made on first use."""

    def __init__(self, model: nn.Module, trace: Trace, layouts: Sequence[Layout]) -> None:
        self._model, self._trace, self._layouts = model, trace, layouts
        self.seals = Seals()
        self._made: list[Tensor] = []

    def of(self, index: int) -> Tensor:
        """Return dy/dA [B, C, K, h, w] at one layer."""
        if not self._made:
            self._made = self._make()
            for made in self._made:
                self.seals.add("gradients()", made)
        return self._made[index]

    def _make(self) -> list[Tensor]:
        """Go back once per class, from its logits to the layers and no further."""
        logits, outputs = self._trace.logits, self._trace.outputs
        batch, classes = logits.shape
        if not logits.requires_grad:
            raise ConfigError(no_gradient(self._model, "the features"))
        with evaluating(self._model), grad_mode(enabled=True):
            made = [
                torch.empty((batch, classes, layout.channels, *layout.grid), device=logits.device)
                for layout in self._layouts
            ]
            for c in range(classes):
                last = c == classes - 1
                grads = torch.autograd.grad(logits[:, c].sum(), outputs, retain_graph=not last)
                for gradient, layout, grad in zip(made, self._layouts, grads, strict=True):
                    gradient[:, c] = layout.to_map(grad)
        self._trace.logits = logits.detach()
        return made


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
