"""What a plug-in changes in the process is put back, and its draws are its own."""

import io
import os
import random
import sys

import numpy as np
import pytest
import torch

from camzoo.harness.kept import SWITCHES, Kept
from camzoo.registries import cams
from tests.harness.test_guarded import giving, run

CHANGES = {
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "default device": lambda: torch.set_default_device("meta"),
    "threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "grad mode": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "precision of matrix products": lambda: torch.set_float32_matmul_precision("medium"),
    "cudnn.benchmark": lambda: setattr(
        torch.backends.cudnn, "benchmark", not torch.backends.cudnn.benchmark
    ),
    "cudnn.deterministic": lambda: setattr(
        torch.backends.cudnn, "deterministic", not torch.backends.cudnn.deterministic
    ),
    "errors of numpy": lambda: np.seterr(all="raise"),
    "recursion limit": lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 7),
    "working folder": lambda: os.chdir("/"),
    "standard streams": lambda: setattr(sys, "stdout", io.StringIO()),
}


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_every_switch_is_tried():
    assert set(CHANGES) == set(SWITCHES)


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.parametrize("error", [None, ValueError("x"), SystemExit(1)], ids=repr)
def test_switches_are_put_back(name, error):
    before = SWITCHES[name].read()
    try:
        with Kept(0).apart():
            CHANGES[name]()
            assert SWITCHES[name].read() != before
            if error:
                raise error
    except (ValueError, SystemExit):
        pass
    assert SWITCHES[name].read() == before


def test_nobody_draws_other_numbers_because_of_a_plug_in():
    torch.manual_seed(3), random.seed(3), np.random.seed(3)  # noqa: NPY002
    expected = [draws() for _ in range(2)]
    torch.manual_seed(3), random.seed(3), np.random.seed(3)  # noqa: NPY002
    found = [draws()]
    with Kept(0).apart():
        draws()
        torch.manual_seed(99)
    assert [*found, draws()] == expected


def test_a_plug_in_draws_the_same_alone_and_among_others():
    def drawn(kept):
        with kept.apart():
            return draws()

    alone, one, other = Kept(5), Kept(5), Kept(6)
    expected = [drawn(alone) for _ in range(3)]
    found = []
    for _ in range(3):
        found.append(drawn(one))
        drawn(other)
        draws()
    assert found == expected
    assert len(set(found)) == 3


def test_a_method_that_changes_the_process_leaves_another_as_it_is():
    class Careless(giving(lambda maps: maps)):
        """Changes all that it can."""

        def saliency(self, view):
            for change in CHANGES.values():
                change()
            return super().saliency(view)

    (alone,), _ = run(cams.get("cam"))
    (_, beside), (_, cam) = run(Careless, cams.get("cam"))
    assert not cam.failure
    assert np.array_equal(alone.maps, beside.maps)
