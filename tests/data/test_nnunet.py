import json

import numpy as np
import pytest

from camzoo.core.choices import SplitKind
from camzoo.core.errors import ConfigError, DataError
from camzoo.data.datasets.nnunet import NNUNet
from camzoo.data.loading import load_case
from camzoo.data.opening import open_dataset
from camzoo.data.splits import make_split
from camzoo.registries import datasets

SHAPE = (4, 6, 9)
SCAN = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
MASK = (np.arange(np.prod(SHAPE)) % 3).astype(np.uint8).reshape(SHAPE)
JSON = {
    "channel_names": {"0": "T2", "1": "ADC"},
    "labels": {"background": 0, "TZ": 2, "PZ": 1},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}


@pytest.fixture
def raw(write, tmp_path):
    """A raw folder; cases are added by name."""
    root = tmp_path / "Dataset005_Prostate"

    def add(*names, which="Tr", ending=".nii.gz", mask=MASK, **changes):
        root.mkdir(exist_ok=True)
        text = {
            k: v for k, v in {**JSON, "file_ending": ending, **changes}.items() if v is not None
        }
        (root / "dataset.json").write_text(json.dumps(text))
        save = write.nifti if ending.startswith(".nii") else write.itk
        affine = write.affine((3.6, 0.6, 0.5), ("I", "P", "R"))
        for name in names:
            for channel in range(2):
                image = root / f"images{which}" / f"{name}_{channel:04d}{ending}"
                save(image, SCAN + 500 * channel, affine)
            if mask is not None:
                save(root / f"labels{which}" / f"{name}{ending}", mask, affine)
        return root

    return add


def test_it_is_registered():
    assert datasets.get("nnunet") is NNUNet


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha", ".mhd"])
def test_cases_organs_and_channels(raw, ending):
    root = raw("prostate_01", "prostate_00", ending=ending)
    dataset = NNUNet(root, channel=1)
    assert dataset.organs == ("PZ", "TZ")  # in label order, not in the order of the file
    assert not dataset.sided
    cases = dataset.cases()
    assert [(c.id, c.patient, c.official) for c in cases] == [
        ("prostate_00", "prostate_00", "train"),
        ("prostate_01", "prostate_01", "train"),
    ]
    loaded = load_case(dataset, cases[0])
    np.testing.assert_array_equal(loaded.image.array, SCAN[::-1, :, ::-1] + 500)
    np.testing.assert_array_equal(loaded.label.array, MASK[::-1, :, ::-1])
    stamps = dataset.fingerprint()["prostate_00"]
    assert len(stamps) == (5 if ending == ".mhd" else 3)


def test_a_changed_description_changes_the_fingerprint(raw):
    root = raw("a")
    before = NNUNet(root).fingerprint()
    raw(labels={"background": 0, "transition": 2, "peripheral": 1})
    assert NNUNet(root).fingerprint() != before


def test_the_test_set_counts_only_with_labels(raw):
    raw("a", "b", "c")
    root = raw("t", which="Ts", mask=None)
    assert [c.id for c in NNUNet(root).cases()] == ["a", "b", "c"]
    raw("t", which="Ts")
    assert make_split(NNUNet(root), SplitKind.PATIENT).test == ("t",)


def test_patients_by_expression(raw):
    root = raw("patient001_frame01", "patient001_frame12", "patient002_frame01")
    dataset = open_dataset("nnunet", root, {"patient": r"(patient\d+)_.*", "channel": "1"})
    assert [c.patient for c in dataset.cases()] == ["patient001", "patient001", "patient002"]
    with pytest.raises(
        DataError, match=r"case patient001_frame01: the option .* finds no patient in its id"
    ):
        NNUNet(root, patient="(case.*)").cases()


@pytest.mark.parametrize(
    ("names", "given", "sided"),
    [
        (("liver", "left kidney"), None, True),
        (("liver", "kidney_right"), None, True),
        (("liver", "bright spot"), None, False),
        (("liver", "left kidney"), False, False),
        (("liver", "spleen"), True, True),
    ],
)
def test_sides(raw, names, given, sided):
    labels = {"background": 0, names[0]: 1, names[1]: 2}
    assert NNUNet(raw("a", labels=labels), sided=given).sided is sided


def test_sided_as_text_on_the_command_line(raw):
    assert open_dataset("nnunet", raw("a"), {"sided": "true"}).sided is True
    with pytest.raises(ConfigError, match="option sided='perhaps'"):
        open_dataset("nnunet", raw("a"), {"sided": "perhaps"})
    with pytest.raises(ConfigError, match="did you mean sided"):
        open_dataset("nnunet", raw("a"), {"side": "true"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"background": 0, "PZ": 1, "ignore": 2}}, "label 'ignore'"),
        (
            {"labels": {"background": 0, "whole": [1, 2], "core": [2]}},
            r"region-based .*whole, core",
        ),
        ({"labels": {"background": 0, "PZ": 1, "TZ": 3}}, "without gaps"),
        ({"labels": {"air": 0, "PZ": 1}}, "background = 0"),
        ({"labels": {"background": 0}}, "classes 1, 2"),
        (
            {"labels": {"0": "background", "1": "PZ"}},
            "whole number as the label of '0', got 'background'",
        ),
        ({"channel_names": None}, r"channel_names missing; .*nnUNetv2_convert"),
        ({"dataset": {"a": {}}}, "lists of files"),
    ],
)
def test_descriptions_that_are_no_plain_classes(raw, changes, message):
    with pytest.raises(DataError, match=message) as error:
        NNUNet(raw("a", **changes))
    assert "dataset.json" in str(error.value)


def test_settings_that_do_not_fit(raw, tmp_path):
    root = raw("a")
    with pytest.raises(ConfigError, match=r"channel 2 does not exist; choose one of 0 \(T2\), 1"):
        NNUNet(root, channel=2)
    with pytest.raises(ConfigError, match="has no group"):
        NNUNet(root, patient="patient.*")
    with pytest.raises(ConfigError, match="no regular expression"):
        NNUNet(root, patient="(patient")


def test_a_missing_or_broken_description(raw, tmp_path):
    with pytest.raises(DataError, match=r"dataset\.json is missing.*--dataset phantom"):
        NNUNet(tmp_path)
    (raw("a") / "dataset.json").write_text("{")
    with pytest.raises(DataError, match=r"dataset\.json is no JSON"):
        NNUNet(tmp_path / "Dataset005_Prostate")


@pytest.mark.parametrize("lost", ["imagesTr/b_0000.nii.gz", "labelsTr/b.nii.gz"])
def test_a_lost_file_is_a_fault_of_its_case(raw, lost):
    root = raw("a", "b")
    (root / lost).unlink()
    dataset = NNUNet(root)
    assert [c.id for c in dataset.cases()] == ["a", "b"]
    load_case(dataset, dataset.cases()[0])
    with pytest.raises(DataError, match=f"case b: .*{lost} is missing"):
        load_case(dataset, dataset.cases()[1])


def test_an_unknown_label_value(raw):
    root = raw("a", mask=MASK * 2)
    with pytest.raises(DataError, match="voxels hold 4, which is no label value; expected 0-2"):
        load_case(NNUNet(root), NNUNet(root).cases()[0])


def test_no_cases(raw):
    with pytest.raises(DataError, match="imagesTr/<id>_<channel>"):
        NNUNet(raw()).cases()
