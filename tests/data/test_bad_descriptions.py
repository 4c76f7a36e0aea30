"""Text files that describe data sets and lie: each is refused in one line that names it."""

import json
import os

import numpy as np
import pytest

from camzoo.core.errors import CamzooError, DataError
from camzoo.data.check import check_dataset
from camzoo.data.datasets.acdc import ACDC
from camzoo.data.datasets.nnunet import NNUNet

SHAPE = (4, 6, 9)
SCAN = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
MASK = (np.arange(np.prod(SHAPE)) % 2).astype(np.uint8).reshape(SHAPE)
GOOD = {
    "channel_names": {"0": "T2"},
    "labels": {"background": 0, "prostate": 1},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


@pytest.fixture
def root(write, tmp_path):
    for k, name in enumerate("ab"):
        write.nifti(tmp_path / "imagesTr" / f"{name}_0000.nii.gz", SCAN + k, write.affine())
        write.nifti(tmp_path / "labelsTr" / f"{name}.nii.gz", MASK, write.affine())
    return tmp_path


def describe(root, **changes):
    (root / "dataset.json").write_text(json.dumps({**GOOD, **changes}))
    return NNUNet(root)


@pytest.mark.parametrize(
    "content",
    [
        b"null", b"[]", b"[1, 2]", b'"text"', b"5", b"true", b"{", b"", b"{}", b"\xff\xfe{}",
        b"[" * 10_000 + b"]" * 10_000, b'{"labels": {}}', b"{'labels': 1}", b"NaN",
    ],
    ids=lambda content: content[:12].decode("latin-1"),
)  # fmt: skip
def test_a_description_that_is_none(root, content):
    (root / "dataset.json").write_bytes(content)
    require_refused(root)


@pytest.mark.parametrize(
    "changes",
    [
        {"file_ending": value}
        for value in ("../", "**", "*.nii.gz", 5, "", None, ".png", ".gz", [".nii"], "/etc/passwd")
    ]
    + [
        {"labels": value}
        for value in (
            None, [], ["background", "a"], "a", 3, {}, {"background": 0}, {"a": 1},
            {"background": 0, "a": 2}, {"background": 0, "a": 1, "b": 1},
            {"background": 0, "a": "x"}, {"background": 0, "": 1}, {"background": 0, " ": 1},
            {"background": 0, "a": 1.5}, {"background": 0, "a": True}, {"background": 0, "a": None},
            {"background": 0, "a": [1, 2], "b": [1]}, {"background": 0, "a": []},
            {"background": 0, "a": {"b": 1}}, {"background": 0, "a": -1}, {"a": 0, "background": 1},
            {"background": 0, "a": 1, "ignore": 2}, {"background": 0, "a": float("inf")},
            {"0": "background", "1": "a"}, {"background": 0, **{f"c{i}": i for i in range(1, 300)}},
        )
    ]
    + [
        {"channel_names": value} for value in (None, ["T2"], {}, "T2", {"1": "T2"}, {"T2": 0})
    ]
    + [
        {"dataset": {"a": {}}},
        {"overwrite_image_reader_writer": "NaturalImage2DIO"},
        {"overwrite_image_reader_writer": "Tiff3DIO"},
    ],
    ids=lambda changes: json.dumps(changes)[:60],
)  # fmt: skip
def test_a_description_with_odd_values(root, changes):
    (root / "dataset.json").write_text(json.dumps({**GOOD, **changes}))
    require_refused(root)


@pytest.mark.parametrize("thing", ["pipe", "folder", "loop", "nothing"])
def test_a_description_that_is_no_file(root, thing):
    path = root / "dataset.json"
    make(thing, path)
    require_refused(root)


def make(thing, path):
    if thing == "pipe":
        os.mkfifo(path)
    elif thing == "folder":
        path.mkdir()
    elif thing == "loop":
        path.symlink_to(path)


def require_refused(root):
    with pytest.raises(CamzooError) as error:
        NNUNet(root).cases()
    assert "\n" not in str(error.value)
    assert str(root) in str(error.value)
    assert f"{root / 'dataset.json'}/" not in str(error.value)
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    "labels",
    [
        {"background": "0", "prostate": "1"},
        {"background": 0, "prostate": [1]},
        {"background": [0], "prostate": ["1"]},
        {"background": 0.0, "prostate": 1.0},
    ],
)
def test_label_values_as_nnunet_reads_them(root, labels):
    """``LabelManager`` of nnU-Net v2 casts text and lists of one to integers."""
    dataset = describe(root, labels=labels)
    assert dataset.organs == ("prostate",)
    assert check_dataset(dataset).faults == ()


