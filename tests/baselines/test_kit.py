"""Every baseline that is installed passes the conformance kit."""

import pytest
from camzoo_baselines.mctformer import MctFormer

from camzoo.conformance.baselines import check_baseline
from camzoo.registries import baselines
from camzoo.segment.selection import select_baselines


class SmallTransformer(MctFormer):
    """With a network of its own that is as small as the others' here."""

    def __init__(self):
        super().__init__("test_vit", layers=6)


SMALL = {"mctformer": SmallTransformer}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One classifier for all of them."""
    return tmp_path_factory.mktemp("kit")


@pytest.mark.parametrize("name", select_baselines("all"))
def test_it_holds_to_all_that_a_baseline_has_to(name, folder):
    kind = SMALL.get(name, baselines.get(name))
    failed = [result for result in check_baseline(kind, folder) if not result.passed]
    assert not failed
