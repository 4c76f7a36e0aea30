"""Errors of plug-ins fail their own row; those of the machine end the run, and blame nobody."""

import errno
import os

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from camzoo.core.errors import CamzooError, DataError, MachineError
from camzoo.harness.faults import PLUGIN_FAULTS, require_own_fault
from camzoo.registries import cams
from tests.harness.test_guarded import giving, run


def raising(error):
    def fail(_store):
        raise error

    return fail


def caused(error, cause):
    def fail(_store):
        raise error from cause

    return fail


def while_handling(error, cause):
    def fail(_store):
        try:
            raise cause
        except type(cause):
            raise error  # noqa: B904 - what careless code does

    return fail


def instead(error, cause):
    def fail(_store):
        try:
            raise cause
        except type(cause):
            raise error from None

    return fail


def gone(store):
    (store / "prepare" / "x" / "tags.npy").read_bytes()


def too_much_of_numpy(_store):
    np.empty(2**60, np.uint8)


def too_much_of_torch(_store):
    torch.empty(2**60, dtype=torch.uint8)


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/else")
INNER = ValueError("inner")
INNER.__cause__ = FULL
OF_THE_MACHINE = {
    "full disk": raising(FULL),
    "quota": raising(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))),
    "broken disk": raising(OSError(errno.EIO, os.strerror(errno.EIO))),
    "read-only": raising(OSError(errno.EROFS, os.strerror(errno.EROFS))),
    "not allowed": raising(PermissionError(errno.EACCES, os.strerror(errno.EACCES))),
    "too many files": raising(OSError(errno.EMFILE, os.strerror(errno.EMFILE))),
    "no network": raising(ConnectionError("no route to host")),
    "too slow": raising(TimeoutError()),
    "the store is gone": gone,
    "no memory": raising(MemoryError()),
    "no memory, numpy": too_much_of_numpy,
    "no memory, torch": too_much_of_torch,
    "no memory, torch on Windows": raising(
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.")
    ),
    "no memory, CUDA": raising(torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB")),
    "no memory, older CUDA": raising(RuntimeError("CUDA error: out of memory\nCUDA kernel ...")),
    "no memory, MPS": raising(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")),
    "no memory, cuBLAS": raising(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when")),
    "no memory, cuDNN": raising(RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED")),
    "no memory, C++": raising(RuntimeError("std::bad_alloc")),
    "no memory, ITK": raising(RuntimeError("ITK ERROR: Failed to allocate memory for image.")),
    "full disk, safetensors": raising(
        SafetensorError("Error while serializing: I/O error: No space left (os error 28)")
    ),
    "full disk, Rust": raising(SafetensorError("IoError(Os { code: 28, kind: StorageFull })")),
    "full disk, torch": raising(RuntimeError("unable to write: No space left on device (28)")),
    "full disk, Arrow": raising(ValueError("Error writing bytes. Detail: [errno 28] No space")),
    "said in other words": caused(ValueError("could not save"), FULL),
    "while handling": while_handling(KeyError("cache"), MemoryError()),
    "twice removed": caused(ValueError("outer"), INNER),
}
ITS_OWN = {
    "ValueError: no such thing": raising(ValueError("no such thing")),
    "RecursionError: too deep": raising(RecursionError("too deep")),
    "SystemExit: 3": raising(SystemExit(3)),
    "SystemExit": raising(SystemExit()),
    "GeneratorError: x": raising(type("GeneratorError", (Exception,), {})("x")),
    "ModuleNotFoundError: No module": raising(ModuleNotFoundError("No module")),
    "FileNotFoundError: ": raising(FileNotFoundError(2, "No such file", "/my/weights.pth")),
    "RuntimeError: CUDA error: device-side assert": raising(
        RuntimeError("CUDA error: device-side assert triggered")
    ),
    "ValueError: instead": instead(ValueError("instead"), FULL),
    "RuntimeError: exit code: 1": raising(RuntimeError("exit code: 1")),
}


def failure(fail, store):
    """What is said of a plug-in that fails so."""
    try:
        fail(store)
    except PLUGIN_FAULTS as error:
        return require_own_fault(error, "the method x", store)
    raise AssertionError("it did not fail")


@pytest.mark.parametrize("fail", OF_THE_MACHINE.values(), ids=OF_THE_MACHINE)
def test_the_machine_is_blamed(fail, tmp_path):
    with pytest.raises(MachineError, match="the method x was stopped by the machine") as stopped:
        failure(fail, tmp_path)
    assert "\n" not in str(stopped.value)
    assert "give the same command again" in str(stopped.value)


@pytest.mark.parametrize(("said", "fail"), ITS_OWN.items(), ids=ITS_OWN)
def test_a_plug_in_is_blamed_for_its_own(said, fail, tmp_path):
    assert failure(fail, tmp_path).startswith(said)


def test_what_says_already_that_it_is_the_machine_stays_as_it_is(tmp_path):
    said = DataError("the disk under x is full")
    with pytest.raises(CamzooError) as stopped:
        failure(caused(said, FULL), tmp_path)
    assert stopped.value is said


@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_ctrl_c_is_no_fault_of_a_plug_in(error):
    assert not issubclass(error, PLUGIN_FAULTS)
    with pytest.raises(error):
        run(giving(raising(error())))


def test_circles_of_causes_end(tmp_path):
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert require_own_fault(one, "x", tmp_path) == "ValueError: one"


@pytest.mark.parametrize("where", ["saliency", "fit", "construction"])
@pytest.mark.parametrize("error", [MemoryError(), FULL, RuntimeError("std::bad_alloc")], ids=repr)
def test_a_method_out_of_memory_or_space_ends_the_run(where, error):
    with pytest.raises(MachineError, match="the method hungry was stopped"):
        run(failing(where, error))


@pytest.mark.parametrize("where", ["saliency", "fit", "construction"])
@pytest.mark.parametrize("error", [SystemExit(1), RecursionError("x"), ValueError("y")], ids=repr)
def test_whatever_else_it_does_others_go_on(where, error):
    (_, right), (failed, cam) = run(failing(where, error), cams.get("cam"))
    assert failed.failure.startswith(type(error).__name__)
    assert not cam.failure
    assert right.maps.any()


def failing(where, error):
    class Hungry(giving(raising(error))):
        """Fails at one place."""

        name = "hungry"
        needs_fit = where == "fit"

        def __init__(self):
            if where == "construction":
                raise error

        def fit(self, _context):
            raise error

    return Hungry
