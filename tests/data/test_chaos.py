import numpy as np
import pytest

from camzoo.core.errors import ConfigError, DataError, GeometryError
from camzoo.data.datasets.base import Folds
from camzoo.data.datasets.chaos import CHAOS
from camzoo.data.loading import load_case
from camzoo.data.volume import Volume
from camzoo.registries import datasets

SHAPE = (4, 6, 9)
SCAN = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
GREYS = np.array([0, 63, 126, 189, 252], np.uint8)
CLASSES = (np.arange(np.prod(SHAPE)) % 5).astype(np.uint8).reshape(SHAPE)
NAMES = ["IMG-0001-00004", "IMG-0001-00001", "IMG-0001-00003", "IMG-0001-00002"]
LAYOUT = ("I", "A", "L")


@pytest.fixture
def abdomen(write, tmp_path):
    """Adds one patient with T2-SPIR; names are shuffled against positions."""

    def add(number=1, base="Train_Sets/MR", axes=LAYOUT, ground=True):
        folder = tmp_path / base / str(number) / "T2SPIR"
        affine = write.affine((7.7, 1.4, 1.2), axes, tilt=10)
        write.dicom(folder / "DICOM_anon", SCAN, affine, names=[f"{n}.dcm" for n in NAMES])
        if ground:
            write.png(folder / "Ground", GREYS[CLASSES], [f"{n}.png" for n in NAMES])
        return folder

    return add


def load(root, index=0, **options):
    dataset = CHAOS(root, **options)
    return load_case(dataset, dataset.cases()[index])


def test_it_is_registered_with_what_the_design_asks():
    assert datasets.get("chaos") is CHAOS
    assert CHAOS.sided
    assert CHAOS.split == Folds(5)


@pytest.mark.parametrize("base", ["Train_Sets/MR", "MR", "", "CHAOS_Train_Sets/Train_Sets/MR"])
def test_wherever_the_patients_lie(abdomen, tmp_path, base):
    abdomen(13, base)
    abdomen(2, base)
    cases = CHAOS(tmp_path).cases()
    assert [(c.id, c.patient, c.official) for c in cases] == [("13", "13", None), ("2", "2", None)]


@pytest.mark.parametrize(
    "axes", [("S", "P", "L"), ("I", "A", "L"), ("S", "A", "R"), ("A", "I", "L")]
)
def test_labels_follow_their_slices_through_any_layout(abdomen, write, tmp_path, axes):
    abdomen(axes=axes)
    loaded = load(tmp_path)
    affine = write.affine((7.7, 1.4, 1.2), axes, tilt=10)
    np.testing.assert_array_equal(
        loaded.image.array, Volume(SCAN, affine, "1", "1").canonical().array
    )
    np.testing.assert_array_equal(
        loaded.label.array, Volume(CLASSES, affine, "1", "1").canonical().array
    )


def test_the_ends_of_the_grey_ranges(abdomen, write, tmp_path):
    folder = abdomen()
    ends = np.array([0, 55, 70, 110, 135, 175, 200, 240, 255])
    labels = ends[np.arange(np.prod(SHAPE)).reshape(SHAPE) % 9]
    write.png(folder / "Ground", labels, [f"{n}.png" for n in NAMES])
    counts = np.bincount(load(tmp_path).label.array.ravel())
    assert counts.tolist() == [24, 48, 48, 48, 48]


@pytest.mark.parametrize("grey", [1, 54, 71, 109, 136, 174, 201, 239])
def test_other_greys_are_refused(abdomen, write, tmp_path, grey):
    folder = abdomen()
    labels = GREYS[CLASSES]
    labels[2, 3, 4] = grey
    write.png(folder / "Ground", labels, [f"{n}.png" for n in NAMES])
    with pytest.raises(
        DataError, match=f"case 1: .*Ground: 1 voxels hold {grey}, .*55-70, 110-135"
    ):
        load(tmp_path)


def test_a_lost_or_additional_label_is_named(abdomen, tmp_path):
    folder = abdomen()
    (folder / "Ground" / f"{NAMES[0]}.png").rename(folder / "Ground" / "other.png")
    with pytest.raises(DataError) as error:
        load(tmp_path)
    assert f"1 slices have none ({NAMES[0]}), 1 labels have no slice (other)" in str(error.value)


def test_no_labels_at_all(abdomen, tmp_path):
    abdomen(1, ground=False)
    dataset = CHAOS(tmp_path)
    with pytest.raises(DataError, match=r"case 1: no label slices \(\*\.png\) in .*Ground"):
        load_case(dataset, dataset.cases()[0])


