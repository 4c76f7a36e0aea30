"""All that a run depends on, in one frozen, validated object."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from camzoo.core.choices import SliceChoice, SplitKind
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.protocol import Protocol
from camzoo.core.ranges import (
    Name,
    Real,
    Several,
    Takes,
    Text,
    Whole,
    in_one_line,
    is_line,
    is_option,
    is_path,
    refusal,
)
from camzoo.core.suggest import unknown
from camzoo.core.text import shortly

#: In pixels. What is larger than the largest would not fit into memory.
Side = Annotated[int, Whole(8, 4096, "in pixels")]
Channels = Annotated[int, Whole(1, 8192)]
Batch = Annotated[int, Whole(1, 4096)]
Epochs = Annotated[int, Whole(1, 100_000)]
Steps = Annotated[int, Whole(0, 100_000_000)]
Share = Annotated[float, Real(0, 1)]
Degrees = Annotated[float, Real(0, 180)]
Rate = Annotated[float, Real(0, 100, above=True)]
Power = Annotated[float, Real(0, 100)]
Norm = Annotated[float, Real(0, 1e6, above=True)]
#: The seeds that every generator in the field takes.
Seed = Annotated[int, Whole(0, 2**32 - 1)]
Option = Annotated[bool | int | float | str, Takes("true, a finite number or text", is_option)]
OptionName = Annotated[str, Takes("names of options, one line each", is_line)]
Folder = Annotated[Path, Takes("the path of a folder", is_path)]
Precision = Annotated[Literal["auto", "bf16", "fp32"], Takes("auto, bf16 or fp32")]
Tags = Annotated[Literal["own", "level", "shuffled"], Takes("own, level or shuffled")]
#: Settings that came later, with the value that runs from before had: the names of runs, and what
#: tells two of them apart, stay as they were.
LATER: Final[dict[str, Any]] = {"data.test": None, "training.tags": "own"}
#: Sections in which names are those of a plug-in or of another library.
_OPEN = (["data", "options"], ["backbone", "arguments"])


class _Frozen(BaseModel):
    """A section of the settings.

    Raises:
        ConfigError: A setting is not there, or does not take its value; in one line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    section: ClassVar[str] = ""

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise ConfigError(in_one_line(error, self.section)) from error


def _ascending(values: tuple[float, ...]) -> bool:
    return list(values) == sorted(set(values))


