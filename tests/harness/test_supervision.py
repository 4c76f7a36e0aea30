import pytest

from camzoo.core.supervision import Supervision

IMAGE, SIZE, SAM, SEED, MASK = Supervision


@pytest.mark.parametrize(
    ("declared", "included"),
    [
        (IMAGE, {IMAGE}),
        (SIZE, {IMAGE, SIZE}),
        (SAM, {IMAGE, SIZE, SAM}),
        (SEED, {IMAGE, SIZE, SAM, SEED}),
        (MASK, {*Supervision}),
    ],
)
def test_each_may_use_what_those_before_it_see(declared, included):
    assert {other for other in Supervision if declared.includes(other)} == included
