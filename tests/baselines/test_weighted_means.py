import numpy as np
import torch
from camzoo_baselines.weighted_means import masked_mean, rank_pooled

#: On four places a decay that halves the weight from rank to rank.
HALF = 0.5 ** (4 / 1681)


def test_rank_pooling_by_hand():
    """Weights 1, 1/2, 1/4, 1/8 over values 0.8, 0.4, 0.2 and 0: 1.05 / 1.875 = 0.56."""
    planes = torch.tensor([[[[0.2, 0.8, 0.0, 0.4]], [[0.3, 0.3, 0.3, 0.3]]]])
    torch.testing.assert_close(rank_pooled(planes, HALF, places=1681), torch.tensor([[0.56, 0.3]]))
    torch.testing.assert_close(rank_pooled(planes, 0.5, places=4), torch.tensor([[0.56, 0.3]]))
    torch.testing.assert_close(rank_pooled(planes, 0.0, places=4), torch.tensor([[0.8, 0.3]]))
    torch.testing.assert_close(rank_pooled(planes, 1.0, places=4), torch.tensor([[0.35, 0.3]]))


def test_rank_pooling_is_the_papers_on_its_grid_and_alike_on_finer_ones():
    """The formula of the paper in NumPy; each pixel of 41 x 41 then becomes 2 x 3 of them."""
    planes = np.random.default_rng(0).random((2, 3, 41, 41))
    weights = 0.996 ** np.arange(1681)
    expected = (np.sort(planes.reshape(2, 3, -1))[..., ::-1] * weights).sum(2) / weights.sum()
    pooled = rank_pooled(torch.from_numpy(planes).float(), 0.996, places=1681)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5)
    finer = torch.from_numpy(np.kron(planes, np.ones((2, 3)))).float()
    np.testing.assert_allclose(rank_pooled(finer, 0.996, places=1681), expected, rtol=2e-3)


def test_the_mean_over_no_class_is_0():
    values, where = torch.tensor([[2.0, 4.0], [2.0, 4.0]]), torch.tensor([[1, 1], [0, 0]]) > 0
    assert masked_mean(values, where).tolist() == [3, 0]
