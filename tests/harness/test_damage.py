"""A damaged file of the store ends a run in one line that names it and says what to delete."""

import shutil

import pandas as pd
import pytest

from camzoo.core.errors import DamagedError
from camzoo.harness.run import bench
from tests.harness.test_segmentation import TINY as BASELINES

TINY = BASELINES.changed({"baselines": ["p-cam"], "methods": ["cam", "c-cam[ac]"]})
DAMAGE = {
    "empty": lambda _content: b"",
    "cut short": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content.rstrip(b"\n")[:-1],
    "other bytes": lambda content: b"\x93not what was written" * (len(content) // 20 + 1),
    "text": lambda _content: b"null\n",
}
#: One of each kind of file that a run reads again, and the stages to be made anew for that.
FILES = {
    "prepare/*/index.json": (),
    "prepare/*/images.u8": (),
    "prepare/*/tags.npy": (),
    "prepare/*/masks/*.npy": ("curves",),
    "train/*/classifier.safetensors": (),
    "train/*/history.json": (),
    "maps/*/maps.npy": ("steps",),
    "maps/*/status.npy": ("curves",),
    "maps/*/peak.npy": ("curves",),
    "steps/*/maps.npy": ("curves",),
    "steps/*/report.json": (),
    "curves/*/curves.parquet": (),
    "scores/*/scores.parquet": (),
    "segment/*/cost.json": (),
    "segment/*/pseudo-masks.npy": ("segment-scores",),
    "segment/*/predictions/*.nii.gz": ("segment-scores",),
    "segment-scores/*/scores.parquet": (),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return bench(TINY, tmp_path_factory.mktemp("damage"))


def copied(done, to, without=()):
    store = done.folder.parent / "store"
    shutil.copytree(store, to / "store", ignore=shutil.ignore_patterns(*without))
    return to / "store"


def test_every_stage_has_a_file_among_them(done):
    stages = {folder.name for folder in (done.folder.parent / "store").iterdir()}
    assert stages == {pattern.partition("/")[0] for pattern in FILES}


@pytest.mark.parametrize("pattern", FILES)
def test_damage_is_named_and_mended_as_told(done, tmp_path, pattern):
    for name, damage in DAMAGE.items():
        store = copied(done, tmp_path / name, FILES[pattern])
        path = next(iter(sorted(store.glob(pattern))))
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(DamagedError) as refused:
            bench(TINY, store.parent)
        artifact = store.joinpath(*path.relative_to(store).parts[:2])
        assert str(path) in str(refused.value)
        assert f"delete {artifact} and give the same command again" in str(refused.value)
        assert "\n" not in str(refused.value)
    shutil.rmtree(artifact)
    again = bench(TINY, store.parent)
    pd.testing.assert_frame_equal(again.rows, done.rows, check_exact=True)


def test_a_checkpoint_that_is_damaged_is_named(done, tmp_path):
    store = copied(done, tmp_path, ("train", "maps"))
    (trained,) = (done.folder.parent / "store" / "train").glob("[!.]*")
    work = store / "train" / f".work-{trained.name}"
    work.mkdir(parents=True)
    (work / "checkpoint.safetensors").write_bytes(b"cut short")
    with pytest.raises(DamagedError, match=r"checkpoint\.safetensors is damaged .* delete .*work"):
        bench(TINY, tmp_path)
