"""From the few words that a user says to a configuration: in Python as on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camzoo.core.errors import ConfigError

if TYPE_CHECKING:
    from camzoo.config import BenchConfig


def configure(
    dataset: str | None = None,
    preset: str | None = None,
    start: BenchConfig | Path | None = None,
    changes: Mapping[str, Any] | None = None,
) -> BenchConfig:
    """Return a preset for a data set, or a configuration that is there, with changes.

    Args:
        dataset: Registry name of the data set; options may stand behind it, as in
            "phantom:variant=abdomen".
        preset: smoke, quick or paper; quick when nobody says.
        start: What to start from in the place of both: a configuration, the manifest of an earlier
            run, or a TOML or YAML file of settings, which may leave open what ``dataset`` and
            ``preset`` say.
        changes: Settings by dotted name ("training.epochs": 3), the last word. "methods" and
            "baselines" take what stands after ``--methods`` and ``--baselines``, or lists of it.

    Raises:
        ConfigError: Nothing or too much to start from, or a name, a setting or a value is unknown.
    """
    from camzoo.config import BenchConfig, read_config
    from camzoo.core.settings_files import is_manifest, read_settings
    from camzoo.core.spec import split_settings
    from camzoo.presets import preset as named_preset

    changes = changes or {}
    if isinstance(start, Path) and not is_manifest(start):
        told = read_settings(start)
        dataset = dataset or told.dataset
        preset = preset or told.preset
        changes = {**told.changes, **changes}
        start = None
    if start is not None:
        if dataset is not None:
            raise ConfigError(
                "a run starts from either --dataset or --config, the file of a run: give one"
            )
        if preset is not None:
            raise ConfigError("--config says all that a preset would: leave --preset out")
        given = start if isinstance(start, BenchConfig) else read_config(start)
        return given.changed(_with_names(changes))
    dataset = dataset or changes.get("data.name")
    if dataset is None:
        raise ConfigError(
            "a run starts from either --dataset or --config, the file of a run or of settings "
            "that name a dataset"
        )
    dataset, options = split_settings(str(dataset))
    changes = _with_options(changes, options)
    variant = str(changes.get("data.options.variant", ""))
    preset_of = named_preset(preset or "quick", dataset, variant)
    return preset_of.changed(_with_names(changes))


def said(
    given: Mapping[str, Any], options: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What words change of a preset: those that were said, options of the data set, settings last.

    Args:
        given: Settings by dotted name; None is what nobody said.
        options: Options of the data set, by name.
        settings: Settings by dotted name, the last word.
    """
    changes = {name: value for name, value in given.items() if value is not None}
    return changes | {f"data.options.{name}": v for name, v in options.items()} | dict(settings)


def _with_options(changes: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The same changes with options of the data set.

    Raises:
        ConfigError: An option is given in both.
    """
    named = {f"data.options.{key}": value for key, value in options.items()}
    for key in named.keys() & changes.keys():
        raise ConfigError(f"the option {key.rpartition('.')[2]} of the data set is given twice")
    return {**changes, **named}


def _with_names(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The same changes with registered names for methods and baselines, and places of plug-ins."""
    from camzoo.harness.plugins import load_plugins, with_plugins
    from camzoo.registries import baselines, cams
    from camzoo.segment.selection import select_baselines
    from camzoo.steps.selection import select_methods

    named = dict(changes)
    places = _texts(named.get("plugins", ()))
    load_plugins(places)
    if "methods" in named:
        text, own = with_plugins(",".join(_texts(named["methods"])), cams)
        if not isinstance(named["methods"], str):
            _require_once(text)
        named["methods"] = select_methods(text)
        places += own
    if "baselines" in named:
        text, own = with_plugins(",".join(_texts(named["baselines"])), baselines)
        named["baselines"] = select_baselines(text) if text.strip() else ()
        places += own
    if places:
        named["plugins"] = tuple(dict.fromkeys(places))
    return named


def _require_once(text: str) -> None:
    """Refuse a method that a list names twice; sets and patterns may overlap with names."""
    from camzoo.core.spec import require_once, split_names
    from camzoo.steps.chain import parse_chain
    from camzoo.steps.selection import is_several

    names = [each for each in split_names(text) if not is_several(each)]
    require_once("methods", [(each, str(parse_chain(each))) for each in names])


def _texts(value: object) -> list[str]:
    """A text, or several texts, as a list."""
    listed: list[object] = [value]
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        listed = list(value)
    texts = [text for text in listed if isinstance(text, str)]
    if len(texts) < len(listed):
        raise ConfigError(f"names are text, got {value!r}")
    return texts
