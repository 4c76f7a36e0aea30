"""Tables for the terminal."""

from __future__ import annotations

import fnmatch
from typing import Any, Final

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from camzoo.cams.base import cams
from camzoo.cams.chain import NAMED, parse_chain
from camzoo.cams.steps import steps
from camzoo.data.datasets import datasets
from camzoo.data.opening import dataset_options
from camzoo.errors import ConfigError
from camzoo.registry import Registry
from camzoo.report.segmentation import NOT_RUN, of_baselines, of_maps, segmentation_table
from camzoo.report.tables import of_oracles, of_weak, pooled_table, volume_table
from camzoo.segment import baselines
from camzoo.settings import defaults, written
from camzoo.text import plain

#: Characters of a name that stays on one line.
_WHOLE: Final = 40
_SHORT: Final = ["method", "DSC (%)", "95 % interval", "ASD (mm)", "MAD (mm)"]


def summary(rows: pd.DataFrame) -> list[Table]:
    """The tables a run ends with: two about maps, the same about oracles, one about baselines."""
    maps, segmented = of_maps(rows), of_baselines(rows)
    tables = []
    for part, mark in ((of_weak(maps), ""), (of_oracles(maps), ", with masks: not weak")):
        if len(part):
            pooled = pooled_table(part).drop(columns="supervision")
            volumes = volume_table(part)[_SHORT]
            tables += [
                text_table(f"Pseudo-masks of the training slices, pooled DSC (%){mark}", pooled),
                text_table(f"Volumes of the test patients, threshold validated{mark}", volumes),
            ]
    if len(segmented):
        unet = segmentation_table(segmented)
        unet = unet.loc[unet["DSC (%)"] != NOT_RUN, ["method", "supervision", *_SHORT[1:]]]
        tables.append(text_table("Baselines: volumes of the test patients", unet))
    return tables


def listing(kind: str, pattern: str) -> Table:
    """Show what a registry holds (:func:`entries`)."""
    return text_table(f"{kind} that match {pattern!r}", entries(kind, pattern))


def entries(kind: str, pattern: str) -> pd.DataFrame:
    """List what a registry holds, a line per name that matches a shell-style pattern.

    Raises:
        ConfigError: There is no such registry.
    """
    if kind == "cams":
        frame = pd.DataFrame(
            [_describe_cam(name) for name in cams.names(pattern)]
            + [_describe_chain(name) for name in fnmatch.filter(NAMED, pattern)]
        )
    elif kind == "steps":
        frame = pd.DataFrame([_describe_step(name) for name in steps.names(pattern)])
    elif kind == "baselines":
        frame = pd.DataFrame([_describe_baseline(name) for name in baselines.names(pattern)])
    elif kind == "datasets":
        frame = pd.DataFrame([_describe_dataset(name) for name in datasets.names(pattern)])
    else:
        raise ConfigError(
            f"unknown kind {kind!r} to list; choose cams, steps, baselines or datasets"
        )
    if frame.empty:
        raise ConfigError(f"no {kind} match {pattern!r}; `camzoo list {kind}` shows all")
    return frame


def _describe_cam(name: str) -> dict[str, str]:
    method = cams.get(name)
    return {
        "name": name,
        "from": _package(cams, name),
        "supervision": method.supervision.value,
        "per class": "yes" if method.class_specific else "no",
        "trained": "yes" if method.needs_fit else "no",
        "paper": method.paper,
    }


def _describe_chain(name: str) -> dict[str, str]:
    chain = parse_chain(name)
    return {
        "name": name,
        "from": "camzoo",
        "supervision": chain.supervision.value,
        "per class": "yes" if chain.method.class_specific else "no",
        "trained": "yes" if chain.steps or chain.method.needs_fit else "no",
        "paper": f"short for {NAMED[name]}",
    }


def _describe_step(name: str) -> dict[str, str]:
    step = steps.get(name)
    return {
        "name": name,
        "from": _package(steps, name),
        "settings": " ".join(written(defaults(step))),
        "cost": step.cost,
        "paper": step.paper,
    }


def _describe_baseline(name: str) -> dict[str, str]:
    baseline = baselines.get(name)
    return {
        "name": name,
        "from": _package(baselines, name),
        "supervision": baseline.supervision.value,
        "title": baseline.title,
        "settings": " ".join(written(defaults(baseline))),
        "cost": baseline.cost,
        "paper": baseline.paper,
    }


def _describe_dataset(name: str) -> dict[str, str]:
    dataset = datasets.get(name)
    return {
        "name": name,
        "from": _package(datasets, name),
        "title": dataset.facts.title,
        "options": " ".join(f"{p.name}={p.default}" for p in dataset_options(name).values()),
        "licence": dataset.facts.licence,
    }


def _package(registry: Registry[Any], name: str) -> str:
    """The package that registered a name, to tell third parties' from camzoo's."""
    return registry.origin(name).partition(".")[0]


def text_table(title: str, frame: pd.DataFrame) -> Table:
    """Show a frame whose cells are finished."""
    table = Table(title=escape(plain(title)), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for position, column in enumerate(frame.columns):
        widest = max((len(str(value)) for value in frame.iloc[:, position]), default=0)
        narrow = position == 0 and widest <= _WHOLE
        table.add_column(escape(plain(column)), overflow="fold", no_wrap=narrow)
    for row in frame.itertuples(index=False, name=None):
        table.add_row(*(escape(plain(value)) for value in row))
    return table
