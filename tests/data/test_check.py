import numpy as np
import pytest

from camzoo.data.check import check_dataset, content_hash
from camzoo.data.datasets.acdc import ACDC
from camzoo.data.datasets.chaos import CHAOS
from camzoo.data.datasets.promri import ProMRI
from camzoo.data.volume import Volume

SHAPE = (4, 6, 9)
RNG = np.random.default_rng(0)
GLAND = (np.arange(np.prod(SHAPE)) % 2).astype(np.uint8).reshape(SHAPE)


@pytest.fixture
def prostate(write, tmp_path):
    def add(name, scan=None, gland=GLAND, ending=".nii.gz", axes=("S", "P", "L")):
        scan = RNG.integers(0, 999, SHAPE).astype(np.int16) if scan is None else scan
        save = write.nifti if ending == ".nii.gz" else write.itk
        affine = write.affine((3, 0.6, 0.5), axes, tilt=12)
        save(tmp_path / f"{name}{ending}", scan, affine)
        save(tmp_path / f"{name}_segmentation{ending}", gland, affine)

    return add


def test_a_clean_folder_has_no_fault(prostate, tmp_path):
    for name in "abc":
        prostate(name)
    ticks = []
    report = check_dataset(ProMRI(tmp_path), lambda *t: ticks.append(t))
    assert (report.tried, report.faults, report.remarks) == (3, (), ())
    assert ticks == [(1, 3), (2, 3), (3, 3)]


def test_all_faults_are_listed_at_once(prostate, write, tmp_path):
    for name in "abcdefg":
        prostate(name)
    prostate("b", np.full(SHAPE, 4, np.int16))
    prostate("c", gland=GLAND.astype(np.int16) * 300)
    (tmp_path / "d_segmentation.nii.gz").unlink()
    write.truncate(tmp_path / "e.nii.gz")
    nan = RNG.normal(size=SHAPE).astype(np.float32)
    nan[0, 0, 0] = np.nan
    prostate("f", nan)
    prostate("g", gland=np.concatenate([GLAND, GLAND]))
    report = check_dataset(ProMRI(tmp_path))
    assert report.tried == 7
    assert [fault.cases for fault in report.faults] == [(name,) for name in "bcdefg"]
    parts = ("every voxel is 4", "hold 300", "missing", "truncated", "NaN", "differ in shape")
    for fault, part in zip(report.faults, parts, strict=True):
        assert part in fault.message
        assert f"case {fault.cases[0]}: " in fault.message


def test_the_same_scan_twice_is_found_through_formats_and_layouts(prostate, tmp_path):
    scan = RNG.integers(0, 999, SHAPE).astype(np.int16)
    prostate("a", scan)
    prostate("b")
    prostate("c", scan.astype(np.float32), ending=".mha")
    prostate("d", np.flip(scan, (0, 1, 2)), GLAND, axes=("I", "A", "R"))
    report = check_dataset(ProMRI(tmp_path))
    (fault,) = report.faults
    assert fault.cases == ("a", "c", "d")
    assert "cases a, c, d hold the same image" in fault.message


def test_content_hash_depends_on_values_and_shape():
    scan = RNG.integers(0, 999, SHAPE).astype(np.int16)

    def of(array):
        return content_hash(Volume(array, np.eye(4), "a", "p"))

    assert of(scan) == of(scan.astype(np.float64))
    assert of(scan) != of(scan.reshape(4, 9, 6))
    changed = scan.copy()
    changed[3, 5, 8] += 1
    assert of(scan) != of(changed)


def test_an_unusable_folder_is_one_fault(tmp_path):
    report = check_dataset(ProMRI(tmp_path / "nowhere"))
    assert report.tried == 0
    (fault,) = report.faults
    assert fault.cases == ()
    assert "is no folder" in fault.message


@pytest.mark.data
@pytest.mark.parametrize(
    ("kind", "folder", "notes"), [(ACDC, "ACDC", 2), (CHAOS, "CHAOS", 2), (ProMRI, "PROMISE12", 0)]
)
def test_real_cases_have_no_fault(real_data, monkeypatch, kind, folder, notes):
    """The nominal spacing of two of these copies is found from the files, not known beforehand."""
    dataset = kind(real_data / folder)
    some = dataset.cases()[:10]
    monkeypatch.setattr(dataset, "cases", lambda: some)
    report = check_dataset(dataset)
    assert (report.tried, report.faults) == (len(some), ())
    assert len(report.remarks) == notes
