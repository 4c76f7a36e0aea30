"""The rule behind the protocol ``mask-free``.

It was chosen on phantoms alone (benchmarks/threshold_rules.py) before any scan of a patient was
looked at, and stays: with another rule the protocol would be another one, under another name.
"""

from __future__ import annotations

from typing import Final

from camzoo.metrics.threshold_rules.contrast import Contrast

FROZEN: Final = Contrast()
