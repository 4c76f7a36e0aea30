"""The stages of a trunk that refinement networks read."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.network.backbone import Classifier, build_classifier

_PROBE = 64


def run_stages(classifier: Classifier, grey: Tensor) -> list[Tensor]:
    """Return the features of all stages of timm's ``feature_info``, the finest first.

    Args:
        classifier: Classifier of which the trunk is run.
        grey: Slices on [0, 1], [B, H, W].

    Returns:
        [B, channels, h, w] of each stage, before the last norm.

    Raises:
        ConfigError: timm cannot give the stages of the trunk.
    """
    stages: list[Tensor] = _staged(classifier).forward_intermediates(  # type: ignore[operator]
        classifier.normalise(grey), norm=False, intermediates_only=True
    )
    return stages


def run_with_stages(classifier: Classifier, grey: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the features that the classifier pools, and the stages, from one pass of the trunk.

    Args:
        classifier: With a grid of features.
        grey: Slices on [0, 1], [B, H, W].

    Returns:
        [B, K, y, x], and the stages as of :func:`run_stages`.

    Raises:
        ConfigError: timm cannot give the stages of the trunk.
    """
    features, stages = _staged(classifier).forward_intermediates(  # type: ignore[operator]
        classifier.normalise(grey), norm=False
    )
    return features, stages


@torch.no_grad()
def stage_channels(classifier: Classifier) -> list[int]:
    """Channels of every stage, found by a try. The classifier must be in evaluation mode.

    Raises:
        ConfigError: timm cannot give the stages of the trunk.
    """
    probe = torch.zeros(1, _PROBE, _PROBE, device=classifier.device)
    return [stage.shape[1] for stage in run_stages(classifier, probe)]


def starting_point(
    trained: Classifier, config: BackboneConfig, classes: int, *, seed: int
) -> Classifier:
    """Return the backbone as its weights came; where there are none, the trained classifier.

    Args:
        trained: The classifier of the run.
        config: What it was built from.
        classes: Number of organs C.
        seed: Fixes the head, which refinement does not read.
    """
    if config.weights == "none":
        return trained
    return build_classifier(config, classes, seed=seed)


def _staged(classifier: Classifier) -> nn.Module:
    """Return the classifier's model, which has stages."""
    model = classifier.model
    if not hasattr(model, "forward_intermediates"):
        raise ConfigError(
            f"{type(model).__name__} has no forward_intermediates: timm cannot give its stages, "
            "which the refinement network reads; choose another backbone"
        )
    return model
