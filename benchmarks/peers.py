"""The field's surface distances, each called in the cheapest way its public code allows.

Every function takes two boolean arrays and the spacing and returns that tool's numbers by the names
the tool gives them.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from camzoo.metrics.surface import surface_distances


def camzoo(pred, ref, spacing):
    d = surface_distances(pred, ref, spacing)
    return {
        "ASD": d.asd,
        "MAD": d.mad,
        "MAD reverse": d.mad_reverse,
        "ASSD": d.assd,
        "HD": d.hd,
        "HD95": d.hd95,
        "NSD": d.nsd(2.0),
    }


def medpy(pred, ref, spacing):
    """No shared intermediate results: each metric starts from the masks."""
    from medpy.metric import binary

    return {
        "ASD": binary.asd(pred, ref, spacing),
        "ASSD": binary.assd(pred, ref, spacing),
        "HD": binary.hd(pred, ref, spacing),
        "HD95": binary.hd95(pred, ref, spacing),
    }


def monai(pred, ref, spacing):
    """The two distance arrays once, then the reductions its metrics make of them."""
    import torch
    from monai.metrics.utils import get_edge_surface_distance

    _, (forward, backward), _ = get_edge_surface_distance(
        torch.from_numpy(pred), torch.from_numpy(ref), spacing=list(spacing), symmetric=True
    )
    pooled = torch.cat([forward, backward]).double()
    return {
        "ASD": float(forward.double().mean()),
        "ASD, symmetric": float(pooled.mean()),
        "HD": float(pooled.max()),
        "HD95": max(float(torch.quantile(d.double(), 0.95)) for d in (forward, backward)),
    }


def surface_distance(pred, ref, spacing):
    import surface_distance as tool

    shared = tool.compute_surface_distances(ref, pred, spacing)
    ref_to_pred, pred_to_ref = tool.compute_average_surface_distance(shared)
    return {
        "ASD, prediction to reference": pred_to_ref,
        "ASD, reference to prediction": ref_to_pred,
        "HD": tool.compute_robust_hausdorff(shared, 100),
        "HD95": tool.compute_robust_hausdorff(shared, 95),
        "surface DSC": tool.compute_surface_dice_at_tolerance(shared, 2.0),
    }


def panoptica(pred, ref, spacing):
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        from panoptica.metrics import _surface_distances as tool

    pair = tool._surface_distance_pair(ref, pred, spacing)
    return {
        "ASSD": tool._assd_from_pair(*pair),
        "HD": tool._hd_from_pair(*pair),
        "HD95": tool._hd95_from_pair(*pair),
        "NSD": tool._nsd_from_pair(*pair, spacing, 2.0),
    }


#: Function by distribution name.
TOOLS = {
    "medpy": medpy,
    "monai": monai,
    "surface-distance-based-measures": surface_distance,
    "panoptica": panoptica,
}


def installed():
    """Return the tools that can be called here, with "name version" as key."""
    probe = np.zeros((3, 4, 5), dtype=bool)
    probe[1, 1:3, 1:3] = True
    found = {}
    for name, tool in TOOLS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                tool(probe, probe, (1.0, 1.0, 1.0))
            except (ImportError, AttributeError):  # absent, or written for another numpy
                continue
        found[f"{name} {_version(name)}"] = tool
    return found


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
