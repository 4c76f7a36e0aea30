"""A run is named by what it depends on: data by content, weights by content, settings."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from camzoo.config import BackboneConfig, BenchConfig
from camzoo.core.errors import ConfigError
from camzoo.core.names import as_name, is_name
from camzoo.core.progress import Quiet
from camzoo.data.datasets.phantom import Phantom
from camzoo.data.opening import open_dataset
from camzoo.data.prepare import prepare
from camzoo.data.slices import Prepared, PreparedIndex
from camzoo.evaluate.rows import read_rows
from camzoo.harness.identity import beginning, identify, starting_weights
from camzoo.harness.run import bench
from camzoo.harness.superseded import set_aside
from camzoo.presets import preset
from camzoo.registries import datasets
from camzoo.report.records import read_record

SPACING = np.diag([1.0, 1.0, 5.0, 1.0])
SMALL = BenchConfig().changed({"data.name": "nnunet", "data.size": 32, "preset": "smoke"})
#: What was read of a data set, and the same scans with other labels.
READ = PreparedIndex(("prostate",), False, 32, "0" * 64, "1" * 64, "2" * 64, ())
RELABELLED = replace(READ, labels="3" * 64)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, SPACING), path)


def organ(side=8):
    """A label (x, y, z) of which ``side`` * 10 voxels in two slices are the organ."""
    label = np.zeros((32, 32, 6), np.uint8)
    label[8 : 8 + side, 8:18, 2:4] = 1
    return label


def raw(root, *, seed=0, ending=".nii.gz", kind=np.int16, name=None, organs=("organ",)):
    """A folder in nnU-Net's layout with six scans of a noisy block."""
    labels = {"background": 0, **{name: value for value, name in enumerate(organs, 1)}}
    told = {"channel_names": {"0": "MR"}, "labels": labels, "file_ending": ending}
    root.mkdir(parents=True)
    (root / "dataset.json").write_text(json.dumps(told | ({"name": name} if name else {})))
    for number in range(6):
        noise = np.random.default_rng([seed, number]).integers(0, 300, (32, 32, 6))
        save(
            root / f"imagesTr/c{number}_0000{ending}",
            (noise + 600 * organ().astype(int)).astype(kind),
        )
        save(root / f"labelsTr/c{number}{ending}", organ())
    return root


@pytest.fixture
def identity(tmp_path):
    """Say which run it is that reads a folder, with settings."""
    indices = {}

    def read(root, **changes):
        config = SMALL.changed({"data.root": root} | changes)
        dataset = open_dataset("nnunet", root, config.data.options)
        folder = tmp_path / f"prepared-{len(indices)}"
        folder.mkdir()
        data = config.data
        prepare(
            dataset, folder, size=data.size, percentiles=data.percentiles, min_area=data.min_area,
        )  # fmt: skip
        indices[folder] = Prepared(folder).index
        return identify(config, dataset, indices[folder])

    return read


def named(changes):
    """The name of the run of a phantom that has one content for all settings."""
    config = BenchConfig().changed({"backbone.weights": "none"} | changes)
    return identify(config, Phantom(), READ).run


def test_copies_of_a_folder_are_one_run(identity, tmp_path):
    first = raw(tmp_path / "here" / "Dataset007_Block")
    shutil.copytree(first, tmp_path / "there" / first.name, copy_function=shutil.copyfile)
    one, two = identity(first), identity(tmp_path / "there" / first.name)
    assert one == two
    assert one.dataset == "Dataset007_Block"
    assert one.run.startswith("Dataset007_Block-smoke-")
    assert one.run.endswith(tuple("0123456789abcdef"))
    assert len(one.run) == len("Dataset007_Block-smoke-") + 8


def test_neither_format_nor_type_of_the_files_nor_the_grid_is_content(identity, tmp_path):
    one = identity(raw(tmp_path / "a" / "Dataset007_Block"))
    other = raw(tmp_path / "b" / "Dataset007_Block", ending=".nii", kind=np.float32)
    assert identity(other) == one
    coarse = identity(other, **{"data.size": 16})
    assert (coarse.data, coarse.run == one.run) == (one.data, False)


def test_a_corrected_label_is_another_run_of_one_lineage(identity, tmp_path):
    root = raw(tmp_path / "Dataset007_Block")
    before = identity(root)
    save(root / "labelsTr" / "c3.nii.gz", organ(9))
    after = identity(root)
    assert (after.run != before.run, after.data != before.data) == (True, True)
    assert after.lineage == before.lineage