def test_a_lost_slice_with_its_label(abdomen, tmp_path):
    folder = abdomen()
    for path in (folder / "DICOM_anon" / f"{NAMES[1]}.dcm", folder / "Ground" / f"{NAMES[1]}.png"):
        path.unlink()
    with pytest.raises(DataError, match="restore the slice"):
        load(tmp_path)


def test_truncated_files(abdomen, write, tmp_path, capfd):
    write.truncate(abdomen(1) / "DICOM_anon" / f"{NAMES[2]}.dcm")
    write.truncate(abdomen(2) / "Ground" / f"{NAMES[2]}.png")
    for index, number, name in ((0, 1, f"{NAMES[2]}.dcm"), (1, 2, f"{NAMES[2]}.png")):
        with pytest.raises(DataError, match=f"case {number}: .*{name} cannot be read"):
            load(tmp_path, index)
    assert capfd.readouterr().err == ""


def test_a_label_of_another_size(abdomen, write, tmp_path):
    folder = abdomen()
    write.png(folder / "Ground", GREYS[CLASSES[:, :, :8]], [f"{n}.png" for n in NAMES])
    with pytest.raises(DataError, match=r"expected \(6, 9\) rows and columns .*got \(6, 8\)"):
        load(tmp_path)


@pytest.fixture
def dual(write, tmp_path):
    """T1-DUAL: two phases at one place, labels named after the in-phase slices."""
    folder = tmp_path / "MR" / "1" / "T1DUAL"
    affine = write.affine((5.5, 1.4, 1.2), LAYOUT)
    for phase, offset, first in (("InPhase", 0, 2), ("OutPhase", 1000, 1)):
        names = [f"IMG-{first + 2 * k:05d}.dcm" for k in (3, 0, 2, 1)]
        write.dicom(folder / "DICOM_anon" / phase, SCAN + offset, affine, names=names)
    write.png(folder / "Ground", GREYS[CLASSES], [f"IMG-{2 + 2 * k:05d}.png" for k in (3, 0, 2, 1)])
    return folder


@pytest.mark.parametrize(("sequence", "least"), [("T1DUAL-InPhase", 0), ("T1DUAL-OutPhase", 1000)])
def test_both_phases_of_t1_share_the_label(dual, write, tmp_path, sequence, least):
    loaded = load(tmp_path, sequence=sequence)
    assert loaded.image.array.min() == least
    expected = Volume(CLASSES, write.affine((5.5, 1.4, 1.2), LAYOUT), "1", "1").canonical()
    np.testing.assert_array_equal(loaded.label.array, expected.array)


def test_phases_on_different_grids_are_refused(dual, write, tmp_path):
    moved = write.affine((5.5, 1.4, 1.2), LAYOUT, origin=(5, -7, 12))
    names = [f"IMG-{1 + 2 * k:05d}.dcm" for k in (3, 0, 2, 1)]
    write.dicom(dual / "DICOM_anon" / "OutPhase", SCAN, moved, names=names)
    with pytest.raises(GeometryError, match="position"):
        load(tmp_path, sequence="T1DUAL-OutPhase")


def test_an_unknown_sequence(tmp_path):
    with pytest.raises(ConfigError, match="one of T2SPIR, T1DUAL-InPhase, T1DUAL-OutPhase: 'CT'"):
        CHAOS(tmp_path, sequence="CT")


def test_nothing_there_says_where_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"zenodo\.org/records/3431873.*--dataset phantom"):
        CHAOS(tmp_path).cases()


@pytest.mark.data
def test_real_cases(real_data):
    """Radiologist's view: the liver on the left of the picture, the spleen on the right."""
    dataset = CHAOS(real_data / "CHAOS")
    cases = dataset.cases()
    assert len(cases) == 15
    for case in cases[:4]:
        loaded = load_case(dataset, case)
        assert loaded.image.spacing == pytest.approx((7.7, 1.25, 1.25))
        z, y, x = np.array(
            [np.argwhere(loaded.label.array == c).mean(axis=0) for c in (1, 2, 3, 4)]
        ).T
        liver, right, left, spleen = range(4)
        middle = loaded.image.shape[2] / 2
        assert x[liver] < middle < x[spleen]
        assert x[right] < middle < x[left]
        assert min(z[liver], z[spleen]) > max(z[right], z[left])  # kidneys lie lower
        assert min(y[right], y[left]) > y[liver]  # and further back
