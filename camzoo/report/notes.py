"""What a reader must know beside a table."""

from __future__ import annotations

import pandas as pd

#: Equal by construction where the layer is followed by average pooling and one linear layer alone.
_FAMILIES = ({"cam", "grad-cam", "hires-cam", "xgrad-cam", "shapley-cam"},)


def equivalence_note(rows: pd.DataFrame) -> str:
    """Name methods whose rows agree because they are one method on this head and layer."""
    counts = rows.pivot_table(
        index="method", columns=["fold", "seed", "subset", "protocol", "organ", "case"],
        values="tp", aggfunc="sum",
    )  # fmt: skip
    lines = []
    for family in _FAMILIES:
        there = [name for name in counts.index if name in family]
        same = [n for n in there if counts.loc[n].equals(counts.loc[there[0]])]
        if len(same) > 1:
            lines.append(
                f"Identical by construction here, not rivals: {', '.join(same)} (the target layer "
                "is followed by average pooling and one linear layer alone).\n"
            )
    return "\n".join(lines)