def test_another_scan_patient_or_class_is_of_another_lineage(identity, tmp_path):
    root = raw(tmp_path / "Dataset007_Block")
    before = identity(root)
    renamed = identity(raw(tmp_path / "b" / "Dataset007_Block", organs=("tumour",)))
    one_voxel = nib.load(root / "imagesTr" / "c3_0000.nii.gz").get_fdata().astype(np.int16)
    one_voxel[0, 0, 0] += 1
    save(root / "imagesTr" / "c3_0000.nii.gz", one_voxel)
    scanned = identity(root)
    patients = identity(root, **{"data.options.patient": "(c).*"})
    found = [before, renamed, scanned, patients]
    assert len({each.lineage for each in found}) == len({each.run for each in found}) == 4
    assert len({each.data for each in found}) == 4


def test_weights_are_named_by_what_they_hold(tmp_path):
    files = {}
    for folder, name, content in (("a", "w", b"1"), ("b", "w", b"2"), ("c", "copy", b"1")):
        files[folder] = tmp_path / folder / f"{name}.safetensors"
        files[folder].parent.mkdir()
        files[folder].write_bytes(content)
    runs = {folder: named({"backbone.weights": path}) for folder, path in files.items()}
    assert runs["a"] == runs["c"] != runs["b"]
    assert named({}) not in runs.values()
    digest = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"  # sha256sum of "1"
    facts = starting_weights(BackboneConfig(weights=files["c"]))
    assert facts == {"file": "copy.safetensors", "sha256": digest}


def test_weights_of_timm_are_named_by_its_tag():
    tags = {
        name: starting_weights(BackboneConfig(name=name, weights="imagenet"))["tag"]
        for name in ("resnet50", "resnet50.a1_in1k", "hf-hub:me/mine")
    }
    assert tags == {
        "resnet50": "resnet50.a1_in1k",
        "resnet50.a1_in1k": "resnet50.a1_in1k",
        "hf-hub:me/mine": "hf-hub:me/mine",
    }
    assert starting_weights(BackboneConfig(weights="none")) == {"tag": "none"}


@pytest.mark.parametrize(
    "changes",
    [
        {"training.lr": 0.05}, {"seeds": [1]}, {"methods": ["cam", "centre"]}, {"data.limit": 5},
        {"data.slices": "axial"}, {"plugins": ["/a/my.py:A"]}, {"preset": "quick"},
        {"baselines": ["p-cam"]}, {"training.precision": "fp32"}, {"data.folds": [1]},
    ],
    ids=str,
)  # fmt: skip
def test_a_setting_names_a_run(changes):
    assert named(changes) != named({})


def test_what_no_number_depends_on_names_no_run():
    places = {"device": "cpu", "threads": 4}
    assert named(places) == named({})
    assert named({"segmentation.epochs": 7}) == named({}), "there is no segmentation"
    unet = {"baselines": ["p-cam"]}
    assert named(unet | {"segmentation.epochs": 7}) != named(unet)
    assert named({"plugins": ["/a/my.py:A"]}) == named({"plugins": ["b\\my.py:A"]})


@pytest.mark.parametrize(
    ("folder", "stated", "own"),
    [
        ("Dataset027_ACDC", None, "Dataset027_ACDC"),
        ("Task05_Prostate", None, "Task05_Prostate"),
        ("Dataset027_ACDC", "Heart: left/right", "Heart_left_right"),
        ("Dataset027_ACDC", "../..", "Dataset027_ACDC"),
        ("Dataset027_ACDC", "NUL", "Dataset027_ACDC"),
        ("my data", None, "nnunet"),
        ("my data", "x" * 200, "x" * 48),
        ("Dataset001_" + "y" * 100, None, "Dataset001_" + "y" * 37),
    ],
)
def test_the_own_name_of_a_data_set_in_nnunets_layout(tmp_path, folder, stated, own):
    root = raw(tmp_path / folder, name=stated)
    assert open_dataset("nnunet", root, {}).own_name == own


def test_a_name_that_is_no_text_is_none(tmp_path):
    root = raw(tmp_path / "Dataset027_ACDC")
    told = json.loads((root / "dataset.json").read_text("utf-8"))
    for name in (3, None, ["a"], {}, ""):
        (root / "dataset.json").write_text(json.dumps(told | {"name": name}))
        assert open_dataset("nnunet", root, {}).own_name == "Dataset027_ACDC"


