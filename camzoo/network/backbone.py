"""The shared classifier: a timm trunk, global average pooling and a linear head without bias."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, Literal

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.models import group_parameters
from torch import Tensor, nn

from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.core.randomness import seeded
from camzoo.network.heads import OwnHead, classifier_of
from camzoo.network.isolation import evaluating
from camzoo.network.pooled import PooledModel
from camzoo.network.taps import TappedModel
from camzoo.network.timm_names import require_model
from camzoo.network.weights import head_names, load_trunk, read_state

#: Constructor arguments that help where an architecture knows them and are dropped where it does
#: not: higher map resolution, inputs of any size for transformers, average pooling.
_WISHES: Final[tuple[str, ...]] = (
    "output_stride", "dynamic_img_size", "strict_img_size", "global_pool",
)  # fmt: skip
#: ImageNet heads of TensorFlow count the background as a class.
_TENSORFLOW_CLASSES: Final = 1001
_NORMS: Final = (nn.modules.batchnorm._BatchNorm,)


class Trainable(nn.Module, ABC):
    """A network that starts from a trained trunk."""

    @property
    @abstractmethod
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that start anew, and learn faster."""


class Classifier(Trainable):
    """Tags slices with organs.

    Attributes:
        model: The timm model. Its classifier is bias-free and starts near zero.
        mean: Per-channel mean of the input on [0, 1], [1, channels, 1, 1].
        std: Per-channel standard deviation, likewise.
        frozen_norm: Whether batch norm keeps the statistics it came with while training.
        notes: Wishes that the architecture does not fulfil, a line for each.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, mean: Sequence[float], std: Sequence[float], *, frozen_norm: bool
    ) -> None:
        super().__init__()
        self.model = model
        self.frozen_norm = frozen_norm
        self.notes: tuple[str, ...] = ()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def normalise(self, slices: Tensor) -> Tensor:
        """Turn grey slices on [0, 1], [B, H, W], into the model's input [B, channels, H, W]."""
        images = (slices[:, None] - self.mean) / self.std
        return images.contiguous(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, C] of normalised images [B, channels, H, W]."""
        logits: Tensor = self.model(images)
        return logits

    def train(self, mode: bool = True) -> Classifier:
        """Switch to training, all but frozen batch norm."""
        super().train(mode)
        if self.frozen_norm:
            for module in self.modules():
                if isinstance(module, _NORMS):
                    module.eval()
        return self

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.mean.device

    @property
    def head(self) -> nn.Module:
        """The linear layer that makes logits."""
        head: nn.Module = self.model.get_classifier()  # type: ignore[operator]
        return head

    @property
    def fresh(self) -> list[nn.Parameter]:
        """Parameters that never come with weights, and learn faster: the head, projections."""
        modules = [self.head]
        if isinstance(self.model, TappedModel):
            modules.append(self.model.projections)
        return [parameter for module in modules for parameter in module.parameters()]


def build_classifier(config: BackboneConfig, classes: int, *, seed: int) -> Classifier:
    """Make the classifier that a configuration describes.

    Args:
        config: Architecture, weights, stride, channels, frozen stages.
        classes: Number of organs C.
        seed: Fixes the head, and the trunk where it starts without weights.

    Raises:
        ConfigError: timm does not know the backbone, or the weights do not fit it.
    """
    state = read_state(config.weights) if isinstance(config.weights, Path) else None
    arguments = _arguments(config, state)
    with seeded(seed):
        model = _create(config, classes, arguments)
        if _norm_is_new(model, config):
            model = _create(config, classes, arguments | {"fc_norm": False})
        notes = _stride_notes(config, model)
        if config.stages:
            model = TappedModel(model, config.stages, config.width, classes)
        elif classifier_of(model) is None:
            model = PooledModel(model, classes)
        _reset_head(model)
    if not config.dilated:
        _undilate(model)
    if state is not None:
        load_trunk(_trunk(model), state, config)
    _freeze(_trunk(model), config.frozen)
    mean, std = _statistics(model, config, state)
    # Without weights there are no statistics worth keeping: a frozen norm would be none at all.
    classifier = Classifier(model, mean, std, frozen_norm=config.weights != "none")
    classifier.notes = notes
    return classifier


def require_sides(classifier: Classifier, sides: Iterable[int]) -> None:
    """Make sure that the network takes square images of these sides in pixels.

    Raises:
        ConfigError: It does not; the message says which size timm made it for.
    """
    device = classifier.device
    for side in sorted(set(sides)):
        slices = torch.zeros(1, side, side, device=device)
        try:
            with evaluating(classifier), torch.no_grad():
                classifier(classifier.normalise(slices))
        except (AssertionError, RuntimeError, ValueError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            made_for = resolve_model_data_config(classifier.model)["input_size"][1:]
            raise ConfigError(
                f"the backbone does not take images of {side} x {side} pixels"
                f"{f' ({shorten(str(error), 200)})' if str(error) else ''}; timm made it for "
                f"{made_for[0]} x {made_for[1]}: set training.crop, maps.side and maps.scales so, "
                "or choose another backbone"
            ) from error


def _arguments(config: BackboneConfig, state: Mapping[str, Tensor] | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "global_pool": "avg",
        "output_stride": config.output_stride,
        "dynamic_img_size": True,
        "strict_img_size": False,
    }
    if state is not None and _is_tensorflow(state):
        arguments["pad_type"] = "same"
    return arguments | config.arguments


def _is_tensorflow(state: Mapping[str, Tensor]) -> bool:
    """Whether ImageNet weights come from TensorFlow: 1001 classes, SAME padding, inputs in ±1."""
    heads = [t for name, t in state.items() if re.fullmatch(r"(classifier|fc|head)\.bias", name)]
    return any(head.shape == (_TENSORFLOW_CLASSES,) for head in heads)


def _create(config: BackboneConfig, classes: int, arguments: dict[str, Any]) -> nn.Module:
    """Call timm, dropping wishes that the architecture has no argument for."""
    require_model(config.name)
    arguments = dict(arguments)
    wishes = [name for name in _WISHES if name not in config.arguments]
    while True:
        try:
            model: nn.Module = timm.create_model(
                config.name,
                pretrained=config.weights == "imagenet",
                num_classes=classes,
                in_chans=config.channels,
                **arguments,
            )
        except (TypeError, AssertionError, ValueError, NotImplementedError) as error:
            unmet = _unmet(error, [name for name in wishes if name in arguments])
            if unmet is None:
                raise ConfigError(
                    f"backbone {config.name!r} cannot be made: {error or type(error).__name__}"
                ) from error
            del arguments[unmet]
        except (OSError, RuntimeError) as error:
            if config.weights != "imagenet":
                raise
            raise ConfigError(_no_weights(config.name, error)) from error
        else:
            return model


def _norm_is_new(model: nn.Module, config: BackboneConfig) -> bool:
    """Whether a transformer has a norm behind the pooling that its weights do not know.

    timm puts the last norm there where the average of the patches is asked for. A network that was
    trained with its class token, as DINOv2, would lose the norm it came with.
    """
    given = {"fc_norm", "global_pool"} & set(config.arguments)
    if given or isinstance(getattr(model, "fc_norm", None), nn.Identity | None):
        return False
    with torch.device("meta"):
        own = timm.create_model(config.name)
    return isinstance(own.fc_norm, nn.Identity)


def _unmet(error: Exception, wishes: Sequence[str]) -> str | None:
    """Which wish an architecture refuses: the one it names, else the first that has a value.

    An argument that is not known is named. A value that is not allowed usually is not.
    """
    named = [name for name in wishes if f"'{name}'" in str(error)]
    valued = [name for name in ("output_stride", "global_pool") if name in wishes]
    found = named if isinstance(error, TypeError) else valued
    return found[0] if found else None


def _stride_notes(config: BackboneConfig, model: nn.Module) -> tuple[str, ...]:
    """Say where the last features have another stride than was wished for."""
    info = getattr(model, "feature_info", None) or [{}]
    stride = info[-1].get("reduction")
    if stride is None or stride == config.output_stride or config.stages:
        return ()
    note = (
        f"{config.name} keeps its own stride of {stride} pixels where backbone.output_stride asks "
        f"for {config.output_stride}: timm cannot change it"
    )
    return (note,)


def _no_weights(name: str, error: Exception) -> str:
    return (
        f"the ImageNet weights of {name!r} could not be had ({type(error).__name__}: {error}); "
        "download them where there is a network and give the file with --weights FILE, "
        "or train from scratch with --weights none"
    )


def _reset_head(model: nn.Module) -> None:
    """Drop the bias and start near zero: a large random head makes the first steps spike."""
    head = model.get_classifier()  # type: ignore[operator]
    head.bias = None
    nn.init.normal_(head.weight, std=0.01)


def _undilate(model: nn.Module) -> None:
    """Keep the stride but not the dilation that timm puts in its place (as IRNet's backbone)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and max(module.dilation) > 1:
            padding = module.padding
            if isinstance(padding, tuple):
                module.padding = tuple(
                    p // d for p, d in zip(padding, module.dilation, strict=True)
                )
            module.dilation = (1, 1)


def _trunk(model: nn.Module) -> nn.Module:
    """Return the part that is timm's own."""
    return model.trunk if isinstance(model, OwnHead) else model


def _freeze(model: nn.Module, stages: int | Literal["all"]) -> None:
    """Stop gradients for the first ``stages`` groups of the trunk, in timm's coarse grouping."""
    if not stages:
        return
    if stages == "all":
        head = head_names(model)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in head)
        return
    try:
        groups = group_parameters(model, model.group_matcher(coarse=True))  # type: ignore[operator]
    except (AttributeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(
            f"cannot freeze {stages} stages: timm does not group the layers of "
            f"{type(model).__name__}; set backbone.frozen to 0"
        ) from error
    last = max(groups)
    if stages >= last:
        raise ConfigError(
            f"cannot freeze {stages} stages: the trunk has {last}; freeze fewer, or all"
        )
    parameters = dict(model.named_parameters())
    for group, names in groups.items():
        for name in names:
            if group < stages and name in parameters:
                parameters[name].requires_grad_(False)


def _statistics(
    model: nn.Module, config: BackboneConfig, state: Mapping[str, Tensor] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std of the input: as configured, else TensorFlow's, else the backbone's own."""
    own = resolve_model_data_config(model)
    mean, std = tuple(own["mean"]), tuple(own["std"])
    if state is not None and _is_tensorflow(state):
        mean, std = (0.5,) * 3, (0.5,) * 3
    mean, std = config.mean or mean, config.std or std
    if config.channels == 1:
        return (sum(mean) / len(mean),), (sum(std) / len(std),)
    return mean, std
