import pytest

from camzoo.core.supervision import Supervision

IMAGE, SIZE, SEED, MASK = (
    Supervision.IMAGE, Supervision.IMAGE_SIZE, Supervision.IMAGE_SEED, Supervision.MASK,
)  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "included"),
    [(IMAGE, {IMAGE}), (SIZE, {IMAGE, SIZE}), (SEED, {IMAGE, SIZE, SEED}), (MASK, {*Supervision})],
)
def test_each_may_use_what_those_before_it_see(declared, included):
    assert {other for other in Supervision if declared.includes(other)} == included
