import numpy as np
import pytest

from camzoo.core.choices import SplitKind
from camzoo.core.errors import DataError, GeometryError
from camzoo.data.datasets.promri import ProMRI
from camzoo.data.loading import load_case
from camzoo.data.splits import make_split
from camzoo.registries import datasets

SHAPE = (4, 6, 9)
SCAN = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
GLAND = (np.arange(np.prod(SHAPE)) % 2).astype(np.int8).reshape(SHAPE)


@pytest.fixture
def prostate(write, tmp_path):
    """Adds one image with its label."""

    def add(name="Case00", folder="training_data", ending=".mhd", gland=GLAND, affine=None):
        affine = (
            write.affine((3.6, 0.6, 0.5), ("S", "P", "L"), tilt=17) if affine is None else affine
        )
        save = write.nifti if ending.startswith(".nii") else write.itk
        save(tmp_path / folder / f"{name}{ending}", SCAN, affine)
        if gland is not None:
            save(tmp_path / folder / f"{name}_segmentation{ending}", gland, affine)
        return tmp_path / folder

    return add


def ids(root):
    return [case.id for case in ProMRI(root).cases()]


def test_it_is_registered():
    assert datasets.get("promri") is ProMRI


def test_the_official_folders(prostate, tmp_path):
    """Numbers start again in the test folders; live labels are hidden."""
    prostate("Case00")
    prostate("Case01")
    prostate("Case00", "test_data")
    prostate("Case00", "livechallenge_test_data", gland=None)
    cases = ProMRI(tmp_path).cases()
    assert [(c.id, c.patient, c.official) for c in cases] == [
        ("Case00", "Case00", "train"),
        ("Case01", "Case01", "train"),
        ("test-Case00", "test-Case00", "test"),
    ]
    assert [stamp[0][0] for stamp in ProMRI(tmp_path).fingerprint()["Case00"]] == [
        "Case00.mhd",
        "Case00.raw",
        "Case00_segmentation.mhd",
        "Case00_segmentation.raw",
    ]
    prostate("Case02")
    assert make_split(ProMRI(tmp_path), SplitKind.PATIENT).test == ("test-Case00",)


def test_a_changed_raw_file_changes_the_fingerprint(prostate, tmp_path):
    folder = prostate()
    before = ProMRI(tmp_path).fingerprint()
    (folder / "Case00.raw").write_bytes(b"\0" * (SCAN.nbytes + 2))
    assert ProMRI(tmp_path).fingerprint() != before


@pytest.mark.parametrize("ending", [".mhd", ".mha", ".nii.gz", ".nii", ".nrrd"])
def test_own_cases_in_any_format(prostate, tmp_path, ending):
    prostate("anna_2024", "", ending)
    (tmp_path / f"._anna_2024{ending}").write_text("what some systems leave behind")
    case = ProMRI(tmp_path).cases()[0]
    loaded = load_case(ProMRI(tmp_path), case)
    assert (case.id, case.official) == ("anna_2024", None)
    np.testing.assert_array_equal(loaded.image.array, SCAN)
    np.testing.assert_array_equal(loaded.label.array, GLAND)
    assert loaded.image.spacing == pytest.approx((3.6, 0.6, 0.5), rel=1e-6)


def test_image_and_label_of_different_formats(prostate, write, tmp_path):
    prostate("a", "", ".nii.gz", gland=None)
    affine = write.affine((3.6, 0.6, 0.5), ("S", "P", "L"), tilt=17)
    write.itk(tmp_path / "a_segmentation.nrrd", GLAND, affine)
    assert load_case(ProMRI(tmp_path), ProMRI(tmp_path).cases()[0]).label.array.sum() == GLAND.sum()


def test_any_label_is_gland(prostate, tmp_path):
    prostate(gland=GLAND + 1)
    loaded = load_case(ProMRI(tmp_path), ProMRI(tmp_path).cases()[0])
    assert (loaded.label.array == 1).all()


@pytest.fixture
def nci(write, tmp_path):
    """Adds a patient of NCI-ISBI 2013 in the folders of the archive's client."""

    def add(patient="Prostate3T-01-0001", truth="", values=(0, 1, 2)):
        affine = write.affine((4.0, 0.625, 0.6), ("I", "A", "L"))
        names = [f"{k:06d}.dcm" for k in (2, 0, 3, 1)]
        series = tmp_path / "images" / patient / "10-08-2008-MR prostaat" / "4-t2_tse_tra-12345"
        write.dicom(series, SCAN, affine, names=names)
        zones = np.array(values, np.uint8)[np.arange(SCAN.size).reshape(SHAPE) % len(values)]
        write.itk(tmp_path / "labels" / "Training" / f"{patient}{truth}.nrrd", zones, affine)
        return series, zones

    return add


def test_nci_isbi_series_with_nrrd_labels(nci, tmp_path):
    _, zones = nci()
    nci("ProstateDx-03-0002", "_truth")
    cases = ProMRI(tmp_path).cases()
    assert [(c.id, c.patient, c.official) for c in cases] == [
        ("Prostate3T-01-0001", "Prostate3T-01-0001", None),
        ("ProstateDx-03-0002", "ProstateDx-03-0002", None),
    ]
    loaded = load_case(ProMRI(tmp_path), cases[0])
    np.testing.assert_array_equal(loaded.image.array, SCAN[::-1, ::-1])
    np.testing.assert_array_equal(loaded.label.array, (zones > 0)[::-1, ::-1])


