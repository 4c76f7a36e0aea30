"""What a classifier saw in one batch, computed once and shared by all CAM methods.

The network is run once. Whatever a method asks for besides (gradients, ablated logits) is made on
first use, from the part of the network behind the layer only. Where that part is average pooling
and a linear layer, both have a closed form and cost next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from camzoo.cams.view.network_pass import NetworkPass
from camzoo.cams.view.seals import Seals
from camzoo.core.errors import ConfigError
from camzoo.network.isolation import grad_mode
from camzoo.network.layout import Layout

if TYPE_CHECKING:
    from camzoo.cams.view.viewer import Viewer

#: How many numbers a batch of perturbed features may hold at once (64 MB in float32).
CHUNK = 2**24


@dataclass(frozen=True, eq=False, repr=False)
class FeatureView:
    """One batch as a classifier sees it at one layer.

    All tensors are float32 on the model's device and outside any graph. No attribute can be set,
    and who writes into a tensor is found out (:meth:`changes`).

    Attributes:
        viewer: The viewer that made it.
        images: What the network was given, [B, 3, H, W].
        features: The feature map at the layer, [B, K, h, w].
        logits: [B, C].
        closed_form: Whether average pooling and one linear layer follow the layer.
        class_weights: Weights [C, K] of the linear classifier, if it weighs the channels of this
            map after pooling (and perhaps a norm); else None. What plain CAM needs.
        layer: Name of the layer, or None for what the pooling sees.
        layout: How the layer itself arranges its output.
        rows: Which slices of its data the pipeline shows, as a range of their numbers;
            ``slice(None)`` where the images are no slices.
        mirrored: Whether the pipeline mirrored them left to right.
        earlier: The views of the other layers, if the viewer was set up with several.
    """

    viewer: Viewer
    images: Tensor
    features: Tensor
    logits: Tensor
    closed_form: bool
    class_weights: Tensor | None
    layer: str | None
    layout: Layout
    rows: slice
    mirrored: bool
    earlier: tuple[FeatureView, ...]
    _pass: NetworkPass
    _index: int
    _seals: Seals = field(default_factory=Seals)
    _elsewhere: dict[tuple[str, ...], tuple[FeatureView, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("images", "features", "logits", "class_weights"):
            self._seals.add(name, getattr(self, name))

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
        views = [*self.layers, *(view for views in self._elsewhere.values() for view in views)]
        found = [name for view in views for name in view._seals.broken(thorough=thorough)]
        return " and ".join(f"view.{name}" for name in dict.fromkeys(found))

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
        with grad_mode(enabled=features.requires_grad):
            return self._pass.head(self._index, features, rows)

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
            gradient = self._seals.once("gradients()", lambda: self._pass.gradients(self._index))
        if compact:
            return gradient
        classes = self.logits.shape[1]
        return gradient.expand(len(self.features), classes, *self.features.shape[1:])

    def ablated_logits(self) -> Tensor:
        """Return the logits [B, K, C] that are left when one channel of the features is zero."""
        return self._seals.once("ablated_logits()", self._ablate)

    def classify(self, images: Tensor) -> Tensor:
        """Return the logits [N, C] of other images, differentiable if the images require it."""
        with self._pass.autocast():
            return self.viewer.classify(images)

    def again(self, images: Tensor) -> FeatureView:
        """View other images, such as noisy copies of these, at the same layer."""
        with self._pass.autocast():
            return self.viewer(images).layers[self._index]

    def at(self, layers: tuple[str, ...]) -> tuple[FeatureView, ...]:
        """View the same images at other layers, by name, in one more pass of the network.

        It is made when it is first asked for, and shared by all methods that ask. Gradients at all
        of the layers are made together.

        Raises:
            ConfigError: A layer does not exist or gives no feature map.
        """
        if layers not in self._elsewhere:
            viewer = self.viewer.at(layers)
            with self._pass.autocast():
                seen = viewer(self.images, rows=self.rows, mirrored=self.mirrored)
            self._elsewhere[layers] = seen.layers
        return self._elsewhere[layers]

    @property
    def _linear(self) -> Tensor | None:
        """The weights [C, K] of a head that has a closed form."""
        return self.class_weights if self.closed_form else None

    def _ablate(self) -> Tensor:
        with grad_mode(enabled=False):
            if self._linear is not None:
                share = self.features.mean((2, 3))[:, :, None] * self._linear.T
                return self.logits[:, None] - share
            return self._ablate_one_by_one()

    def _ablate_one_by_one(self) -> Tensor:
        """Run the head without each channel; one that is zero anyway changes nothing."""
        ablated = self.logits[:, None].repeat(1, self.features.shape[1], 1)
        rows, channels = self.features.flatten(2).any(2).nonzero(as_tuple=True)
        step = max(1, CHUNK // self.features[0].numel())
        for start in range(0, len(rows), step):
            row, channel = rows[start : start + step], channels[start : start + step]
            features = self.features[row]
            features[torch.arange(len(row), device=row.device), channel] = 0
            ablated[row, channel] = self.head(features, row)
        return ablated
