"""All that a run depends on, in one frozen, validated object."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from camzoo.data.splits import SplitKind
from camzoo.errors import ConfigError, UnknownNameError
from camzoo.protocol import Protocol
from camzoo.suggest import unknown

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Option = bool | int | float | str
#: Of autocast.
Precision = Literal["bf16", "fp32"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Frozen):
    """Which cases, on which grid, divided how.

    Attributes:
        name: Registry name of the data set.
        root: Folder with its files; None for data sets that need none.
        options: Constructor options of the data set ("structures", "variant", …).
        size: Side of the square working grid in pixels.
        percentiles: Of each volume's intensities: mapped to black and white.
        min_area: Fewest voxels of an organ that tag a slice.
        split: Unit of the split.
        folds: Folds to run, for cross-validated data sets.
        split_seed: Of the permutation of patients.
    """

    name: str = "phantom"
    root: Path | None = None
    options: dict[str, Option] = {}
    size: Positive = 256
    percentiles: tuple[float, float] = (0.5, 99.5)
    min_area: Positive = 1
    split: SplitKind = SplitKind.PATIENT
    folds: tuple[int, ...] = (0,)
    split_seed: int = 0


class BackboneConfig(_Frozen):
    """The shared classifier.

    Attributes:
        name: Any timm model.
        weights: "imagenet" (through timm), "none", or a file.
        output_stride: Wished stride of the last features; dropped where timm cannot set it.
        dilated: Keep the dilation that timm puts in the place of a stride. IRNet's backbone has
            none.
        channels: 3 repeats the grey slice, 1 folds the first convolution.
        stages: Which of timm's feature stages the head reads, counted from 1; () is the last
            features alone. Earlier stages go through a 1 x 1 convolution of ``width`` channels.
        width: Of those convolutions.
        frozen: Leading groups of layers that are not trained, in timm's coarse grouping.
        layer: Target layer of the maps by timm's name; None is what the pooling sees.
        arguments: Further arguments of ``timm.create_model``.
        mean: Of the input on [0, 1]; None is what the weights were trained with.
        std: Likewise.
    """

    name: str = "resnet50"
    weights: Literal["imagenet", "none"] | Path = "imagenet"
    output_stride: Positive = 16
    dilated: bool = False
    channels: Literal[1, 3] = 3
    stages: tuple[Positive, ...] = ()
    width: Positive = 256
    frozen: Annotated[int, Field(ge=0)] = 3
    layer: str | None = None
    arguments: dict[str, Option] = {}
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.stages) != sorted(set(self.stages)):
            raise ValueError(f"stages must be ascending and without repeats, got {self.stages}")
        return self


class TrainingConfig(_Frozen):
    """How the classifier learns: SGD on tags with the poly schedule (IRNet, C-CAM).

    Attributes:
        epochs: Passes over the training slices.
        batch: Slices per step.
        crop: Side in pixels of what the network sees.
        resize: Range of the long side in pixels before the crop.
        flip: Left-right mirroring: "auto" leaves it off where organs have a side.
        rotate: Largest rotation in degrees.
        jitter: Largest relative change of contrast and brightness, and of the exponent of a gamma.
        lr: Learning rate of the trunk at the start.
        head_factor: How many times that the head learns with.
        momentum: Of SGD. The field's code passes weight decay in its place: effectively none.
        weight_decay: L2 decay.
        power: Of the poly schedule (1 - t / T) ** power, t in the middle of a step.
        warmup: Share of all steps over which the rate rises linearly from nothing.
        clip: Largest norm of the gradient; None leaves it as it is.
        rare: Slices are drawn with replacement so that the rarer value of each tag has at least
            about this share; 0 shows every slice once per epoch.
        precision: Of autocast.
    """

    epochs: Positive = 5
    batch: Positive = 16
    crop: Positive = 512
    resize: tuple[Positive, Positive] = (320, 640)
    flip: Literal["auto", "always", "never"] = "auto"
    rotate: Annotated[float, Field(ge=0, le=180)] = 0.0
    jitter: Share = 0.0
    lr: Annotated[float, Field(gt=0)] = 0.1
    head_factor: Annotated[float, Field(gt=0)] = 10.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    power: Annotated[float, Field(ge=0)] = 0.9
    warmup: Share = 0.0
    clip: Annotated[float, Field(gt=0)] | None = None
    rare: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    precision: Precision = "bf16"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.resize[0] > self.resize[1]:
            raise ValueError(f"resize must be (smallest, largest), got {self.resize}")
        return self


class MapsConfig(_Frozen):
    """How saliency becomes maps; the same for every method.

    Attributes:
        side: Side in pixels of the network's input at scale 1.
        scales: Relative input sizes whose maps are summed.
        flip: Sum each view with its mirrored twin; "auto" as in training.
        normalisation: "max" divides a class by its maximum in the slice, "volume-max" by its
            maximum in the volume, "min-max" also subtracts the minimum, "none" leaves evidence raw.
        size: Side of the stored maps in pixels.
        batch: Slices per forward pass.
    """

    side: Positive = 512
    scales: tuple[Annotated[float, Field(gt=0)], ...] = (1.0, 0.5, 1.5, 2.0)
    flip: Literal["auto", "always", "never"] = "auto"
    normalisation: Literal["max", "volume-max", "min-max", "none"] = "max"
    size: Positive = 128
    batch: Positive = 16


class EvaluationConfig(_Frozen):
    """Which thresholds are tried, and how one is chosen.

    Attributes:
        thresholds: Background thresholds of the sweep, ascending.
        fixed: Threshold of the protocol of that name; one of ``thresholds``.
        protocols: Ways of choosing that are reported.
    """

    thresholds: tuple[Share, ...] = tuple(round(0.05 * k, 2) for k in range(1, 20))
    fixed: Share = 0.5
    protocols: tuple[Protocol, ...] = (
        Protocol.VALIDATED, Protocol.ORACLE, Protocol.FIXED, Protocol.OTSU,
    )  # fmt: skip

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.thresholds) != sorted(set(self.thresholds)) or not self.thresholds:
            raise ValueError("thresholds must be ascending and without repeats")
        return self


class SegmentationConfig(_Frozen):
    """How the common U-Net learns labels of slices: Adam on cross-entropy and Dice.

    C-CAM states the rate and the epochs of the defaults, and leaves the rest open.

    Attributes:
        side: Side in pixels of what the network sees.
        widths: Channels per level, the finest first.
        epochs: Passes over the training slices; the weights of the last one are kept.
        batch: Slices per step.
        flip: Left-right mirroring: "auto" leaves it off where organs have a side.
        rotate: Largest rotation in degrees.
        jitter: Largest relative change of contrast and brightness, and of the exponent of a gamma.
        lr: Learning rate at the start.
        power: Of the poly schedule (1 - t / T) ** power, t in front of a step; 0 keeps the rate.
        clip: Largest norm of the gradient; None leaves it as it is. Penalties on sizes start two
            orders of magnitude above the cross-entropy, and Adam would remember that.
        precision: Of autocast.
    """

    side: Annotated[int, Field(ge=16, multiple_of=16)] = 256
    widths: tuple[Positive, Positive, Positive, Positive, Positive] = (64, 128, 256, 512, 1024)
    epochs: Positive = 100
    batch: Positive = 16
    flip: Literal["auto", "always", "never"] = "auto"
    rotate: Annotated[float, Field(ge=0, le=180)] = 15.0
    jitter: Share = 0.3
    lr: Annotated[float, Field(gt=0)] = 5e-4
    power: Annotated[float, Field(ge=0)] = 0.0
    clip: Annotated[float, Field(gt=0)] | None = 1.0
    precision: Precision = "bf16"


class BenchConfig(_Frozen):
    """A run.

    Attributes:
        preset: Name of the preset it was made from, for people.
        data: Cases and split.
        backbone: The classifier.
        training: Its recipe.
        maps: The pipeline from saliency to maps.
        evaluation: Sweep and protocols.
        segmentation: The U-Net of all baselines.
        methods: Registry names of CAM methods.
        baselines: Registry names of baselines; none by default.
        seeds: Of training; each seed is a cell of its own.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Of torch on the CPU; None is one per core.
    """

    preset: str = "custom"
    data: DataConfig = DataConfig()
    backbone: BackboneConfig = BackboneConfig()
    training: TrainingConfig = TrainingConfig()
    maps: MapsConfig = MapsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    methods: tuple[str, ...] = ("cam",)
    baselines: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    threads: Positive | None = None

    def changed(self, changes: dict[str, Any]) -> BenchConfig:
        """Return a copy with dotted ``changes`` ("training.epochs": 3) applied and validated.

        Raises:
            ConfigError: No such setting, or a value that it does not take.
        """
        tree = self.model_dump()
        for dotted, value in changes.items():
            *path, last = dotted.split(".")
            node: Any = tree
            for part in path:
                node = node.get(part) if isinstance(node, dict) else None
            if not isinstance(node, dict) or (last not in node and path != ["data", "options"]):
                raise _unknown_setting(dotted, tree)
            node[last] = value
        return load_config(tree)

    def without_places(self) -> dict[str, Any]:
        """All settings as JSON, but of files and folders only their names: fit to be published."""
        tree = self.model_dump(mode="json", exclude={"data": {"root"}})
        if isinstance(self.backbone.weights, Path):
            tree["backbone"]["weights"] = self.backbone.weights.name
        return tree

    @property
    def run(self) -> str:
        """Name of the run: data set, preset, and a hash of everything but places.

        Without baselines there is no segmentation, and its settings name nothing.
        """
        tree = self.without_places()
        del tree["device"], tree["threads"]
        if not self.baselines:
            del tree["baselines"], tree["segmentation"]
        text = json.dumps(tree, sort_keys=True)
        return f"{self.data.name}-{self.preset}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def dotted_names(config: BenchConfig) -> list[str]:
    """Names of all settings, as ``training.epochs``."""
    return list(_dotted(config.model_dump()))


def _unknown_setting(dotted: str, tree: dict[str, Any]) -> UnknownNameError:
    names = list(_dotted(tree))
    inside = [name for name in names if name.startswith(f"{dotted.partition('.')[0]}.")]
    return unknown("setting", dotted, names, otherwise=inside or names)


def _dotted(tree: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{above}{name}.")
        else:
            yield f"{above}{name}"


def read_config(path: Path) -> BenchConfig:
    """Read the settings of an earlier run from its manifest.

    Folder of the data and place of the weights are not in it.

    Raises:
        ConfigError: No such file, no manifest, or settings that this version does not have.
    """
    try:
        return load_config(json.loads(path.read_text(encoding="utf-8"))["config"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} holds no settings of a run ({type(error).__name__}: {error}); give the "
            "manifest.json in the folder of a run, or in leaderboards/records"
        ) from error


def load_config(tree: dict[str, Any]) -> BenchConfig:
    """Validate a plain dictionary.

    Raises:
        ConfigError: One line per setting that is wrong.
    """
    try:
        return BenchConfig.model_validate(tree)
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}, got {fault['input']!r}"
            for fault in error.errors()
        ]
        raise ConfigError("wrong settings:\n  " + "\n  ".join(lines)) from error
