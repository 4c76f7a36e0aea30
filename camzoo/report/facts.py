"""What a leaderboard says of a run beside its numbers: data, settings, machine, commits."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from camzoo.core.spec import split_settings
from camzoo.harness.manifest import MANIFEST
from camzoo.network.precision import SECTIONS, in_words
from camzoo.report.escaping import code, escape
from camzoo.report.records import Record

#: The data set of nobody: it needs no files.
SYNTHETIC: Final = "phantom"
#: Weights that are no file.
_NO_FILE = ("imagenet", "none")
#: Name of the line that is a command.
_AGAIN = "again"


def facts(record: Record, folder: str = "") -> str:
    """Render what is to be known of a run, as markdown.

    Args:
        record: The run.
        folder: Where it lies, as seen from the page, with a slash at its end.
    """
    lines = (
        f"- {escape(name)}: {code(text) if name == _AGAIN else escape(text)}"
        for name, text in fact_lines(record, folder)
    )
    return "\n".join(lines) + "\n"


def fact_lines(record: Record, folder: str) -> list[tuple[str, str]]:
    """Names and texts of what is to be known of a run before its numbers (:func:`facts`)."""
    return [
        ("data", _data(record)),
        *_slices(record),
        ("split", _split(record)),
        ("classifier", f"{classifier(record.manifest)}, seed {_seeds(record.manifest)}"),
        ("maps", _maps(record.manifest["config"])),
        ("made with", _environment(record.manifest["environment"])),
        ("precision", _precision(record.manifest)),
        *_made_at(record.costs),
        (_AGAIN, _command(record, folder)),
        *(("note", text) for text in record.manifest["dataset"]["caveats"]),
        *(("note", text) for text in _spacing(record.rows)),
        *((f"{name} failed", why) for name, why in record.manifest["failures"].items()),
    ]


def listed(values: object) -> str:
    """Write a list of the manifest with commas, and anything else as it is."""
    return ", ".join(map(str, values)) if isinstance(values, list) else str(values)


def _data(record: Record) -> str:
    dataset, options = record.manifest["dataset"], record.manifest["config"]["data"]["options"]
    parts = [dataset["title"], f"organs: {', '.join(dataset['organs'])}"]
    parts += [f"content {record.data}"] if record.data else []
    return "; ".join([*parts, *(f"{name} {value}" for name, value in options.items())])


def _slices(record: Record) -> list[tuple[str, str]]:
    """The plane of slices; runs from before there was a choice were axial and do not say so."""
    text = record.manifest["dataset"].get("slices")
    return [("slices", text)] if text else []


def _split(record: Record) -> str:
    data = record.manifest["config"]["data"]
    cases = record.rows.groupby("subset")["case"].nunique().to_dict()
    return (
        f"{data['split']}, fold {listed(data['folds'])}; volumes scored: {cases.get('train', 0)} "
        f"training, {cases.get('test', 0)} test"
    )


def classifier(manifest: Mapping[str, Any]) -> str:
    """Say what was trained, from which weights and for how long."""
    config = manifest["config"]
    backbone, training = config["backbone"], config["training"]
    return (
        f"{backbone['name']}, weights {started_from(manifest)}, head on {_read(backbone)}; "
        f"{length(training)}, crops of {training['crop']} pixels"
    )


def _seeds(manifest: Mapping[str, Any]) -> str:
    return listed(manifest["config"]["seeds"])


def length(settings: Mapping[str, Any]) -> str:
    """How long a training is, from its settings; those of older records know no steps."""
    steps = settings.get("steps", 0)
    return f"{settings['epochs']} epochs" + (f", at least {steps} steps" if steps else "")


def started_from(manifest: Mapping[str, Any]) -> str:
    """Say what the classifier started from; older records have a name alone."""
    named, known = str(manifest["config"]["backbone"]["weights"]), manifest.get("weights", {})
    if "sha256" in known:
        return f"{named} (SHA-256 {known['sha256'][:8]}…)"
    return f"{named} ({known['tag']})" if named == "imagenet" and "tag" in known else named


def _maps(config: Mapping[str, Any]) -> str:
    backbone, maps = config["backbone"], config["maps"]
    layer = backbone["layer"] or f"what the head reads ({_read(backbone)})"
    return (
        f"{maps['side']} pixels, scales {listed(maps['scales'])}, normalisation "
        f"{maps['normalisation']}, target layer: {layer}"
    )


def _read(backbone: Mapping[str, Any]) -> str:
    """What the head pools, in words."""
    stages = backbone["stages"]
    if not stages:
        return "the last features"
    return f"{'stage' if len(stages) == 1 else 'stages'} {listed(stages)}"


def _environment(environment: Mapping[str, Any]) -> str:
    packages, machine = environment["packages"], environment["device_name"]
    if "instructions" in environment:  # older records do not say
        machine = f"{machine}, {environment['instructions']}"
    return (
        f"camzoo {packages['camzoo']}, torch {packages['torch']}, {environment['device']} "
        f"({machine}); put together at {environment['commit']}"
    )


def _precision(manifest: Mapping[str, Any]) -> str:
    """What networks ran in, and why; older records say the former alone."""
    if "precision" in manifest:
        return in_words(manifest["precision"])
    config = manifest["config"]
    sections = [name for name in SECTIONS if name != "segmentation" or config["baselines"]]
    used = {SECTIONS[name]: str(config[name]["precision"]) for name in sections}
    if len(set(used.values())) == 1:
        return next(iter(used.values()))
    return "; ".join(f"{what}: {name}" for what, name in used.items())


def _made_at(costs: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Commits that baselines were made at, where the store still had them from earlier runs."""
    made: dict[str, list[str]] = {}
    for cost in costs:
        names = made.setdefault(cost["environment"]["commit"], [])
        if cost["method"] not in names:
            names.append(cost["method"])
    if not made:
        return []
    text = "; ".join(f"{', '.join(sorted(names))} at {commit}" for commit, names in made.items())
    return [("baselines made", text)]


def data_sets(record: Record) -> dict[str, str]:
    """Registry names of the data sets of a run, by the option that says where each lies.

    There are two where one is learnt from and another tests.
    """
    data = record.manifest["config"]["data"]
    test = data.get("test")
    return {"--root": data["name"]} | (
        {"--test-root": split_settings(str(test))[0]} if test else {}
    )


def _command(record: Record, folder: str) -> str:
    """How to run it again, from the folder of the page."""
    weights = record.manifest["config"]["backbone"]["weights"]
    names = data_sets(record)
    roots = "".join(f" {root} FOLDER" for root, name in names.items() if name != SYNTHETIC)
    file = "" if weights in _NO_FILE else f" --weights {shlex.quote(weights)}"
    return f"camzoo bench --config {shlex.quote(folder + MANIFEST)}{roots}{file}"


def _spacing(rows: pd.DataFrame) -> list[str]:
    """Warn where a spacing is too uniform to have been measured."""
    spacings = rows[["spacing_z", "spacing_y", "spacing_x"]].round(3).drop_duplicates()
    if len(spacings) > 1 or rows["patient"].nunique() < 3:
        return []
    size = " x ".join(f"{mm:g}" for mm in spacings.iloc[0])
    note = (
        f"all volumes state the same spacing, {size} mm (z, y, x); where it is nominal, "
        "distances are in nominal mm"
    )
    return [note]
