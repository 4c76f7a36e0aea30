"""Looking at a network without leaving a trace: every change is undone, whatever happens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils import checkpoint


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module into evaluation mode, and each back into the mode it was in.

    Meanwhile compiled parts are run as they were written, and nothing is computed twice to save
    memory: both would pass by hooks and by modules that answer from memory.
    """
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        with _as_written():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _as_written() -> Iterator[None]:
    with ExitStack() as stack:
        compiler = sys.modules.get("torch._dynamo")  # else nothing can have been compiled
        if compiler is not None and hasattr(torch.compiler, "set_stance"):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_without_checkpoints())
        yield


@contextmanager
def _without_checkpoints() -> Iterator[None]:
    """Let ``torch.utils.checkpoint`` call the function and remember what it computes.

    A checkpoint drops what its part of the network gave and runs that part again for gradients,
    when hooks are long gone. It has no switch; these are the functions that its kinds go through.
    """
    before = {name: value for name, value in vars(checkpoint).items() if name.startswith(_KINDS)}
    try:
        for name in before:
            setattr(checkpoint, name, _CalledOnce if name == _KINDS[0] else _nothing)
        yield
    finally:
        for name, value in before.items():
            setattr(checkpoint, name, value)


#: What reentrant checkpoints go through, and the others (of which torch has more than one).
_KINDS = ("CheckpointFunction", "_checkpoint_without_reentrant_generator")


class _CalledOnce:
    """Stands for the autograd function of reentrant checkpoints."""

    @staticmethod
    def apply(function: Callable[..., Any], _preserve: bool, *args: Any) -> Any:
        return function(*args)


def _nothing(*_: Any, **__: Any) -> Iterator[None]:
    """Stand for what the other kind of checkpoint does before and after its function."""
    yield


@contextmanager
def grad_mode(*, enabled: bool) -> Iterator[None]:
    """Switch recording for autograd on or off, also under :class:`torch.inference_mode`.

    Tensors made here are ordinary ones, which inference mode would forbid to differentiate later.
    """
    with torch.inference_mode(mode=False), torch.set_grad_enabled(enabled):
        yield


def ambient_autocast(device: torch.device) -> Callable[[], torch.autocast]:
    """Remember whether autocast is on, to be entered again where it may be otherwise."""
    kind = device.type
    enabled, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
    return lambda: torch.autocast(kind, dtype=dtype, enabled=enabled)


@contextmanager
def hooked(*hooks: tuple[Iterable[nn.Module], Callable[..., Any]]) -> Iterator[None]:
    """Have modules call a function with (module, inputs, output) after their forward pass."""
    handles = [module.register_forward_hook(hook) for modules, hook in hooks for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def replaced(forwards: Mapping[nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Let each module answer with its function in place of its own forward pass."""
    before = {m: m.__dict__["forward"] for m in forwards if "forward" in m.__dict__}
    try:
        for module, forward in forwards.items():
            module.__dict__["forward"] = forward
        yield
    finally:
        for module in forwards:
            module.__dict__.pop("forward", None)
        for module, own in before.items():
            module.__dict__["forward"] = own


@contextmanager
def undone(model: nn.Module) -> Iterator[None]:
    """Undo what others do to a model: modes, hooks, exchanged layers, parameter gradients."""
    modules = [
        (m, m.training, dict(m._modules), dict(m._forward_hooks), dict(m._backward_hooks))
        for m in model.modules()
    ]
    parameters = [(p, p.grad, p.requires_grad) for p in model.parameters()]
    for parameter, _, _ in parameters:
        parameter.grad = None
        parameter.requires_grad_(parameter.is_floating_point())  # the library needs it
    try:
        yield
    finally:
        for module, training, children, forward_hooks, backward_hooks in modules:
            module.training = training
            _refill(module._modules, children)
            _refill(module._forward_hooks, forward_hooks)
            _refill(module._backward_hooks, backward_hooks)
        for parameter, grad, requires_grad in parameters:
            parameter.requires_grad_(requires_grad)
            parameter.grad = grad


def _refill(entries: dict[Any, Any], before: dict[Any, Any]) -> None:
    entries.clear()
    entries.update(before)
