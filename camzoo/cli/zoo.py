"""Commands about plug-ins: layers that CAM methods can look at, and whether a new one behaves."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from camzoo.cli import complete as cli_complete
from camzoo.core.console import make_console
from camzoo.core.errors import ConfigError
from camzoo.core.output import AsJson, Output
from camzoo.core.registry import defaults
from camzoo.core.spec import checked, split_settings
from camzoo.core.suggest import unknown

if TYPE_CHECKING:
    from camzoo.conformance.kit import Result
    from camzoo.core.registry import Registry

console = make_console()


def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="cams, steps, baselines, datasets, metrics or executors; or a name or pattern "
            "of any.",
            autocompletion=cli_complete.kind_or_name,
        ),
    ] = "cams",
    pattern: Annotated[str, typer.Argument(help="Shell-style pattern of names.")] = "*",
    every: Annotated[
        bool, typer.Option("--all", help="Show the classes of pytorch-grad-cam, too.")
    ] = False,
    fairness: Annotated[
        bool,
        typer.Option("--fairness", help="The page docs/fairness.md: what every row was given."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is registered, with what installed packages add; or all about one name."""
    if fairness:
        from camzoo.report.fairness import markdown

        sys.stdout.write(markdown())
        return
    from camzoo.report.listing import entries, listing

    if as_json:
        Output(as_json).document(entries(what, pattern))
        return
    console.print(*listing(what, pattern, console.width, every=every), sep="\n", highlight=False)


def layers(
    model: Annotated[
        str, typer.Argument(help="Any timm model.", autocompletion=cli_complete.backbone)
    ],
    depth: Annotated[int, typer.Option(help="How deep layers may be nested.")] = 2,
    height: Annotated[int | None, typer.Option(help="Of the image, if not the model's.")] = None,
    width: Annotated[int | None, typer.Option(help="Of the image, if not the model's.")] = None,
) -> None:
    """List the layers of a timm model that maps can be made from."""
    from camzoo.network.timm_names import require_model

    require_model(model)  # before what takes seconds to import

    from camzoo.cams.view.layers import create_outline, list_layers

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
    place: Annotated[
        str,
        typer.Argument(
            help="module:Class, path/to/file.py:Class, or a registered name; with "
            "settings, as fem:sigmas=3.",
            autocompletion=cli_complete.plug_in,
        ),
    ],
    kind: Annotated[
        str, typer.Option(help="cam or baseline, for a name that is both. Without: cam.")
    ] = "",
) -> None:
    """Run the conformance kit on a CAM method or a baseline; exit 1 if it fails anything."""
    where, told = split_settings(place)
    found = _found(where, kind)
    settings = dict(checked(where, told, defaults(found)))
    with Output().reporting():  # says that it is still at work
        results = _checked(found, where, settings)
    for result in results:
        mark = "[green]pass[/]" if result.passed else "[red]FAIL[/]"
        console.print(f"{mark}  {result.name}", highlight=False)
        if not result.passed:
            console.print(f"      {result.message}", markup=False, highlight=False)
    failed = sum(not result.passed for result in results)
    console.print(f"{len(results) - failed} of {len(results)} checks passed", highlight=False)
    if failed:
        raise typer.Exit(1)


def _found(place: str, kind: str) -> type:
    """The class of a registered name, or at a place (:mod:`camzoo.harness.plugins`)."""
    from camzoo.harness.plugins import find_class
    from camzoo.registries import baselines, cams

    registries: dict[str, Registry[Any]] = {"cam": cams, "baseline": baselines}
    if kind and kind not in registries:
        raise ConfigError(f"--kind takes {' or '.join(registries)}, got {kind!r}")
    for name, registry in registries.items():
        if kind in ("", name) and place in registry:
            return cast("type", registry.get(place))
    if ":" not in place:
        raise unknown("CAM method or baseline", place, [*cams, *baselines])
    return find_class(place)


def _checked(found: type, place: str, settings: Mapping[str, Any]) -> list[Result]:
    from camzoo.cams.base import CamMethod
    from camzoo.conformance.baselines import check_baseline
    from camzoo.conformance.cams import check_method
    from camzoo.segment.base import Baseline

    if issubclass(found, CamMethod):
        return check_method(found, settings)
    if issubclass(found, Baseline):
        if settings:
            raise ConfigError(f"{place}: baselines are checked as they are; leave settings out")
        return check_baseline(found)
    raise ConfigError(
        f"{place!r} is no CAM method and no baseline (subclass of camzoo.CamMethod or "
        "camzoo.Baseline), which are what camzoo check tries; what else is plugged in is tried by "
        "camzoo bench --set plugins=PLACE"
    )
