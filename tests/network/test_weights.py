"""Weights of files: which ones a network can start from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.network.backbone import build_classifier
from camzoo.network.weights import read_state

NAME = "resnet10t"


def whole():
    plain = BackboneConfig(name=NAME, weights="none", frozen=0)
    return build_classifier(plain, 1, seed=0).model.state_dict()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_no_numbers_are_named(tmp_path, suffix, bad):
    """Not the learning rate: training would only say that the loss is NaN."""
    state = whole()
    state["layer1.0.conv1.weight"][0, 0, 0, :2] = bad
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    with pytest.raises(ConfigError, match=r"weights.*: 2 of \d+ numbers of 'layer1.0.conv1"):
        read_state(path)
    with pytest.raises(ConfigError, match="are NaN or infinite"):
        build_classifier(BackboneConfig(name=NAME, weights=path), 1, seed=0)


def test_whole_numbers_are_no_weights(tmp_path):
    state = whole() | {"layer1.0.conv1.weight": torch.ones(64, 64, 3, 3, dtype=torch.int64)}
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    with pytest.raises(ConfigError, match=r"holds whole numbers for weights \(layer1.0.conv1"):
        build_classifier(BackboneConfig(name=NAME, weights=path), 1, seed=0)


def test_whole_numbers_that_count_batches_are_fine(tmp_path):
    """As in half precision: only what the network computes with has to be finite floats."""
    path = tmp_path / "weights.safetensors"
    save_file({name: v.half() if v.is_floating_point() else v for name, v in whole().items()}, path)
    network = build_classifier(BackboneConfig(name=NAME, weights=path, frozen=0), 1, seed=0)
    assert next(network.parameters()).dtype == torch.float32


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        np.random.default_rng(0).bytes(1000),
        b"PK\x03\x04",
        b"\x08\0\0\0\0\0\0\0{}{}{}{}",
    ],
    ids=["empty", "text", "noise", "zip", "header"],
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_what_is_no_file_of_weights_is_named(tmp_path, content, suffix):
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"cannot be read as weights|holds no dict") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


def test_what_torch_says_of_a_file_is_put_on_one_line_to_be_seen(tmp_path):
    """Names of members of the zip file stand in it."""
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.ones(1)}, path)
    odd = "w\x1b\xa0\u200b".encode()  # as many bytes
    path.write_bytes(path.read_bytes().replace(b"weights/data/0", odd + b"/data/0"))
    with pytest.raises(ConfigError, match=r"cannot be read as weights \(\w+: .+\); give") as caught:
        read_state(path)
    assert str(caught.value).isprintable()


def test_code_in_a_pickle_is_not_run(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"a": Path}, path)
    with pytest.raises(ConfigError, match="cannot be read as weights") as caught:
        read_state(path)
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)  # torch's advice is to run it


@pytest.mark.parametrize("value", [torch.ones(3), [1, 2], {"a": "text"}, 5, None])
def test_what_is_no_dictionary_of_tensors_is_named(tmp_path, value):
    path = tmp_path / "weights.pth"
    torch.save(value, path)
    with pytest.raises(ConfigError, match="holds no dictionary of tensors"):
        read_state(path)


def test_a_bias_without_size_is_no_head_of_tensorflow(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"fc.bias": torch.tensor(1.0)}, path)
    with pytest.raises(ConfigError, match="does not fit backbone"):
        build_classifier(BackboneConfig(name=NAME, weights=path), 1, seed=0)
