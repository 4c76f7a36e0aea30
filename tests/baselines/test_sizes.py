import warnings

import pytest
import torch
from camzoo_baselines.sizes import WIDE_BOUNDS, bounds_of, organ_sizes, size_penalty

from camzoo.core.errors import ConfigError


def test_the_penalty_by_hand():
    """Bounds 60 and 2000, sizes 40, 1000 and 2512: 20², 0 and 512², over 65 536 pixels."""
    sizes = torch.tensor([[40.0], [1000.0], [2512.0]])
    penalty = size_penalty(sizes, torch.tensor([60.0]), torch.tensor([2000.0]))
    torch.testing.assert_close(penalty, torch.tensor([[400 / 65_536], [0.0], [4.0]]))


@pytest.mark.parametrize("side", [32, 64, 256])
def test_sizes_do_not_depend_on_the_grid(side):
    """A quarter of the slice, half sure: an eighth of 65 536 pixels."""
    probabilities = torch.zeros(2, 3, side, side)
    probabilities[1, 2, : side // 2, : side // 2] = 0.5
    sizes = organ_sizes(probabilities)
    assert sizes.shape == (2, 3)
    assert sizes[1, 2].item() == 8192
    assert sizes.sum().item() == 8192


def test_the_gradient_of_the_penalty_pulls_towards_the_bounds():
    sizes = torch.tensor([[40.0, 500.0, 3000.0]], requires_grad=True)
    size_penalty(sizes, torch.tensor(60.0), torch.tensor(2000.0)).sum().backward()
    torch.testing.assert_close(sizes.grad, torch.tensor([[-40.0, 0.0, 2000.0]]) / 65_536)


def test_bounds_are_given_or_known_or_wide():
    organs = ("prostate", "spleen", "ulna")
    with pytest.warns(UserWarning, match=r"bounds are known of the size of ulna; 1 and 16384 .*"):
        lower, upper = bounds_of(organs, {"spleen": (80, 4000)})
    assert lower.tolist() == [60, 80, WIDE_BOUNDS[0]]
    assert upper.tolist() == [9000, 4000, WIDE_BOUNDS[1]]


def test_organs_without_bounds_are_named_once_with_what_to_do():
    with pytest.warns(UserWarning, match="next to nothing") as caught:
        bounds_of(("ulna", "spleen", "radius"), {})
    (warning,) = caught
    assert "size of ulna, radius; 1 and 16384 pixels at 256 x 256" in str(warning.message)
    assert 'bounds={"ulna": [lower, upper]}' in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bounds_of(("ulna", "spleen"), {"ulna": (20, 300)})


def test_wrong_bounds_are_refused():
    with pytest.raises(ConfigError, match=r"expected 0 <= lower <= upper .*got 9 and 3"):
        bounds_of(("ulna",), {"ulna": (9, 3)})
    with pytest.raises(ConfigError, match="given for 'ulna', but the organs are spleen"):
        bounds_of(("spleen",), {"ulna": (1, 3)})
