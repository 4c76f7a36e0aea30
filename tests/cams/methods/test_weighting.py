import pytest
import torch

from camzoo.cams.weighting import mass, total, weighted_sum

FEATURES = torch.arange(2 * 3 * 2 * 4.0).view(2, 3, 2, 4)
FULL = torch.linspace(-1, 1, 2 * 5 * 3 * 2 * 4).view(2, 5, 3, 2, 4)
COMPACT = torch.linspace(-1, 1, 5 * 3).view(1, 5, 3, 1, 1)
FUNCTIONS = {
    weighted_sum: lambda w, a: (w * a[:, None]).sum(2),
    mass: lambda w, a: (w * a[:, None]).sum((3, 4), keepdim=True),
    total: lambda w, a: w.expand(-1, -1, -1, *a.shape[2:]).sum((3, 4), keepdim=True),
}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("weights", [FULL, COMPACT, COMPACT.expand(2, -1, -1, -1, -1)])
def test_compact_weights_mean_the_same_as_full_ones(function, weights):
    expected = FUNCTIONS[function](weights, FEATURES)
    torch.testing.assert_close(function(weights, FEATURES), expected)
