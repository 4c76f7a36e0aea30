"""A damaged file of the store is set aside and made again; no number comes from it."""

import shutil

import pandas as pd
import pytest

from camzoo.core.errors import DamagedError
from camzoo.core.progress import Quiet
from camzoo.harness.run import bench
from camzoo.harness.stages import STAGES
from tests.harness.test_segmentation import TINY as BASELINES

TINY = BASELINES.changed({"baselines": ["p-cam"], "methods": ["cam", "c-cam[ac]"]})
DAMAGE = {
    "empty": lambda _content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "one bit flipped": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "other bytes": lambda content: b"\x93not what was written" * (len(content) // 20 + 1),
    "text": lambda _content: b"null\n",
}
#: One of each kind of file of a result.
FILES = (
    "prepare/*/index.json",
    "prepare/*/images.u8",
    "prepare/*/tags.npy",
    "prepare/*/masks/*.npy",
    "train/*/classifier.safetensors",
    "train/*/history.json",
    "maps/*/maps.npy",
    "maps/*/status.npy",
    "maps/*/peak.npy",
    "steps/*/maps.npy",
    "steps/*/report.json",
    "curves/*/curves.parquet",
    "scores/*/scores.parquet",
    "scores/*/key.json",
    "segment/*/cost.json",
    "segment/*/pseudo-masks.npy",
    "segment/*/predictions/*.nii.gz",
    "segment-scores/*/scores.parquet",
)


class Told(Quiet):
    """Keeps what it is told."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return bench(TINY, tmp_path_factory.mktemp("damage"))


def copied(done, to, without=()):
    store = done.folder.parent / "store"
    shutil.copytree(store, to / "store", ignore=shutil.ignore_patterns(*without))
    return to / "store"


def test_every_stage_has_a_file_among_them():
    assert {pattern.partition("/")[0] for pattern in FILES} == {stage.name for stage in STAGES}


@pytest.mark.parametrize("number", range(len(FILES)))
def test_damage_is_noticed_and_mended(done, tmp_path, number):
    store = copied(done, tmp_path)
    path = min(store.glob(FILES[number]))
    damage = list(DAMAGE)[number % len(DAMAGE)]
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    told = Told()
    again = bench(TINY, tmp_path, told)
    stage = FILES[number].partition("/")[0]
    assert again.made == {stage: 1}
    (line,) = [line for line in told.notes if "made again" in line]
    assert line.startswith(f"{path} is not what was written")
    digest = path.relative_to(store).parts[1]
    assert (store / stage / f".damaged-{digest}").is_dir()
    pd.testing.assert_frame_equal(again.rows, done.rows, check_exact=True)


def test_a_checkpoint_that_is_damaged_is_named(done, tmp_path):
    store = copied(done, tmp_path, ("train", "maps"))
    (trained,) = (done.folder.parent / "store" / "train").glob("[!.]*")
    work = store / "train" / f".work-{trained.name}"
    work.mkdir(parents=True)
    (work / "checkpoint.safetensors").write_bytes(b"cut short")
    with pytest.raises(DamagedError, match=r"checkpoint\.safetensors is damaged .* delete .*work"):
        bench(TINY, tmp_path)
