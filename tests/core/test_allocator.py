import subprocess
import sys

import pytest

# A block is freed and asked for again: pages that were kept cost no faults.
FAULTS = """
import resource
from camzoo.core.allocator import keep_freed_memory, release_freed_memory

def faults(steps=10, size=64 << 20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        block = bytearray(size)
        block[::4096] = bytes(size // 4096)
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

before = faults()
kept = keep_freed_memory()
faults(1, 256 << 20)
held = resident()
after = faults()
release_freed_memory()
print(kept, before, after, (held - resident()) >> 20)
"""


@pytest.fixture
def measured():
    """In a process of its own: the setting stays for good."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    kept, *numbers = done.stdout.split()
    if kept != "True":
        pytest.skip("the C library is not glibc")
    return [int(number) for number in numbers]


def test_freed_blocks_are_used_again_and_given_back_on_demand(measured):
    before, after, released_mib = measured
    assert before > 10 * 16_000  # 16 384 pages a block, each of them new
    assert after < before / 20
    assert released_mib > 200


def test_a_meter_does_not_count_what_was_freed_before_it():
    """Else every baseline would be charged with the memory of those before it."""
    script = """
import numpy as np, torch
from camzoo.core.allocator import keep_freed_memory
from camzoo.harness.cost import CostMeter
print(keep_freed_memory())
block = np.ones(400 << 20, np.uint8)
del block
with CostMeter(torch.device("cpu")) as meter:
    pass
with CostMeter(torch.device("cpu")) as large:
    block = np.ones(400 << 20, np.uint8)
print(meter.memory_mib is not None and large.memory_mib - meter.memory_mib)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    kept, difference = done.stdout.split()
    if kept != "True" or difference == "False":
        pytest.skip("needs glibc and /proc")
    assert float(difference) > 300