@pytest.mark.parametrize("reader", ["SimpleITKIO", "NibabelIO", "NibabelIOWithReorient", None])
def test_readers_of_volumes_make_no_difference(root, reader):
    dataset = describe(root, overwrite_image_reader_writer=reader)
    assert check_dataset(dataset).faults == ()


def test_what_stands_out_in_the_folder_is_noted(root, write):
    write.itk(root / "labelsTr" / "c.mha", MASK, write.affine())
    write.nifti(root / "imagesTr" / "d.nii.gz", SCAN, write.affine())
    (note,) = [n for n in describe(root, numTraining=[None] * 3000).notes() if "numTraining" in n]
    assert note.endswith(", ...], 2 cases are there")
    assert len(note) < 200
    assert describe(root, numTraining=3).notes() == [
        (
            "ignored, since scans are called CASE_0000.nii.gz and labels CASE.nii.gz, as "
            "dataset.json says: imagesTr/d.nii.gz, labelsTr/c.mha"
        ),
        "dataset.json says numTraining = 3, 2 cases are there",
    ]
    assert check_dataset(describe(root)).remarks[0].startswith("ignored, since")


def named(root, write, *names):
    for file in root.glob("*/*.nii.gz"):
        file.unlink()
    for name in names:
        write.nifti(root / "imagesTr" / f"{name}_0000.nii.gz", SCAN, write.affine())
        write.nifti(root / "labelsTr" / f"{name}.nii.gz", MASK, write.affine())
    return describe(root)


def test_ids_that_look_like_several_scans_of_one_patient_are_noted(root, write):
    """As in Dataset027_ACDC: two phases of a heart would stand on both sides of the split."""
    ids = [f"patient{n:03}_frame{k:02}" for n in (1, 2, 3) for k in (1, 9 + n)]
    dataset = named(root, write, *ids)
    assert dataset.notes()[-1] == (
        "every case counts as a patient of its own, but ids look like 3 patients with several "
        "cases (patient001_frame01, patient001_frame10): if they are, set the option "
        "patient=(.+)_[^_]+, or one patient stands in training and in test"
    )
    told = NNUNet(root, patient="(.+)_[^_]+")
    assert told.notes() == dataset.notes()[:-1]
    assert len({case.patient for case in told.cases()}) == 3


@pytest.mark.parametrize(
    "ids",
    [
        ["la_003", "la_004", "la_005", "la_007"],  # one name for all
        ["siteA_1", "siteA_2", "siteA_3", "siteA_4", "siteA_5", "siteB_1", "siteB_2"],
        ["p1_a", "p2_a", "p3_b", "p4"],
        ["a", "b", "c", "d"],
    ],
)
def test_ids_of_one_scan_each_are_not(root, write, ids):
    assert not any("patient" in note for note in named(root, write, *ids).notes())


def test_endings_in_capitals_are_those_of_the_description(root):
    (root / "imagesTr" / "a_0000.nii.gz").rename(root / "imagesTr" / "a_0000.NII.GZ")
    (root / "labelsTr" / "b.nii.gz").rename(root / "labelsTr" / "b.Nii.gz")
    dataset = describe(root, file_ending=".NII.gz")
    assert [case.id for case in dataset.cases()] == ["a", "b"]
    report = check_dataset(dataset)
    assert (report.faults, report.remarks) == ((), ())


@pytest.mark.parametrize("pattern", ["(p\\d+)?.*", "(x)?(a|b)", "()a|()b"])
def test_a_patient_that_may_be_none_is_refused(root, pattern):
    (root / "dataset.json").write_text(json.dumps(GOOD))
    with pytest.raises(DataError, match=r"case a: the option patient=.* finds no patient"):
        NNUNet(root, patient=pattern).cases()


@pytest.mark.parametrize("thing", ["pipe", "folder", "loop", "nothing", "latin"])
def test_a_patient_of_acdc_whose_info_is_no_text(write, tmp_path, thing):
    patient = tmp_path / "patient001"
    write.nifti(patient / "patient001_frame01.nii.gz", SCAN, write.affine())
    if thing == "latin":
        (patient / "Info.cfg").write_bytes("ED: 1\nES: 12\nGroup: é\n".encode("latin-1"))
    make(thing, patient / "Info.cfg")
    (fault,) = check_dataset(ACDC(tmp_path)).faults
    assert "Info.cfg" in fault.message
    assert "\n" not in fault.message
