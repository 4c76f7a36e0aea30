import pytest
import torch
from torch import nn

from camzoo.learning.checkpoint import load_checkpoint, save_checkpoint

OPTIMISERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
}


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, (2, 3)), nn.BatchNorm2d(3))


def learn(net, optimiser, seed):
    images = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(seed))
    optimiser.zero_grad()
    net(images).square().mul(torch.arange(3.0)[:, None, None]).mean().backward()
    optimiser.step()


@pytest.mark.parametrize("make", OPTIMISERS.values(), ids=OPTIMISERS)
def test_a_step_after_loading_is_the_step_without_it(make, tmp_path):
    net = network()
    optimiser = make(net.parameters())
    learn(net, optimiser, 1)
    save_checkpoint(tmp_path / "state", net, [[0.5, 0.25]], optimiser)
    learn(net, optimiser, 2)

    other = network()
    fresh = make(other.parameters())
    assert load_checkpoint(tmp_path / "state", other, fresh) == [[0.5, 0.25]]
    learn(other, fresh, 2)
    for name, value in net.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_settings_of_the_optimiser_stay_those_of_the_caller(tmp_path):
    net = network()
    optimiser = OPTIMISERS["adam"](net.parameters())
    learn(net, optimiser, 1)
    save_checkpoint(tmp_path / "state", net, [[1.0]], optimiser)
    slower = torch.optim.Adam(net.parameters(), lr=0.01)
    load_checkpoint(tmp_path / "state", net, slower)
    assert slower.param_groups[0]["lr"] == 0.01


def test_without_a_file_nothing_changes(tmp_path):
    net = network()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert load_checkpoint(tmp_path / "none", net) == []
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
