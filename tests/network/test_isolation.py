import pytest
import torch
from torch import nn

from camzoo.network.isolation import ambient_autocast, evaluating, grad_mode, hooked, replaced


def fail(check):
    """Fail inside a context, after a check that the context is in force."""
    assert check
    raise ZeroDivisionError


def test_modes_come_back_per_module_even_after_an_error():
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm2d(1), nn.ReLU()))
    model.train()
    model[1][0].eval()
    before = [module.training for module in model.modules()]
    with pytest.raises(ZeroDivisionError), evaluating(model):
        fail(not any(module.training for module in model.modules()))
    assert [module.training for module in model.modules()] == before


def test_gradients_can_be_taken_under_inference_mode():
    with torch.inference_mode(), grad_mode(enabled=True):
        x = torch.ones(1, requires_grad=True)
        (gradient,) = torch.autograd.grad((x * 3).sum(), x)
    assert gradient.item() == 3
    with torch.enable_grad(), grad_mode(enabled=False):
        assert not (x * 3).requires_grad


def test_hooks_are_gone_even_after_an_error():
    model, seen = nn.ReLU(), []
    with pytest.raises(ZeroDivisionError), hooked(([model], lambda *call: seen.append(call[2]))):
        fail(model(torch.tensor(-1.0)) == 0)
    assert seen == [0]
    assert not model._forward_hooks


def test_replaced_forwards_come_back_even_one_that_was_replaced_before():
    plain, patched = nn.ReLU(), nn.ReLU()
    patched.forward = lambda x: x + 5
    with pytest.raises(ZeroDivisionError), replaced(dict.fromkeys([plain, patched], lambda _: 7)):
        fail((plain(1), patched(1)) == (7, 7))
    assert "forward" not in vars(plain)
    assert patched(1) == 6


def test_autocast_is_remembered():
    with torch.autocast("cpu", torch.bfloat16):
        on = ambient_autocast(torch.device("cpu"))
    off = ambient_autocast(torch.device("cpu"))
    a = torch.ones(2, 2)
    with on():
        assert (a @ a).dtype == torch.bfloat16
        with off():
            assert (a @ a).dtype == torch.float32
