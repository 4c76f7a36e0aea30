"""A training of its own that a baseline gives a network, on the tags and from the classifier on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import require_both_tags
from camzoo.network.backbone import Trainable

if TYPE_CHECKING:
    from camzoo.config import Precision, TrainingConfig
    from camzoo.learning.objectives import ViewLoss
    from camzoo.segment.learning_context import BaselineContext

N = TypeVar("N", bound=Trainable)


def trained_on_tags(
    context: BaselineContext,
    network: N,
    config: TrainingConfig,
    loss: Callable[[N, Augmentation, Precision], ViewLoss[N]],
    *,
    name: str,
) -> N:
    """Train a network on the tags of the training slices; return it in evaluation mode.

    Args:
        context: What the baseline was handed.
        network: Is trained in place.
        config: Recipe.
        loss: Makes the loss of the network, from the ranges of its views and its precision.
        name: Name of the network, and of its checkpoint.

    Raises:
        DataError: An organ is in all training slices, or in none.
        CamzooError: The loss is no longer finite.
    """
    require_both_tags(context.train)
    ranges = Augmentation.of(config, sided=context.train.sided)
    objective = loss(network, ranges, config.precision)
    context.minimise(objective, network, context.train, config, name=name)
    return network.eval()


def gentle(config: TrainingConfig, rate: float) -> TrainingConfig:
    """Return a recipe in which the trunk learns at a share of its rate, and nothing else does.

    Args:
        config: The classifier's recipe.
        rate: The share. What is fresh keeps the rate that the run has for heads.
    """
    changes = {"lr": config.lr * rate, "head_factor": config.head_factor / rate}
    return config.model_copy(update=changes)
