import platform

import pytest
import torch

from camzoo.core.environment import (
    choose_device,
    describe,
    instructions,
    processor,
    use_threads,
)
from camzoo.core.errors import ConfigError
from camzoo.harness import run
from camzoo.presets import preset

SMOKE = preset("smoke", "phantom")


@pytest.fixture(autouse=True)
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_threads_are_limited_and_given_back_whatever_happens():
    def fail():
        with use_threads(2):
            raise RuntimeError(f"on {torch.get_num_threads()} threads")

    with pytest.raises(RuntimeError, match="on 2 threads"):
        fail()
    assert torch.get_num_threads() == 3


def test_without_a_wish_threads_stay_as_they_are():
    with use_threads(None):
        assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    ("config", "threads"),
    [(SMOKE, 1), (SMOKE.changed({"threads": None}), 3)],
)
def test_a_run_computes_on_the_threads_of_its_configuration(config, threads, monkeypatch):
    seen = []
    monkeypatch.setattr(run, "_bench", lambda *_: seen.append(torch.get_num_threads()))
    run.bench(config)
    assert seen == [threads]
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("wish", ["cpu:7", "meta", "mps", "gpu", "", "cuda:x"])
def test_a_device_that_is_none_is_refused(wish):
    with pytest.raises(ConfigError, match="choose auto, cpu, cuda or cuda:N"):
        choose_device(wish)


def test_a_cuda_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="'cuda:1' asked for, but torch sees no CUDA device"):
        choose_device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match="torch sees 2 CUDA devices, counted from 0"):
        choose_device("cuda:2")


def test_the_processor_is_named_by_its_model(tmp_path, monkeypatch):
    """The same seeds on another processor are another classifier: a record tells them apart."""
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Some Model @ 3 GHz\nprocessor\t: 1\n")
    monkeypatch.setattr("camzoo.core.environment._CPU_INFO", info)
    assert describe(torch.device("cpu"))["device_name"] == "Some Model @ 3 GHz"
    info.write_text("processor\t: 0\nmodel name\t: \n")
    assert processor() == (platform.processor() or platform.machine())
    info.unlink()
    assert processor() == (platform.processor() or platform.machine())


def test_processors_of_one_name_are_told_apart_by_their_instructions(monkeypatch):
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    own = torch.backends.cpu.get_cpu_capability()
    assert describe(torch.device("cpu"))["instructions"] == instructions() == own
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    assert instructions() == f"{own}, oneDNN at most AVX2"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert instructions() == f"{own}, oneDNN at most SSE41"
