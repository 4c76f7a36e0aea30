"""The options of ``camzoo bench``: what each takes, what it says of itself, how it is completed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from camzoo.cli import complete as cli_complete

DataSet = Annotated[
    str | None,
    typer.Option(
        help="promri, acdc, chaos, nnunet, phantom, …", autocompletion=cli_complete.data_set
    ),
]
Root = Annotated[Path | None, typer.Option(help="Folder with the data set.")]
TestDataSet = Annotated[
    str | None,
    typer.Option(
        "--test-dataset",
        help="Another data set to test on, as of another hospital; all of --dataset trains and "
        "validates.",
        autocompletion=cli_complete.data_set,
    ),
]
TestRoot = Annotated[Path | None, typer.Option("--test-root", help="Folder with that one.")]
Preset = Annotated[
    str | None,
    typer.Option(help="smoke, quick or paper. Without: quick.", autocompletion=cli_complete.preset),
]
Again = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="manifest.json of an earlier run, instead of data set and preset; or a TOML or "
        "YAML file of settings.",
    ),
]
Methods = Annotated[
    str | None,
    typer.Option(
        help="CAM methods, comma-separated, or all. A class of your own as module:Class or "
        "path/to/file.py:Class. Without: cam.",
        autocompletion=cli_complete.methods,
    ),
]
Baselines = Annotated[
    str | None,
    typer.Option(
        help="Baselines that end in a U-Net, comma-separated, all or none; your own as for "
        "--methods. Without: none.",
        autocompletion=cli_complete.baselines,
    ),
]
Backbone = Annotated[
    str | None, typer.Option(help="Any timm model.", autocompletion=cli_complete.backbone)
]
Weights = Annotated[
    str | None, typer.Option(help="A .safetensors or .pth file, imagenet, or none.")
]
Split = Annotated[str | None, typer.Option(help="patient or paper-like.")]
Seeds = Annotated[str | None, typer.Option(help="Of training, comma-separated.")]
Folds = Annotated[str | None, typer.Option(help="Of a cross-validated data set.")]
Limit = Annotated[int | None, typer.Option(help="Most cases to take; every subset keeps patients.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N. Without: auto.")]
Pairs = Annotated[
    list[str] | None, typer.Option(help="KEY=VALUE option of the data set; repeatable.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="SETTING=VALUE, as training.epochs=3 or maps.scales=0.5,1; camzoo settings "
        "lists them.",
        autocompletion=cli_complete.setting,
    ),
]
Runs = Annotated[Path, typer.Option(help="Folder of runs.")]
Report = Annotated[
    Path | None,
    typer.Option(help="Also write the page of camzoo report, into this folder.", metavar="DIR"),
]
ExecutorName = Annotated[
    str | None,
    typer.Option(
        "--executor",
        help="Who computes where several do: local or ray, with settings as ray:memory=8. Without: "
        "local.",
        autocompletion=cli_complete.executor,
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Parts of the run that are computed at once. Without: one.")
]
Address = Annotated[str | None, typer.Option(help="Of a Ray cluster that is running, or auto.")]
OnlyPlan = Annotated[
    bool,
    typer.Option(
        "--plan", help="Print what would be done, what is there, time and memory; do nothing."
    ),
]
Portable = Annotated[
    bool,
    typer.Option(
        "--portable", help="AVX2 alone, in fp32: the same sums on x86 processors of one maker."
    ),
]
