"""Commands about CAM methods: the layers they can look at, and whether a new one behaves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

console = Console(soft_wrap=not sys.stdout.isatty())


def layers(
    model: Annotated[str, typer.Argument(help="Any timm model.")],
    depth: Annotated[int, typer.Option(help="How deep layers may be nested.")] = 2,
    height: Annotated[int | None, typer.Option(help="Of the image, if not the model's.")] = None,
    width: Annotated[int | None, typer.Option(help="Of the image, if not the model's.")] = None,
) -> None:
    """List the layers of a timm model that maps can be made from."""
    from camzoo.cams.layers import create_outline, list_layers

    outline, (channels, own_height, own_width) = create_outline(model)
    size = (channels, height or own_height, width or own_width)
    title, caption = f"{model}, image {size[1]} x {size[2]}", "* default"
    table = Table(box=SIMPLE_HEAD, title=title, caption=caption)
    for heading in ("", "layer", "module", "channels", "grid", "stride"):
        table.add_column(heading, no_wrap=True)
    for layer in list_layers(outline, size, depth):
        table.add_row(
            "*" if layer.default else "",
            layer.name or "(before the pooling)",
            layer.kind,
            str(layer.channels),
            f"{layer.grid[0]} x {layer.grid[1]}",
            f"{layer.stride[0]} x {layer.stride[1]}",
        )
    console.print(table)


def check(
    method: Annotated[str, typer.Argument(help="module:Class, or a registered name.")],
) -> None:
    """Run the conformance kit on a CAM method; exit 1 if it fails anything."""
    from camzoo.cams.check import check_method, load_method

    sys.path.insert(0, str(Path.cwd()))  # so that a module under development is found
    results = check_method(load_method(method))
    for result in results:
        mark = "[green]pass[/]" if result.passed else "[red]FAIL[/]"
        console.print(f"{mark}  {result.name}", highlight=False)
        if not result.passed:
            console.print(f"      {result.message}", markup=False, highlight=False)
    failed = sum(not result.passed for result in results)
    console.print(f"{len(results) - failed} of {len(results)} checks passed", highlight=False)
    if failed:
        raise typer.Exit(1)
