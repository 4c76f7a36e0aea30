"""Maps of networks that a baseline has trained itself: read off one, or led by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from camzoo.cams.finishing import rewrite
from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.pipeline import make_maps
from camzoo.core.errors import ConfigError
from camzoo.network.heads import classifier_of

if TYPE_CHECKING:
    from camzoo.cams.base import CamMethod
    from camzoo.data.slices import TaggedSlices
    from camzoo.network.backbone import Classifier
    from camzoo.segment.learning_context import BaselineContext

#: Keeps the division by a maximum finite (authors' code of SEAM).
_LEAST: Final = 1e-5


def own_maps(
    classifier: Classifier,
    method: CamMethod,
    slices: TaggedSlices,
    context: BaselineContext,
    *,
    layer: str | None = None,
) -> MapArrays:
    """Run the common pipeline on another classifier: views, gating and normalisation of the run.

    Args:
        classifier: Trained, on the device of ``context``.
        method: Reads its maps.
        slices: Training or validation slices of ``context``.
        context: What the baseline was handed.
        layer: Target layer by timm's name, or None for what the pooling sees.

    Returns:
        Finished maps, rows as in ``slices``.
    """
    config = context.config
    maps = MapArrays.empty(len(slices), len(slices.organs), config.maps.size)
    with context.reporter.stage(f"maps of {len(slices)} slices, seed {context.seed}") as tick:
        make_maps(
            classifier, {"": method}, slices, config.maps, {"": maps},
            layer=layer, precision=config.training.precision, tick=tick,
        )  # fmt: skip
    return maps


def own_maps_of_both(
    classifier: Classifier,
    method: CamMethod,
    context: BaselineContext,
    *,
    layer: str | None = None,
) -> tuple[MapArrays, MapArrays]:
    """Return :func:`own_maps` of the training and of the validation slices."""
    train, val = (
        own_maps(classifier, method, slices, context, layer=layer)
        for slices in (context.train, context.val)
    )
    return train, val


def walked_maps(
    maps: MapArrays,
    slices: TaggedSlices,
    context: BaselineContext,
    walk: Callable[[Tensor, Tensor], Tensor],
    *,
    normalisation: str,
) -> MapArrays:
    """Let maps walk through what their slices show.

    Args:
        maps: Finished, of ``slices``.
        slices: Training or validation slices of ``context``.
        context: What the baseline was handed.
        walk: Turns maps [b, C, s, t], float32, and their slices on [0, 1], [b, S, S], into
            evidence [b, C, s, t].
        normalisation: How the evidence is normalised, as in :class:`~camzoo.config.MapsConfig`.

    Returns:
        Finished maps, rows as in ``slices``.
    """

    def change(planes: Tensor, which: slice) -> Tensor:
        return walk(planes, slices.grey(which, context.device))

    out = MapArrays.empty(*maps.maps.shape[:3])
    rewrite(maps, slices, out, change, normalisation=normalisation, device=context.device)
    return out


def feature_map(classifier: Classifier, grey: Tensor) -> Tensor:
    """Return the features that the classifier pools, for training: with gradients.

    Args:
        classifier: Whose trunk is run.
        grey: Slices on [0, 1], [B, H, W].

    Returns:
        [B, K, h, w] where its head is average pooling and a linear layer (:func:`linear_weights`).
    """
    features: Tensor = classifier.model.forward_features(classifier.normalise(grey))  # type: ignore[operator]
    return features


@torch.no_grad()
def probe(classifier: Classifier, side: int) -> Tensor:
    """Return the features of a black slice, [1, K, h, w]: how many channels and cells there are.

    Args:
        classifier: In evaluation mode.
        side: Side of the slice in pixels.
    """
    return feature_map(classifier, torch.zeros(1, side, side, device=classifier.device))


def linear_weights(classifier: Classifier, features: Tensor) -> Tensor:
    """Return the weights of the linear layer behind the mean of features, [C, K].

    Args:
        classifier: With average pooling and a linear layer behind its features.
        features: That it pools, [B, K, h, w].

    Raises:
        ConfigError: The classifier's head is another.
    """
    head = classifier_of(classifier.model)
    if features.ndim != 4 or head is None or head.weight[0].numel() != features.shape[1]:
        raise ConfigError(
            "training on maps needs a feature map and a linear layer behind its mean; the features "
            f"of {type(classifier.model).__name__} are {list(features.shape)}, its head is {head}: "
            "choose another backbone"
        )
    return head.weight.flatten(1)


def linear_cam(classifier: Classifier, features: Tensor) -> Tensor:
    """Return CAM for training: with gradients, and with the logits as its means.

    Args:
        classifier: With average pooling and a linear layer behind its features.
        features: That it pools, [B, K, h, w].

    Returns:
        [B, C, h, w].

    Raises:
        ConfigError: The classifier's head is another.
    """
    return torch.einsum("ck,bkyx->bcyx", linear_weights(classifier, features), features)


def unit(maps: Tensor) -> Tensor:
    """Rectify maps [B, P, h, w] and divide each by its maximum."""
    return maps.relu() / maps.amax(dim=(2, 3), keepdim=True).clamp_min(_LEAST)