class DataConfig(_Frozen):
    """Which cases, on which grid, divided how.

    Attributes:
        name: Registry name of the data set.
        root: Folder with its files; None for data sets that need none.
        options: Constructor options of the data set ("structures", "variant", …).
        size: Side of the square working grid in pixels.
        percentiles: Percentiles of each volume's intensities that are mapped to black and white.
        min_area: Fewest voxels of an organ that tag a slice.
        slices: Their plane: "acquired" is across the thick axis of each scan, and axial where none
            is clear; "axial" is axial always.
        split: Unit of the split.
        folds: Folds to run, for cross-validated data sets.
        k_folds: Number of folds to divide all cases into, in the place of the data set's own way
            and of a test set that its owners name; None leaves it to the data set.
        split_seed: Seed of the permutation of patients.
        limit: Most cases to take, so chosen that every subset keeps patients; None takes all.
        test: Another data set that is tested on, as "nnunet" or "phantom:seed=1", while all of the
            first one trains and validates; None tests on patients of the first.
        test_root: Folder with the files of that other one.
    """

    section = "data"

    name: Annotated[str, Name()] = "phantom"
    root: Folder | None = None
    options: dict[OptionName, Option] = {}
    size: Side = 256
    percentiles: Annotated[
        tuple[float, float],
        Takes(
            "two numbers from 0 to 100, the smaller one first", lambda p: 0 <= p[0] < p[1] <= 100
        ),
    ] = (0.5, 99.5)
    min_area: Annotated[int, Whole(1, 1_000_000, "in voxels")] = 1
    slices: SliceChoice = SliceChoice.ACQUIRED
    split: SplitKind = SplitKind.PATIENT
    folds: Annotated[tuple[Annotated[int, Whole(0, 999)], ...], Several()] = (0,)
    k_folds: Annotated[int, Whole(3, 1000)] | None = None
    split_seed: Seed = 0
    limit: Annotated[int, Whole(1, 1_000_000)] | None = None
    test: Annotated[str, Text("the name of a data set")] | None = None
    test_root: Folder | None = None

    @model_validator(mode="after")
    def _one_test_set(self) -> Self:
        if self.test_root is not None and self.test is None:
            raise refusal(
                "needs data.test, the data set that lies there", "test_root", self.test_root
            )
        if self.test is not None and self.k_folds is not None:
            raise refusal(
                "divides cases into folds that test; leave it out, since another data set tests",
                "k_folds", self.k_folds,
            )  # fmt: skip
        return self


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
        width: Width of those convolutions.
        frozen: Leading groups of layers that are not trained, in timm's coarse grouping. With "all"
            nothing of the trunk is: the head learns alone.
        layer: Target layer of the maps by timm's name; None is what the pooling sees.
        arguments: Further arguments of ``timm.create_model``.
        mean: Mean of the input on [0, 1]; None is what the weights were trained with.
        std: Likewise.
    """

    section = "backbone"

    name: Annotated[str, Text("the name of a timm model")] = "resnet50"
    weights: Annotated[
        Literal["imagenet", "none"] | Path, Takes("imagenet, none or the path of a file", is_path)
    ] = "imagenet"
    output_stride: Annotated[
        int, Takes("1, 2, 4, 8, 16, 32 or 64", lambda stride: stride in (1, 2, 4, 8, 16, 32, 64))
    ] = 16
    dilated: bool = False
    channels: Literal[1, 3] = 3
    stages: Annotated[
        tuple[Annotated[int, Whole(1, 100)], ...],
        Takes("whole numbers from 1 to 100, ascending and without repeats", _ascending),
    ] = ()
    width: Channels = 256
    frozen: Annotated[
        int | Literal["all"],
        Takes(
            "a whole number from 0 to 1000, or all",
            lambda count: count == "all" or 0 <= count <= 1000,
        ),
    ] = 3
    layer: Annotated[str, Text("the name of a layer")] | None = None
    arguments: dict[OptionName, Option] = {}
    mean: tuple[Annotated[float, Real(-1000, 1000)], ...] | None = None
    std: tuple[Annotated[float, Real(1e-6, 1000)], ...] | None = None

    @model_validator(mode="after")
    def _one_per_channel(self) -> Self:
        allowed = (3,) if self.channels == 3 else (1, 3)
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) not in allowed:
                counts = " or ".join(map(str, allowed))
                text = f"takes {counts} numbers for backbone.channels={self.channels}"
                raise refusal(text, name, values)
        return self


class TrainingConfig(_Frozen):
    """How the classifier learns: SGD on tags with the poly schedule (IRNet, C-CAM).

    Attributes:
        epochs: Passes over the training slices.
        steps: Fewest steps, which is what learning takes: few slices are gone through more often.
            Also of all that a step or baseline trains by this recipe.
        batch: Slices per step.
        crop: Side in pixels of what the network sees.
        resize: Range of the long side in pixels before the crop.
        flip: Mirroring along the rows, left to right but in sagittal slices: "auto" leaves it off
            where it would show organs on the wrong side.
        rotate: Largest rotation in degrees.
        jitter: Largest relative change of contrast and brightness, and of the exponent of a gamma.
        lr: Learning rate of the trunk at the start.
        head_factor: How many times that the head learns with.
        momentum: Momentum of SGD. The field's code passes weight decay in its place: effectively
            none.
        weight_decay: L2 decay.
        power: Power of the poly schedule (1 - t / T) ** power, t in the middle of a step.
        warmup: Share of all steps over which the rate rises linearly from nothing.
        clip: Largest norm of the gradient; None leaves it as it is.
        rare: Slices are drawn with replacement so that the rarer value of each tag has at least
            about this share; 0 shows every slice once per epoch.
        precision: Precision of autocast: "bf16", "fp32", or "auto": bf16 where the processor
            computes it natively (:mod:`camzoo.core.processor`), else fp32.
        tags: What the shared classifier learns from: "own" tags of slices; as a test of what maps
            are about "level", those of another case at the same level, or "shuffled" among all
            slices. Steps and baselines that train networks of their own see true tags.
    """

    section = "training"

    epochs: Epochs = 5
    steps: Steps = 0
    batch: Batch = 16
    crop: Side = 512
    resize: Annotated[
        tuple[int, int],
        Takes(
            "two whole numbers of pixels from 4 to 8192, (smallest, largest)",
            lambda sides: 4 <= sides[0] <= sides[1] <= 8192,
        ),
    ] = (320, 640)
    flip: Literal["auto", "always", "never"] = "auto"
    rotate: Degrees = 0.0
    jitter: Share = 0.0
    lr: Rate = 0.1
    head_factor: Annotated[float, Real(0, 1000, above=True)] = 10.0
    momentum: Annotated[float, Real(0, 0.9999)] = 0.0
    weight_decay: Annotated[float, Real(0, 10)] = 1e-4
    power: Power = 0.9
    warmup: Share = 0.0
    clip: Norm | None = None
    rare: Annotated[float, Real(0, 0.5)] = 0.0
    precision: Precision = "auto"
    tags: Tags = "own"


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

    section = "maps"

    side: Side = 512
    scales: Annotated[tuple[Annotated[float, Real(0.1, 10)], ...], Several()] = (
        1.0, 0.5, 1.5, 2.0,
    )  # fmt: skip
    flip: Literal["auto", "always", "never"] = "auto"
    normalisation: Literal["max", "volume-max", "min-max", "none"] = "max"
    size: Side = 128
    batch: Batch = 16


class EvaluationConfig(_Frozen):
    """Which thresholds are tried, and how one is chosen.

    Attributes:
        thresholds: Background thresholds of the sweep, ascending.
        fixed: Threshold of the protocol of that name; one of ``thresholds``.
        protocols: Ways of choosing that are reported.
    """

    section = "evaluation"

    thresholds: Annotated[
        tuple[Share, ...],
        Takes(
            "one number from 0 to 1 or more, ascending and without repeats",
            lambda values: len(values) > 0 and _ascending(values),
        ),
    ] = tuple(round(0.05 * k, 2) for k in range(1, 20))
    fixed: Share = 0.5
    protocols: Annotated[tuple[Protocol, ...], Several()] = (
        Protocol.VALIDATED, Protocol.MASK_FREE, Protocol.ORACLE, Protocol.FIXED, Protocol.OTSU,
    )  # fmt: skip

    @model_validator(mode="after")
    def _swept(self) -> Self:
        near = min(self.thresholds, key=lambda threshold: abs(threshold - self.fixed))
        if Protocol.FIXED in self.protocols and not math.isclose(near, self.fixed, abs_tol=1e-9):
            text = f"takes one of evaluation.thresholds, of which {near:g} is the nearest"
            raise refusal(text, "fixed", self.fixed)
        return self


class SegmentationConfig(_Frozen):
    """How the common U-Net learns labels of slices: Adam on cross-entropy and Dice.

    C-CAM states the rate and the epochs of the defaults, and leaves the rest open.

    Attributes:
        side: Side in pixels of what the network sees.
        widths: Channels per level, the finest first.
        epochs: Passes over the training slices; the weights of the last one are kept.
        steps: Fewest steps; few slices are gone through more often.
        batch: Slices per step.
        flip: Mirroring along the rows, left to right but in sagittal slices: "auto" leaves it off
            where it would show organs on the wrong side.
        rotate: Largest rotation in degrees.
        jitter: Largest relative change of contrast and brightness, and of the exponent of a gamma.
        lr: Learning rate at the start.
        power: Power of the poly schedule (1 - t / T) ** power, t in front of a step; 0 keeps the
            rate.
        clip: Largest norm of the gradient; None leaves it as it is. Penalties on sizes start two
            orders of magnitude above the cross-entropy, and Adam would remember that.
        precision: Precision of autocast: "bf16", "fp32", or "auto": bf16 where the processor
            computes it natively (:mod:`camzoo.core.processor`), else fp32.
    """

    section = "segmentation"

    side: Annotated[
        int,
        Takes(
            "a multiple of 16 from 16 to 4096, in pixels",
            lambda side: side % 16 == 0 and 16 <= side <= 4096,
        ),
    ] = 256
    widths: Annotated[
        tuple[Channels, Channels, Channels, Channels, Channels],
        Takes("five whole numbers from 1 to 8192"),
    ] = (64, 128, 256, 512, 1024)
    epochs: Epochs = 100
    steps: Steps = 0
    batch: Batch = 16
    flip: Literal["auto", "always", "never"] = "auto"
    rotate: Degrees = 15.0
    jitter: Share = 0.3
    lr: Rate = 5e-4
    power: Power = 0.0
    clip: Norm | None = 1.0
    precision: Precision = "auto"


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
        seeds: Seeds of training; each seed is a cell of its own.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Threads of torch on the CPU; None is one per core. Each number of them adds up in
            an order of its own, so that results differ a little.
        plugins: Classes in files of one's own that are registered first: ``module:Class`` or
            ``path/to/file.py:Class`` (:mod:`camzoo.harness.plugins`).
    """

    preset: Annotated[str, Name()] = "custom"
    data: DataConfig = DataConfig()
    backbone: BackboneConfig = BackboneConfig()
    training: TrainingConfig = TrainingConfig()
    maps: MapsConfig = MapsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    segmentation: SegmentationConfig = SegmentationConfig()
    methods: Annotated[tuple[Annotated[str, Text("a CAM method")], ...], Several()] = ("cam",)
    baselines: Annotated[tuple[Annotated[str, Text("a baseline")], ...], Several(0)] = ()
    seeds: Annotated[tuple[Seed, ...], Several()] = (0,)
    device: Annotated[
        str,
        Takes("auto, cpu, cuda or cuda:N", re.compile(r"auto|cpu|cuda(:\d{1,3})?").fullmatch),
    ] = "auto"
    threads: Annotated[int, Whole(1, 1024)] | None = None
    plugins: Annotated[tuple[Annotated[str, Text("a plug-in")], ...], Several(0)] = ()

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
            if not isinstance(node, dict) or (last not in node and path not in _OPEN):
                raise _unknown_setting(dotted, tree)
            node[last] = _listed(value, node.get(last))
        return load_config(tree)

    def without_places(self) -> dict[str, Any]:
        """All settings as JSON, but of files and folders only their names: fit to be published."""
        tree = self.model_dump(mode="json", exclude={"data": {"root", "test_root"}})
        if isinstance(self.backbone.weights, Path):
            tree["backbone"]["weights"] = self.backbone.weights.name
        tree["plugins"] = [place.replace("\\", "/").rpartition("/")[2] for place in self.plugins]
        return tree


def _listed(value: Any, before: Any) -> Any:
    """A single number or name is a list of one where the setting is a list."""
    single = isinstance(value, bool | int | float | str)
    return [value] if isinstance(before, tuple | list) and single else value


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

    Folder of the data and place of the weights are not in it. The precisions are those that were
    used, whatever was asked for: the same numbers come out on a machine that would choose others.

    Raises:
        ConfigError: No such file, no manifest, or settings that this version does not have.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))["config"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{path} holds no settings of a run ({type(error).__name__}: {error}); give the "
            "manifest.json in the folder of a run, or in leaderboards/records"
        ) from error
    try:
        return load_config(tree)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def load_config(tree: object) -> BenchConfig:
    """Validate settings as JSON holds them.

    Raises:
        ConfigError: They are no settings, or one of them is wrong.
    """
    if not isinstance(tree, dict):
        raise ConfigError(f"settings are names with values, got {shortly(tree)}")
    return BenchConfig(**tree)
