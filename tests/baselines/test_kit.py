"""Every baseline that is installed passes the conformance kit."""

import pytest

from camzoo.conformance.baselines import check_baseline
from camzoo.registries import baselines
from camzoo.segment.selection import select_baselines

#: Settings with which those that train a large network of their own, or for a number of epochs of
#: their own, take no longer here than the others.
SMALL = {
    "affinitynet": {"epochs": 2},
    "bes": {"epochs": 2},
    "mctformer": {"backbone": "test_vit", "layers": 6},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One classifier for all of them."""
    return tmp_path_factory.mktemp("kit")


def with_settings(kind, settings):
    """The same baseline, which has these settings where none are given."""

    class Small(kind):
        def __init__(self):
            super().__init__(**settings)

    return Small


@pytest.mark.parametrize("name", select_baselines("all"))
def test_it_holds_to_all_that_a_baseline_has_to(name, folder):
    kind = baselines.get(name)
    if name in SMALL:
        kind = with_settings(kind, SMALL[name])
    failed = [result for result in check_baseline(kind, folder) if not result.passed]
    assert not failed
