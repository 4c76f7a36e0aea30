import numpy as np
import pytest

from camzoo.core.choices import SplitKind
from camzoo.core.errors import ConfigError, DataError, GeometryError
from camzoo.data.datasets.acdc import ACDC
from camzoo.data.loading import load_case
from camzoo.data.splits import make_split
from camzoo.registries import datasets

SHAPE = (3, 5, 8)
MASK = (np.arange(np.prod(SHAPE)) % 4).astype(np.uint8).reshape(SHAPE)


@pytest.fixture
def heart(write, tmp_path):
    """Adds one patient; returns its folder."""

    def add(number=1, folder="training", ed=1, es=12, suffix=".nii.gz", info=None, gt=True):
        patient = tmp_path / folder / f"patient{number:03d}"
        affine = write.affine((10, 1.4, 1.25), ("S", "A", "R"))
        scan = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE) + number
        for frame in (ed, es):
            name = f"patient{number:03d}_frame{frame:02d}"
            write.nifti(patient / f"{name}{suffix}", scan + frame, affine)
            if gt:
                write.nifti(patient / f"{name}_gt{suffix}", MASK, affine)
        text = f"ED: {ed}\nES: {es}\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
        (patient / "Info.cfg").write_text(text if info is None else info)
        return patient

    return add


def test_it_is_registered():
    assert datasets.get("acdc") is ACDC


def test_the_official_layout_with_test_patients(heart, tmp_path):
    heart(2)
    heart(1, ed=4, es=11)
    heart(101, "testing")
    cases = ACDC(tmp_path).cases()
    assert [case.id for case in cases] == [
        "patient001_frame04",
        "patient001_frame11",
        "patient002_frame01",
        "patient002_frame12",
        "patient101_frame01",
        "patient101_frame12",
    ]
    assert [case.patient for case in cases] == ["patient001"] * 2 + ["patient002"] * 2 + [
        "patient101"
    ] * 2
    assert [case.official for case in cases] == ["train"] * 4 + ["test"] * 2
    assert make_split(ACDC(tmp_path), SplitKind.PATIENT).test == (
        "patient101_frame01",
        "patient101_frame12",
    )


def test_patients_in_the_root_and_uncompressed_files(heart, tmp_path):
    heart(7, "", suffix=".nii")
    cases = ACDC(tmp_path).cases()
    assert [(case.id, case.official) for case in cases] == [
        ("patient007_frame01", None),
        ("patient007_frame12", None),
    ]
    assert load_case(ACDC(tmp_path), cases[0]).image.shape == SHAPE


def test_test_patients_without_labels_are_not_cases(heart, tmp_path):
    heart(1)
    heart(101, "testing", gt=False)
    assert {case.patient for case in ACDC(tmp_path).cases()} == {"patient001"}


def test_left_ventricle_alone_and_all_structures(heart, tmp_path):
    """The stored rows run to the front and the columns to the right: both are flipped."""
    heart(1)
    flipped = MASK[:, ::-1, ::-1]
    alone, everything = ACDC(tmp_path), ACDC(tmp_path, structures="all")
    assert alone.organs == ("left ventricle",)
    assert everything.organs == ("right ventricle", "myocardium", "left ventricle")
    case = alone.cases()[0]
    np.testing.assert_array_equal(load_case(alone, case).label.array, flipped == 3)
    np.testing.assert_array_equal(load_case(everything, case).label.array, flipped)
    loaded = load_case(alone, case)
    np.testing.assert_array_equal(loaded.image.array[0, -1, -1], 2)  # the first stored voxel
    assert loaded.image.spacing == pytest.approx((10, 1.4, 1.25))
    assert not alone.sided


