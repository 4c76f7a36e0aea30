"""The manifest of a run: what it was, as JSON beside its rows.

The types say what reports read. More may stand in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from camzoo.config import LATER
from camzoo.core.errors import ConfigError
from camzoo.core.leaves import flatten
from camzoo.core.names import require_name
from camzoo.core.stored import read_json
from camzoo.core.text import plain
from camzoo.evaluate.rows import run_again

#: Raised whenever a field gets another meaning. Manifests without it are from before checksums.
SCHEMA: Final = 1
MANIFEST: Final = "manifest.json"
COSTS: Final = "costs.json"
#: Folder of results of stages, beside the folders of the runs that share it.
STORE: Final = "store"
#: Digits of a digest that names, rows and tables show.
SHORT: Final = 8
#: Keys of :class:`Subsets`.
SUBSETS: Final[tuple[Literal["train", "val", "test"], ...]] = ("train", "val", "test")
#: Before there was a fewest number of steps, there was none.
_BEFORE: Final = {"training.steps": 0, "segmentation.steps": 0}
_OPEN: Final = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
Number = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Text = Annotated[str, Field(min_length=1)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: Folder of an artifact below the store, as ``maps/1f…``. Manifests come from others, too: no
#: pattern of these leads out of the store.
Stored = Annotated[str, Field(pattern=r"^[a-z][a-z-]*/[0-9a-f]+$")]
#: Folder of the predictions of a baseline, below the folder of runs.
Predicted = Annotated[str, Field(pattern=r"^store/segment/[0-9a-f]+/predictions$")]


class DataSettings(TypedDict):
    """Settings of the data."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: str
    options: dict[str, Any]
    split: str
    folds: list[int]


class BackboneSettings(TypedDict):
    """Settings of the classifier's network."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    name: str
    weights: str
    stages: list[int]
    layer: str | None


class TrainingSettings(TypedDict):
    """Settings of the classifier's training."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    epochs: int
    crop: int


class MapsSettings(TypedDict):
    """Settings of the pipeline."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    side: int
    scales: list[float]
    normalisation: str


class SegmentationSettings(TypedDict):
    """Settings of the U-Net."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    side: int
    widths: list[int]
    epochs: int
    batch: int


class Settings(TypedDict):
    """Settings of a run (:meth:`camzoo.config.BenchConfig.without_places`)."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    data: DataSettings
    backbone: BackboneSettings
    training: TrainingSettings
    maps: MapsSettings
    segmentation: SegmentationSettings
    seeds: list[int]


class Packages(TypedDict):
    """Versions of packages."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    camzoo: str
    torch: str


class Environment(TypedDict):
    """The machine and the software (:func:`camzoo.core.environment.describe`)."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    device: str
    device_name: str
    instructions: NotRequired[str]
    packages: Packages
    commit: str


class DatasetFacts(TypedDict):
    """What is said of the data."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    title: str
    organs: Annotated[list[str], Field(min_length=1)]
    caveats: list[str]
    name: NotRequired[str]
    data: NotRequired[Digest]
    slices: NotRequired[str]
    content: NotRequired[str]
    prepared: NotRequired[Stored]
    licence: NotRequired[str]
    citation: NotRequired[str]


class WeightsFacts(TypedDict, total=False):
    """What a classifier started from: a file by its content, or weights by timm's tag."""

    file: str
    sha256: Digest
    tag: str


class Subsets(TypedDict):
    """Cases of a fold."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    train: list[str]
    val: list[str]
    test: list[str]


class CellFacts(TypedDict):
    """One fold and seed: its classifier, what steps reported, and where maps are by line."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    fold: int
    seed: int
    classifier: NotRequired[Annotated[str, Field(pattern=r"^[0-9a-f]+$")]]
    steps: NotRequired[dict[str, dict[str, Any]]]
    maps: NotRequired[dict[str, Stored]]


class Manifest(TypedDict):
    """``manifest.json`` of a run."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    schema: NotRequired[Literal[1]]
    run: str
    config: Settings
    environment: Environment
    dataset: DatasetFacts
    weights: NotRequired[WeightsFacts]
    lineage: NotRequired[Digest]
    splits: dict[str, Subsets]
    cells: Annotated[list[CellFacts], Field(min_length=1)]
    artifacts: NotRequired[list[Stored]]
    equivalent: list[list[str]]
    failures: dict[str, str]


class Took(TypedDict):
    """What a part of the work took."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    seconds: Number | None
    memory_mib: NotRequired[Number | None]
    cuda_mib: NotRequired[Number | None]
    resumed: NotRequired[bool]


class Commit(TypedDict):
    """Where the code of a cost stood."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    commit: str


class Cost(TypedDict):
    """What a baseline took in a cell: an entry of ``costs.json``."""

    __pydantic_config__ = _OPEN  # type: ignore[misc]
    fold: int
    seed: int
    method: Text
    fit: Took
    predict: Took
    maps: Took
    images_per_second: Number | None
    resumed: bool
    environment: Commit
    predictions: NotRequired[Predicted]


_MANIFEST: Final = TypeAdapter(Manifest)
_COSTS: Final = TypeAdapter(list[Cost])
_VERSIONED: Final = TypeAdapter(dict[str, Any])


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a run.

    Raises:
        DamagedError: It is none.
        ConfigError: It is of another version of camzoo, or names what is no name.
    """
    path = folder / MANIFEST
    version = read_json(path, _VERSIONED, run_again).get("schema", SCHEMA)
    if version != SCHEMA:
        raise ConfigError(
            f"{path} has schema {plain(version, 20)}, this camzoo reads {SCHEMA}; {run_again(path)}"
        )
    manifest = read_json(path, _MANIFEST, run_again)
    require_name(manifest["run"], f"{path}: the run")
    require_name(dataset_name(manifest), f"{path}: the data set")
    return manifest


def read_costs(folder: Path) -> tuple[Cost, ...]:
    """Read what baselines took; nothing where there are none.

    Raises:
        DamagedError: The file holds something else.
    """
    path = folder / COSTS
    costs = read_json(path, _COSTS, run_again) if path.exists() else []
    return tuple(costs)


def dataset_name(manifest: Manifest) -> str:
    """What rows call the data set of a run; one from before it was written down was called so."""
    data = manifest["config"]["data"]
    variant = data["options"].get("variant")
    derived = f"{data['name']}-{variant}" if variant else data["name"]
    return manifest["dataset"].get("name", derived)


def settings_of(manifest: Manifest) -> dict[str, Any]:
    """Settings of a run by dotted name, also those that came later."""
    return {**LATER, **_BEFORE, **flatten(manifest["config"])}
