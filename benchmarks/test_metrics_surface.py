"""All surface metrics of a pair of masks, beside the field's tools, in one process."""

from __future__ import annotations

import warnings

import pytest
import torch

from benchmarks import masks, peers
from benchmarks.results import machine, table, write_section
from benchmarks.timing import interleaved, milliseconds, ratio
from camzoo.metrics.surface import ReferenceSurface, surface_distances

ROUNDS = 7
PREDICTIONS = 50
#: How often faster than the best other tool, and than medpy, camzoo means to be.
TARGET, TARGET_MEDPY, TARGET_SHARED = 1.8, 10.0, 1.5


@pytest.fixture(autouse=True)
def _one_quiet_thread():
    """Every tool on one thread, so that CPU time is the time a user waits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    torch.set_num_threads(threads)


def subjects():
    """Return {name: (prediction, reference, spacing)}."""
    reference, prediction = masks.organ(), masks.predictions(PREDICTIONS)[5]
    middle = len(reference) // 2
    return {
        "organ, 32 x 320 x 320": (prediction, reference, masks.SPACING),
        "the same with a stray voxel": (
            masks.with_stray_voxel(prediction),
            reference,
            masks.SPACING,
        ),
        "its middle slice, 320 x 320": (
            prediction[middle].copy(),
            reference[middle].copy(),
            masks.SPACING[1:],
        ),
    }


def test_surface_metrics_beside_other_tools(benchmark):
    tools = {"camzoo": peers.camzoo, **peers.installed()}
    rows, verdicts = [], []
    for name, case in subjects().items():
        times = interleaved({t: lambda f=f, c=case: f(*c) for t, f in tools.items()}, ROUNDS)
        rows += [
            {
                "masks": name,
                "tool": tool,
                "ms": milliseconds(seconds),
                "times camzoo's": "1" if tool == "camzoo" else ratio(seconds, times["camzoo"]),
            }
            for tool, seconds in times.items()
        ]
        verdicts.append(verdict(name, times))
    text = (
        "All surface metrics of one pair; each tool shares between its metrics what its public "
        f"code lets it share. Median (quartiles) CPU time of {ROUNDS} rounds in one process, the "
        f"tools taking turns; ratios are taken round by round.\n\n{table(rows)}\n\n"
        + "\n".join(verdicts)
        + f"\n\n{machine('camzoo', 'numpy', 'scipy', 'torch')}"
    )
    write_section("Surface metrics of one pair", text)
    case = next(iter(subjects().values()))
    benchmark.pedantic(peers.camzoo, case, rounds=ROUNDS, warmup_rounds=1)


def verdict(name, times):
    """Say how the targets fared on one pair."""
    others = {t: s for t, s in times.items() if t != "camzoo"}
    if not others:
        return f"- {name}: no other tool is installed here."
    best = min(others, key=lambda t: float(sorted(others[t])[ROUNDS // 2]))
    parts = [f"best other tool is {best}, {ratio(others[best], times['camzoo'])} times as long"]
    parts[0] += f" (target {TARGET})"
    medpy = next((t for t in others if t.startswith("medpy")), None)
    if medpy:
        parts.append(f"medpy {ratio(others[medpy], times['camzoo'])} (target {TARGET_MEDPY:g})")
    return f"- {name}: {'; '.join(parts)}."


def test_one_reference_for_many_predictions(benchmark):
    reference, predictions = masks.organ(), masks.predictions(PREDICTIONS)

    def apart():
        for prediction in predictions:
            surface_distances(prediction, reference, masks.SPACING)

    def together():
        shared = ReferenceSurface(reference, masks.SPACING)
        for prediction in predictions:
            shared.distances(prediction)

    times = interleaved({"each by itself": apart, "one reference": together}, 5)
    rows = [
        {"how": how, "ms per prediction": milliseconds(seconds / PREDICTIONS)}
        for how, seconds in times.items()
    ]
    gain = ratio(times["each by itself"], times["one reference"])
    text = (
        f"{PREDICTIONS} predictions (DSC .83 to .44) of one organ, 32 x 320 x 320, against one "
        "reference. Median (quartiles) CPU time of 5 rounds in one process, taking turns.\n\n"
        f"{table(rows)}\n\n- Sharing the reference is {gain} times as fast per prediction (target "
        f"{TARGET_SHARED}).\n\n{machine('camzoo', 'numpy', 'scipy')}"
    )
    write_section("Many predictions, one reference", text)
    benchmark.pedantic(together, rounds=1)
