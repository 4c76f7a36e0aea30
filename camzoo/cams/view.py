"""What a classifier saw in one batch, computed once and shared by all CAM methods.

A :class:`Viewer` is set up once per model and layer; called on a batch it gives a
:class:`FeatureView`. The network is run once. Whatever a method asks for besides (gradients,
ablated logits) is made on first use, from the part of the network behind the layer only. Where that
part is average pooling and a linear layer, both have a closed form and cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from camzoo.cams.cut import Cut, HeadCut, Trace
from camzoo.cams.fusion import Fusion
from camzoo.cams.isolation import evaluating, grad_mode
from camzoo.cams.layer_cut import LayerCut
from camzoo.cams.layout import Layout, layout_in
from camzoo.cams.linear import class_weights, default_layer, is_pooled_linear
from camzoo.errors import ConfigError

#: How many numbers a batch of perturbed features may hold at once (64 MB in float32).
CHUNK = 2**24


class Viewer:
    """Looks at images through a classifier, which it never changes.

    Args:
        model: Any timm classifier; for others name a layer. On any device, in any mode: it is run
            in evaluation mode and every module is put back into its own.
        layer: Name of the target layer as in ``model.named_modules()``, or several names. None
            means what the global pooling sees; for a vision transformer that classifies by its
            class token (whose last patch tokens have no influence), the first norm of the last
            block.
        fusion: How the maps of several layers become one: "max", "mean" or "product".

    Raises:
        ConfigError: The layer does not exist or cannot be used, or the fusion is unknown.

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
        layer: str | Sequence[str] | None = None,
        fusion: Fusion | str = Fusion.MAX,
    ) -> None:
        self.model = model
        self.fusion = Fusion.named(fusion)
        self.layers = _layer_names(layer, model)
        self._cut: Cut = LayerCut(model, self.layers) if self.layers else HeadCut(model)
        self._closed_form: bool | None = None

    def __call__(self, images: Tensor) -> FeatureView:
        """Run the network once on a batch of normalised images [B, 3, H, W], on its device.

        Raises:
            ConfigError: The images are no float batch, or the layer gives no feature map.
        """
        if images.ndim != 4 or not images.is_floating_point():
            raise ConfigError(
                "expected a float batch of images [B, channels, height, width], got "
                f"{tuple(images.shape)} of {images.dtype}"
            )
        trace = self._cut.forward(images, graph=not self._closed_form)
        layouts = [self._layout(output, images) for output in trace.outputs]
        if self._closed_form is None:
            self._closed_form = len(layouts) == 1 and is_pooled_linear(self._cut, trace, layouts[0])
        gradients = _Gradients(trace, layouts)
        with grad_mode(enabled=False):
            views = [
                FeatureView(self, self._cut, trace, index, layout, gradients)
                for index, layout in enumerate(layouts)
            ]
        views[-1].earlier = tuple(views[:-1])
        return views[-1]

    @property
    def closed_form(self) -> bool | None:
        """Whether average pooling and one linear layer follow the layer; None before any view."""
        return self._closed_form

    def classify(self, images: Tensor) -> Tensor:
        """Return the logits [N, C] of images, without a view.

        Differentiable with respect to the images if they require it.
        """
        with evaluating(self.model), grad_mode(enabled=images.requires_grad):
            logits: Tensor = self.model(images)
        return logits.float()

    def _layout(self, output: Tensor, images: Tensor) -> Layout:
        layout = layout_in(self.model, output.shape, (images.shape[2], images.shape[3]))
        if layout is None or len(output) != len(images):
            raise ConfigError(
                f"{' or '.join(self.layers) or 'the features'} of {type(self.model).__name__}: "
                f"{tuple(output.shape)} is no feature map of images {tuple(images.shape)}; "
                "choose another layer (camzoo layers lists them)"
            )
        return layout


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
        self.class_weights: Tensor | None = None
        if self.closed_form or not viewer.layers:
            self.class_weights = class_weights(viewer.model, layout.channels)
        self._linear = self.class_weights if self.closed_form else None
        self.layer = viewer.layers[index] if viewer.layers else None
        self.layout = layout
        self.earlier: tuple[FeatureView, ...] = ()
        self.rows = slice(None)
        self.mirrored = False
        self._cut, self._trace, self._index = cut, trace, index
        self._gradients = gradients
        self._ablated: Tensor | None = None

    @property
    def layers(self) -> tuple[FeatureView, ...]:
        """The views of all layers the viewer was set up with; usually only this one."""
        return (*self.earlier, self)

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

    def __init__(self, trace: Trace, layouts: Sequence[Layout]) -> None:
        self._trace, self._layouts = trace, layouts
        self._made: list[Tensor] = []

    def of(self, index: int) -> Tensor:
        """Return dy/dA [B, C, K, h, w] at one layer."""
        if not self._made:
            self._made = self._make()
        return self._made[index]

    def _make(self) -> list[Tensor]:
        """Go back once per class, from its logits to the layers and no further."""
        logits, outputs = self._trace.logits, self._trace.outputs
        batch, classes = logits.shape
        with grad_mode(enabled=True):
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


def _layer_names(layer: str | Sequence[str] | None, model: nn.Module) -> tuple[str, ...]:
    if layer is None:
        layer = default_layer(model)
    if layer is None:
        return ()
    names = (layer,) if isinstance(layer, str) else tuple(layer)
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"expected one or more different layers, got {names}")
    return names
