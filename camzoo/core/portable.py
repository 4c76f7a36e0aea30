"""The same sums on processors of several kinds: what torch has to be told before it is imported.

Libraries choose among instructions that a processor has, and wider ones add up in another order.
After some hundred steps of a training the last digit has become a point of the Dice coefficient.
Two AMD processors agree so to the last digit, an Intel one does not quite (docs/findings.md): MKL
takes another path on it.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Final

from camzoo.core.errors import ConfigError

#: Environment variables by which torch, oneDNN and MKL take AVX2 and nothing wider. oneDNN then
#: multiplies in no bfloat16, so that precision ``auto`` is fp32.
VARIABLES: Final = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
_X86: Final = frozenset({"x86_64", "AMD64"})


def compute_portably() -> None:
    """Hold this process, and those that it starts, to instructions that x86 processors share.

    Raises:
        ConfigError: The processor is of another family, or torch has chosen already.
    """
    if platform.machine() not in _X86:
        raise ConfigError(
            f"portable sums are those of x86 processors, and this one is {platform.machine()}: "
            "leave out --portable"
        )
    if all(os.environ.get(name, "").lower() == v.lower() for name, v in VARIABLES.items()):
        return
    if "torch" in sys.modules:
        wanted = " ".join(f"{name}={value}" for name, value in VARIABLES.items())
        raise ConfigError(
            "torch is imported and has chosen its instructions: set these variables before this "
            f"program starts: {wanted}"
        )
    os.environ.update(VARIABLES)