@pytest.mark.parametrize(
    ("variant", "own"),
    [({}, "phantom"), ({"variant": "prostate"}, "phantom"),
     ({"variant": "abdomen"}, "phantom-abdomen")],
)  # fmt: skip
def test_the_own_name_of_a_phantom(variant, own):
    assert Phantom(**variant).own_name == own


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("liver", "liver"), (" Leber & Niere ", "Leber_Niere"), ("../../etc/passwd", "etc_passwd"),
        ("C:\\data\\heart.", "C_data_heart"), ("a..b", "a.b"), ("前列腺 MR", "前列腺_MR"),
        ("con.txt", ""), ("", ""), ("???", ""), ("-x-", "x"), ("Herz-Kra\u0308mer", "Herz-Krämer"),
        ("a\nb\0c", "a_b_c"), ("\u202eabc", "abc"),
    ],
)  # fmt: skip
def test_what_somebody_wrote_becomes_a_name_on_every_system(text, name):
    assert as_name(text) == name
    assert not name or is_name(f"{name}-smoke-{'0' * 8}")


def test_an_own_name_that_is_none_is_refused_before_anything_is_read(tmp_path):
    class Evil(Phantom):
        """A phantom that leads out."""

        own_name = "../evil"

    with datasets.temporary({"evil": Evil}):
        config = BenchConfig().changed({"data.name": "evil"})
        with pytest.raises(ConfigError, match=r"own name of the data set 'evil' is '\.\./evil'"):
            beginning(config, Evil())
        with pytest.raises(ConfigError, match="which is no name"):
            bench(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Told(Quiet):
    """Keeps what is said."""

    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)

    @contextmanager
    def stage(self, _title):
        yield lambda _done, _total: None


TINY = preset("smoke", "phantom").changed(
    {
        "data.name": "nnunet", "data.options": {}, "data.size": 32, "training.epochs": 1,
        "backbone.name": "test_resnet", "training.crop": 32, "training.resize": [32, 40],
        "maps.side": 32, "maps.scales": [1.0], "maps.size": 16, "methods": ["otsu"],
        "device": "cpu",
    }
)  # fmt: skip


def runs(out):
    return {path.parent.name for path in out.glob("*/manifest.json")}


def set_aside_in(out):
    return {path.name for path in (out / "superseded").iterdir()}


def test_a_run_of_corrected_labels_supersedes_the_one_of_wrong_labels(tmp_path):
    root, out = raw(tmp_path / "Dataset007_Block"), tmp_path / "out"
    config = TINY.changed({"data.root": root})
    wrong = bench(config, out).folder
    kept = bench(config.changed({"training.epochs": 2}), out).folder
    for number in range(6):
        save(root / "labelsTr" / f"c{number}.nii.gz", organ(9))
    told = Told()
    right = bench(config, out, told).folder
    assert runs(out) == {kept.name, right.name}, "other settings are another question"
    assert set_aside_in(out) == {wrong.name}
    place = out / "superseded" / wrong.name
    assert told.notes[-1] == (
        f"note: {wrong.name} is of other labels of the same scans, and is now in {place}"
    )
    record = read_record(right)
    assert record.rows["n_ref"].max() == 9 * 10 * 2
    assert read_record(place).rows["n_ref"].max() == 8 * 10 * 2
    assert record.manifest["dataset"]["name"] == set(record.rows["dataset"]).pop()
    assert set(record.rows["data"]) == {record.data} != {read_record(place).data}
    assert record.manifest["weights"] == {"tag": "none"}


def test_labels_that_go_back_and_forth_leave_one_folder_of_each(tmp_path):
    one, two = (identify(SMALL, Phantom(), each) for each in (READ, RELABELLED))
    assert one.lineage == two.lineage
    for now, before in ((one, None), (two, one), (one, two), (two, one)):
        folder = tmp_path / now.run
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps({"lineage": now.lineage}))
        assert len(set_aside(now, tmp_path)) == (before is not None)
        assert runs(tmp_path) == {now.run}
    assert set_aside_in(tmp_path) == {one.run, two.run}
    assert set_aside(two, tmp_path) == []


@pytest.mark.parametrize(
    "manifest", ["", "[]", "null", "{", '{"run": "x"}', '{"lineage": 3}', '{"lineage": "5"}']
)
def test_what_does_not_say_what_it_depends_on_stays(tmp_path, manifest):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text(manifest)
    assert set_aside(identify(SMALL, Phantom(), READ), tmp_path) == []
    assert runs(tmp_path) == {"old"}


def test_two_data_sets_of_one_layout_are_two_runs(tmp_path):
    out, found = tmp_path / "out", {}
    for seed in (1, 2):
        root = raw(tmp_path / str(seed) / "data", seed=seed)
        folder = bench(TINY.changed({"data.root": root}), out).folder
        found[folder.name] = read_rows(folder / "rows.parquet")
    assert runs(out) == set(found)
    assert [set(rows["dataset"]) for rows in found.values()] == [{"nnunet"}] * 2
    assert len({rows["data"].iloc[0] for rows in found.values()}) == 2