def test_an_unknown_choice_of_structures(tmp_path):
    with pytest.raises(ConfigError, match="one of lv, all: 'rv'"):
        ACDC(tmp_path, structures="rv")


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ("ED: 1\nGroup: DCM\n", r"ED '1' and ES ''"),
        ("ED: one\nES: 12\n", "ED 'one'"),
        (f"ED: 1\nES: {'9' * 5000}\n", r"ES '9{1,40}\.\.\.9{1,40}'"),
        ("ED: 12\nES: 12\n", "two different frame numbers"),
        ("", r"ED '' and ES ''"),
    ],
)
def test_an_odd_info_file_fails_when_its_patient_is_read(heart, tmp_path, info, message):
    heart(1, info=info)
    heart(2)
    dataset = ACDC(tmp_path)
    assert dataset.cases()[0].id == "patient001"
    with pytest.raises(DataError, match=message) as error:
        load_case(dataset, dataset.cases()[0])
    assert "patient001/Info.cfg" in str(error.value)
    assert load_case(dataset, dataset.cases()[1]).image.patient == "patient002"
    assert set(dataset.fingerprint()) == {c.id for c in dataset.cases()}


def test_a_lost_info_file(heart, tmp_path):
    (heart(1) / "Info.cfg").unlink()
    dataset = ACDC(tmp_path)
    with pytest.raises(DataError, match=r"Info\.cfg is missing.*names the frames ED and ES"):
        load_case(dataset, dataset.cases()[0])


@pytest.mark.parametrize("lost", ["patient001_frame12_gt.nii.gz", "patient001_frame12.nii.gz"])
def test_a_lost_file(heart, tmp_path, lost):
    (heart(1) / lost).unlink()
    dataset = ACDC(tmp_path)
    first, second = dataset.cases()
    load_case(dataset, first)
    with pytest.raises(DataError, match=f"case patient001_frame12: .*{lost} is missing"):
        load_case(dataset, second)


def test_a_truncated_scan_and_a_label_of_another_grid(heart, write, tmp_path):
    patient = heart(1)
    write.truncate(patient / "patient001_frame01.nii.gz")
    other = write.affine((10, 1.4, 1.3), ("S", "A", "R"))
    write.nifti(patient / "patient001_frame12_gt.nii.gz", MASK, other)
    dataset = ACDC(tmp_path)
    first, second = dataset.cases()
    with pytest.raises(DataError, match="truncated"):
        load_case(dataset, first)
    with pytest.raises(GeometryError, match=r"spacing .*1\.25.*1\.3\)"):
        load_case(dataset, second)


def test_an_unknown_label_value(heart, write, tmp_path):
    patient = heart(1)
    affine = write.affine((10, 1.4, 1.25), ("S", "A", "R"))
    write.nifti(patient / "patient001_frame01_gt.nii.gz", MASK + 2, affine)
    dataset = ACDC(tmp_path)
    with pytest.raises(DataError, match="voxels hold 4, 5, which is no label value; expected 0-3"):
        load_case(dataset, dataset.cases()[0])


def test_nothing_there_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError) as error:
        ACDC(tmp_path).cases()
    for part in (str(tmp_path), "patientNNN", "humanheart-project", "--dataset phantom"):
        assert part in str(error.value)
    with pytest.raises(DataError, match="is no folder"):
        ACDC(tmp_path / "nowhere").cases()
    with pytest.raises(ConfigError, match="give --root DIR"):
        ACDC(None)


@pytest.mark.data
def test_real_cases(real_data):
    dataset = ACDC(real_data / "ACDC")
    cases = dataset.cases()
    assert len(cases) == 150
    assert len({case.patient for case in cases}) == 75
    for case in cases[:3]:
        loaded = load_case(dataset, case)
        assert loaded.image.spacing == (10, 1.5, 1.5)
        cavity = loaded.label.array > 0
        assert cavity.any(axis=(1, 2)).mean() > 0.5
        blood, rest = loaded.image.array[cavity], loaded.image.array[~cavity]
        assert blood.mean() > rest.mean() + rest.std()  # cine MR: blood is bright


@pytest.mark.data
def test_real_label_pairs_with_its_image(real_data):
    """Muscle is dark and blood bright: a label that lies elsewhere would not tell them apart."""
    dataset = ACDC(real_data / "ACDC", structures="all")
    for case in dataset.cases()[::40]:
        loaded = load_case(dataset, case)
        grey = [loaded.image.array[loaded.label.array == c].mean() for c in (1, 2, 3)]
        assert grey[1] < min(grey[0], grey[2]) - 20
        centres = [np.argwhere(loaded.label.array == c).mean(axis=0) for c in (2, 3)]
        assert (
            np.linalg.norm((centres[0] - centres[1])[1:]) < 5
        )  # the muscle lies around the cavity
