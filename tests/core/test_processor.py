"""Whether bfloat16 is native, on processors that this machine is not."""

import subprocess
from types import SimpleNamespace

import pytest
import torch

from camzoo.core import processor
from camzoo.core.processor import cpu_features, native_bf16
from camzoo.network.precision import choose_precision

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")
ZEN4 = {"avx2", "avx512_bf16", "avx512_f"}


@pytest.fixture
def cpu(monkeypatch):
    """Replace the features of the CPU; no limits on it, and oneDNN in torch."""

    def has(*features, onednn=True, **limits):
        monkeypatch.setattr(processor, "cpu_features", lambda: frozenset(features))
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
        for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
            monkeypatch.delenv(name, raising=False)
        for name, value in limits.items():
            monkeypatch.setenv(name, value)
        return native_bf16(CPU)

    return has


@pytest.fixture
def told(monkeypatch, tmp_path):
    """Replace what torch, Linux and macOS tell; ask anew."""

    def tell(by_torch=None, by_linux=None, by_macos=None):
        asks = {} if by_torch is None else {"get_capabilities": lambda: by_torch}
        monkeypatch.setattr(torch, "cpu", SimpleNamespace(**asks))
        info = tmp_path / "cpuinfo"
        if by_linux is not None:
            info.write_text(by_linux)
        monkeypatch.setattr(processor, "_CPU_INFO", info)
        system = "Linux" if by_macos is None else "Darwin"
        monkeypatch.setattr(processor.platform, "system", lambda: system)
        monkeypatch.setattr(processor.subprocess, "run", by_macos or pytest.fail)
        cpu_features.cache_clear()
        return cpu_features()

    yield tell
    cpu_features.cache_clear()


@pytest.mark.parametrize(
    ("features", "holds"),
    [
        (ZEN4, True),
        ({"amx_tile", "amx_bf16"}, True),  # Sapphire Rapids
        ({"neon", "bf16"}, True),  # Neoverse V1, Apple M2
        ({"asimd", "svebf16"}, True),
        ({"avx2", "fma3"}, False),  # Zen 3, Haswell
        ({"avx512_f", "avx512_vnni"}, False),  # Cascade Lake
        ({"neon", "fp16_arith"}, False),  # Neoverse N1
        (set(), False),
    ],
)
def test_it_follows_the_features_of_the_cpu(cpu, features, holds):
    native = cpu(*features)
    assert native.holds == holds
    assert ("the CPU has" if holds else "states no AVX512-BF16, AMX-BF16 or Arm") in native.why


@pytest.mark.parametrize("limit", ["AVX2", "avx2", "SSE41", "AVX512_CORE", "AVX2_VNNI_2"])
def test_onednn_may_be_told_to_leave_it_alone(cpu, limit):
    native = cpu(*ZEN4, ONEDNN_MAX_CPU_ISA=limit)
    assert not native.holds
    assert f"ONEDNN_MAX_CPU_ISA={limit} switches it off" in native.why
    assert not cpu(*ZEN4, DNNL_MAX_CPU_ISA=limit).holds


@pytest.mark.parametrize("limit", ["", "AVX512_CORE_BF16", "avx512_core_amx", "AVX10_1_512", "?"])
def test_other_limits_leave_it_on(cpu, limit):
    assert cpu(*ZEN4, ONEDNN_MAX_CPU_ISA=limit).holds


def test_the_newer_name_of_the_limit_goes_first(cpu):
    limits = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "DNNL_MAX_CPU_ISA": "AVX2"}
    assert cpu(*ZEN4, **limits).holds


def test_without_onednn_torch_has_no_products_in_bfloat16(cpu):
    native = cpu("bf16", onednn=False)
    assert (native.holds, "without oneDNN" in native.why) == (False, True)


@pytest.mark.parametrize(
    ("capability", "holds"), [((7, 5), False), ((8, 0), True), ((8, 9), True), ((12, 0), True)]
)
def test_it_follows_the_compute_capability(monkeypatch, capability, holds):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    native = native_bf16(CUDA)
    assert native.holds == holds
    assert f"compute capability {capability[0]}.{capability[1]}" in native.why


def test_torch_is_asked_first(told):
    by_torch = {"avx2": True, "avx512_bf16": False, "l2_cache_size": 1}
    assert told(by_torch, by_linux="flags: x") == {"avx2"}


def test_linux_is_asked_where_torch_does_not_tell(told):
    x86 = "processor\t: 0\nflags\t\t: fpu avx512_bf16\nflags: y\n"
    assert told(by_linux=x86) == {"fpu", "avx512_bf16"}
    assert told(by_linux="Features\t: fp asimd bf16\n") == {"fp", "asimd", "bf16"}
    assert told(by_torch={}, by_linux="model name: none\n") == set()


def test_macos_is_asked_where_torch_does_not_tell(told):
    def answers(text):
        return lambda *_, **__: subprocess.CompletedProcess([], 0, stdout=text)

    def fails(*_, **__):
        raise subprocess.CalledProcessError(1, "sysctl")

    assert told(by_macos=answers("1\n")) == {"bf16"}
    assert told(by_macos=answers("0\n")) == set()
    assert told(by_macos=fails) == set()


def test_a_gpu_of_another_machine_is_not_asked(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not native_bf16(CUDA).holds
    assert choose_precision("bf16", CUDA).used == "bf16"
