"""A pickle that torch's reader would look through for minutes is refused at once."""

import pickle
import time
import zipfile

import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.network.pickled import require_plain_pickle
from camzoo.network.weights import read_state

LONG = b"a" * 130_000


@pytest.fixture(params=[True, False], ids=["zip", "before zip"])
def saved(request, tmp_path):
    """Write a state dictionary in one of torch's two formats."""

    def write(state, name="weights.pth"):
        path = tmp_path / name
        torch.save(state, path, _use_new_zipfile_serialization=request.param)
        return path

    return write


def with_pickle(path, spoil):
    """Change the pickle of a zip file, and nothing else."""
    with zipfile.ZipFile(path) as archive:
        members = {m.filename: archive.read(m) for m in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(name, spoil(data) if name.endswith("data.pkl") else data)


def test_what_torch_saves_is_plain(saved):
    state = {"a.weight": torch.rand(2, 3), "b.bias": torch.ones(1, dtype=torch.float16)}
    path = saved({"state_dict": state, "epoch": 3})
    require_plain_pickle(path)
    assert read_state(path).keys() == state.keys()


@pytest.mark.parametrize("text", ["k" * 10_001, b"k" * 10_001])
def test_long_names_are_refused_and_long_tensors_are_not(saved, text):
    require_plain_pickle(saved({"a": torch.rand(50_000), "k" * 10_000: torch.ones(1)}))
    with pytest.raises(pickle.UnpicklingError, match="of 10001 letters"):
        require_plain_pickle(saved({"a": torch.ones(1), "more": [text]}))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b"ctorch._utils", b"ctorch" + LONG, 1),
        lambda data: data.replace(b"_rebuild_tensor_v2\n", LONG, 1),
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"\xff" + data,
    ],
    ids=["a long name", "a name without end", "half of it", "nothing", "no operation"],
)
def test_spoilt_pickles_are_refused_at_once(tmp_path, spoil):
    """The first took two minutes and more, most of it in the expression behind torch's message."""
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.ones(1)}, path)
    with_pickle(path, spoil)
    began = time.process_time()
    with pytest.raises(ConfigError, match="it is no pickle of tensors alone"):
        read_state(path)
    assert time.process_time() - began < 2


def test_what_is_compressed_is_not_unpacked(tmp_path):
    """A pickle of any size can be packed into a small file; torch packs nothing."""
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights/data.pkl", bytes(10**7))
    with pytest.raises(pickle.UnpicklingError, match="10000000 bytes in a file of"):
        require_plain_pickle(path)


def test_odd_escapes_in_a_pickle_are_no_news(tmp_path, recwarn):
    """Python's reader of pickles warns of them."""
    path = tmp_path / "weights.pth"
    path.write_bytes(b"S'\\/'\n." * 5)
    with pytest.raises(ConfigError, match="cannot be read as weights"):
        read_state(path)
    assert not recwarn.list


def test_a_tensor_that_is_said_to_be_larger_than_the_file_is_refused(tmp_path):
    """Torch would take that much memory first."""
    path = tmp_path / "weights.pth"
    torch.save({"a": torch.rand(7, 11)}, path)
    size, more = (7 * 11 * 4).to_bytes(4, "little"), (2**32 - 1).to_bytes(4, "little")
    data = path.read_bytes()
    assert data.count(size) >= 2
    path.write_bytes(data.replace(size, more))
    with pytest.raises(ConfigError, match="cannot be read as weights"):
        read_state(path)
    with pytest.raises(pickle.UnpicklingError, match="4294967295 bytes in a file of"):
        require_plain_pickle(path)
