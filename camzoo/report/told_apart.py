"""Rows of a run as pages divide them: what was scored, and whose masks its method learnt from."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.supervision import Supervision
from camzoo.evaluate.rows import SEGMENTATION
from camzoo.metrics.frames import numbered
from camzoo.report.equivalents import merge_equivalents
from camzoo.report.records import Record
from camzoo.report.segmentation import of_baselines, of_maps

#: Methods that saw masks are bounds on what the others can do, and stand apart.
_MASKS: Final = "whole masks, or marks: upper bounds"
#: So do those that ask a network which learnt masks of other images.
_OTHER_MASKS: Final = "tags and Segment Anything"
_NO_MASKS: Final = "tags, or tags and sizes"
_SEEN: Final = (_NO_MASKS, _OTHER_MASKS, _MASKS)


def told_apart(record: Record) -> pd.DataFrame:
    """Rows of a run with the column ``what``; methods that are one by construction share a line."""
    maps, _ = merge_equivalents(of_maps(record.rows), record.manifest["equivalent"])
    rows = pd.concat([maps, of_baselines(record.rows)])
    number, pairs = numbered(rows, ["stage", "subset"])
    names = [_what(*map(str, pair)) for pair in pairs.itertuples(index=False, name=None)]
    seen = [_seen(Supervision(name)) for name in rows["supervision"]]
    return rows.assign(
        what=pd.Categorical(np.array(names, object)[number]),
        **{"learnt from": pd.Categorical(seen, categories=[*_SEEN])},
    )


def _seen(supervision: Supervision) -> str:
    if supervision.ranked:
        return _NO_MASKS
    return _MASKS if supervision.opens_masks else _OTHER_MASKS


def _what(stage: str, subset: str) -> str:
    if stage == SEGMENTATION:
        return f"volumes that baselines segmented, {subset} patients"
    return f"masks from maps or labels, {subset} patients"