def test_nci_isbi_label_on_fewer_slices_than_its_scan(write, tmp_path):
    """As the owners ship ProstateDx-01-0055: 23 slices for a scan of 34, in the right place."""
    patient = "ProstateDx-01-0055"
    scan = np.arange(12 * 6 * 9, dtype=np.int16).reshape(12, 6, 9)
    affine = write.affine((3.0, 0.7, 0.6))
    moved = write.affine((3.0, 0.7, 0.6), origin=(5, -7, 11 + 2 * 3))
    names = [f"1-{k + 1:02d}.dcm" for k in range(12)]
    write.dicom(tmp_path / "PROSTATE-DIAGNOSIS" / patient / "5-T2", scan, affine, names=names)
    write.itk(tmp_path / "Training" / f"{patient}.nrrd", np.concatenate([GLAND, GLAND]), moved)
    (case,) = ProMRI(tmp_path).cases()
    loaded = load_case(ProMRI(tmp_path), case)
    np.testing.assert_array_equal(loaded.label.array[2:10], np.concatenate([GLAND, GLAND]))
    assert loaded.label.array.sum() == 2 * GLAND.sum()
    assert loaded.notes[0].detail == "(8, 6, 9) at (2, 0, 0) of (12, 6, 9) voxels (z, y, x)"


def test_nci_isbi_beside_promise12_and_labels_in_the_root(nci, prostate, tmp_path):
    prostate("Case07")
    nci()
    labels = tmp_path / "labels" / "Training"
    (labels / "Prostate3T-01-0001.nrrd").rename(tmp_path / "Prostate3T-01-0001.nrrd")
    assert ids(tmp_path) == ["Case07", "Prostate3T-01-0001"]


def test_nci_isbi_series_that_cannot_be_chosen(nci, write, tmp_path):
    series, _ = nci()
    write.dicom(series.parent / "5-t2_again", SCAN, write.affine())
    dataset = ProMRI(tmp_path)
    with pytest.raises(DataError, match=r"expected one series of at least 2 DICOM slices .*got 0"):
        load_case(dataset, dataset.cases()[0])


def test_nci_isbi_label_without_series(nci, tmp_path):
    nci()
    (tmp_path / "images" / "Prostate3T-01-0001").rename(tmp_path / "images" / "elsewhere")
    dataset = ProMRI(tmp_path)
    with pytest.raises(DataError, match=r"Prostate3T-01-0001 is missing"):
        load_case(dataset, dataset.cases()[0])


@pytest.mark.parametrize("lost", ["Case03_segmentation.mhd", "Case03.mhd", "Case03.raw"])
def test_a_lost_file(prostate, tmp_path, lost, capfd):
    (prostate("Case03") / lost).unlink()
    prostate("Case04")
    dataset = ProMRI(tmp_path)
    assert ids(tmp_path) == ["Case03", "Case04"]
    with pytest.raises(DataError, match=rf"case Case03: .*(Case03\.mhd cannot|{lost} is missing)"):
        load_case(dataset, dataset.cases()[0])
    load_case(dataset, dataset.cases()[1])
    assert capfd.readouterr().err == ""


def test_labels_on_another_grid(prostate, write, tmp_path):
    folder = prostate()
    moved = write.affine((3.6, 0.6, 0.5), ("S", "P", "L"), origin=(5, -7, 12.5), tilt=17)
    write.itk(folder / "Case00_segmentation.mhd", GLAND, moved)
    with pytest.raises(GeometryError, match="differ in position"):
        load_case(ProMRI(tmp_path), ProMRI(tmp_path).cases()[0])
    write.itk(folder / "Case00_segmentation.mhd", GLAND[:3], moved)
    with pytest.raises(GeometryError, match="differ in shape"):
        load_case(ProMRI(tmp_path), ProMRI(tmp_path).cases()[0])


def test_ids_that_clash_or_hold_odd_characters(prostate, tmp_path):
    prostate("Case00", "")
    prostate("Case00")
    with pytest.raises(DataError, match="rename Case00"):
        ProMRI(tmp_path).cases()
    (tmp_path / "Case00.mhd").rename(tmp_path / "Case 00.mhd")
    (tmp_path / "Case00_segmentation.mhd").rename(tmp_path / "Case 00_segmentation.mhd")
    with pytest.raises(DataError, match="rename Case 00"):
        ProMRI(tmp_path).cases()


def test_nothing_there_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"zenodo\.org/records/8026660.*--dataset phantom"):
        ProMRI(tmp_path).cases()


@pytest.mark.data
def test_real_cases(real_data):
    dataset = ProMRI(real_data / "PROMISE12")
    cases = dataset.cases()
    assert [case.id for case in cases] == ["Case00", "Case02", "Case03", "Case04"]
    spacings = [(3.15, 0.46875, 0.46875), (3, 0.4018, 0.4018), (3, 0.4018, 0.4018), (3, 0.5, 0.5)]
    for case, spacing in zip(cases, spacings, strict=True):
        loaded = load_case(dataset, case)
        assert loaded.image.spacing == pytest.approx(spacing, abs=1e-4)
        gland = np.argwhere(loaded.label.array)
        ml = len(gland) * np.prod(loaded.label.spacing) / 1000
        assert 15 < ml < 150  # a prostate, neither walnut nor melon
        middle = np.array(loaded.image.shape[1:]) / 2
        off = np.abs(gland[:, 1:].mean(axis=0) - middle) * loaded.image.spacing[1:]
        assert off.max() < 30  # scans are centred on it
