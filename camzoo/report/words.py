"""What the words of a page mean: protocols, metrics and columns of its tables, a line each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from camzoo.core.protocol import Protocol
from camzoo.metrics.base import Metric
from camzoo.metrics.definitions import get_metric, one_empty
from camzoo.registries import metrics as registry
from camzoo.report.escaping import escape
from camzoo.report.further import heading

_COLUMNS: Final = {
    "±": "sample standard deviation over volumes; seeds of a volume are averaged first.",
    "95 % interval": "bootstrap over patients. Neither it nor ± holds what another training would "
    "change.",
    "seeds": "lowest and highest mean of a seed: what another training changes.",
    "pooled DSC (%)": "of the voxel counts of all volumes together, mean over organs.",
    "gap": "by how much the DSC at the best threshold in hindsight (`oracle`) lies above this one.",
    "failed": "volumes in which at least one organ was missed altogether. ASD and MAD leave that "
    "organ out; `ASD with failures` takes the diagonal of the volume for it.",
    "nothing there": "volumes with the organ neither in the reference nor in the mask; left out.",
    "p (Holm)": "two-sided Wilcoxon test over patients against the best line, with Holm's "
    "correction over all pairs of lines. `too few`: so few patients for so many lines that no "
    "difference can bring it below 0.05.",
    "first": "how often a line is the best when patients are resampled.",
}


def meanings(
    protocols: Iterable[str],
    metrics: Iterable[str],
    *,
    without: Iterable[str],
    foreign: Callable[[str], str] = escape,
) -> str:
    """Return a list, a line each, in markdown that a terminal shows just as well.

    Args:
        protocols: Names; one that is no way of choosing a threshold needs no words.
        metrics: Names.
        without: Columns that the tables do not have.
        foreign: What makes the words of other packages safe to show.
    """
    known = {protocol.value: protocol.meaning for protocol in Protocol}
    lines = [f"- `{name}`: {known[name]}." for name in protocols if name in known]
    for name in metrics:
        text = defined(get_metric(name))
        lines.append(f"- {text if registry.package(name) == 'camzoo' else foreign(text)}")
    gone = set(without)
    lines += [f"- `{name}`: {text}" for name, text in _COLUMNS.items() if name not in gone]
    return "\n".join(lines) + "\n"


def defined(metric: Metric) -> str:
    """Say in a line what a metric means."""
    return (
        f"{heading(metric.name)}: {metric.definition}; {metric.direction.value}. One mask empty: "
        f"{one_empty(metric)}; a failure counts as: {metric.worst}."
    )
