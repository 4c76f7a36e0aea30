"""Where a data set is found, and what is said where it is not."""

from pathlib import Path

import numpy as np
import pytest

from camzoo.core.errors import ConfigError, DataError
from camzoo.data.datasets.acdc import ACDC
from camzoo.data.datasets.chaos import CHAOS
from camzoo.data.datasets.file_dataset import FileDataset
from camzoo.data.datasets.nnunet import NNUNet
from camzoo.data.datasets.places import folders_below, top_folder
from camzoo.data.datasets.promri import ProMRI
from camzoo.data.loading import load_case
from camzoo.registries import datasets

SHAPE = (4, 6, 9)
SCAN = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
MASK = (np.arange(np.prod(SHAPE)) % 2).astype(np.uint8).reshape(SHAPE)
JSON = (
    '{"channel_names": {"0": "T2"}, "labels": {"background": 0, "a": 1}, "numTraining": 1, '
    '"file_ending": ".nii"}'
)


@pytest.fixture
def lay(write):
    """Lays a tiny data set of any kind into a folder."""

    def acdc(folder):
        for frame in (1, 12):
            name = f"patient001_frame{frame:02d}"
            write.nifti(folder / "patient001" / f"{name}.nii.gz", SCAN + frame, write.affine())
            write.nifti(folder / "patient001" / f"{name}_gt.nii.gz", MASK * 3, write.affine())
        (folder / "patient001" / "Info.cfg").write_bytes(b"\xef\xbb\xbfED: 1\r\nES: 12\r\n")

    def chaos(folder):
        names = [f"IMG-{k}" for k in range(4)]
        write.dicom(
            folder / "1/T2SPIR/DICOM_anon", SCAN, write.affine(), names=[f"{n}.DCM" for n in names]
        )
        write.png(folder / "1/T2SPIR/Ground", MASK * 63, [f"{n}.png" for n in names])
        for name in names:
            (folder / f"1/T2SPIR/Ground/{name}.png").rename(folder / f"1/T2SPIR/Ground/{name}.PNG")

    def promri(folder):
        write.itk(folder / "Case00.mhd", SCAN, write.affine())
        write.itk(folder / "Case00_segmentation.mhd", MASK, write.affine())

    def nnunet(folder):
        write.nifti(folder / "imagesTr" / "p_0000.nii", SCAN, write.affine())
        write.nifti(folder / "labelsTr" / "p.nii", MASK, write.affine())
        (folder / "dataset.json").write_bytes(b"\xef\xbb\xbf" + JSON.encode())

    return {"acdc": acdc, "chaos": chaos, "promri": promri, "nnunet": nnunet}


#: Where archives are unpacked to: data set, and the folder below the root.
ARCHIVES = [
    ("acdc", ""), ("acdc", "training"), ("acdc", "testing"), ("acdc", "database/training"),
    ("acdc", "ACDC/database/training"), ("acdc", "database/testing"), ("acdc", "x/y/training"),
    ("chaos", ""), ("chaos", "MR"), ("chaos", "Train_Sets/MR"),
    ("chaos", "CHAOS_Train_Sets/Train_Sets/MR"), ("chaos", "download/Train_Sets/MR"),
    ("promri", ""), ("promri", "training_data"), ("promri", "PROMISE12/training_data"),
    ("promri", "a/b/training_data"),
    ("nnunet", ""), ("nnunet", "Dataset005_X"), ("nnunet", "nnUNet_raw/Dataset005_X"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "folder"), ARCHIVES)
def test_archives_as_they_are_unpacked(lay, tmp_path, name, folder):
    lay[name](tmp_path / folder)
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "README.txt").write_text("")
    dataset = datasets.get(name)(tmp_path)
    cases = dataset.cases()
    assert len(cases) == (2 if name == "acdc" else 1)
    assert load_case(dataset, cases[0]).image.shape == SHAPE


def test_every_data_set_of_files_is_known_by_its_marks(lay, tmp_path):
    """A new data set of files needs marks, and its line above."""
    kinds = [datasets.get(name) for name in datasets]
    of_files = {kind.name for kind in kinds if issubclass(kind, FileDataset)}
    assert of_files == set(lay) == {name for name, _ in ARCHIVES}
    assert all(datasets.get(name).marks for name in of_files)


@pytest.mark.parametrize("name", ["acdc", "chaos", "promri", "nnunet"])
def test_a_parent_of_one_data_set_suggests_it(lay, tmp_path, name):
    """Beside other folders it is not taken by itself; the message has the words to type."""
    folder = tmp_path / "work" / "hearts"
    lay[name](folder)
    (tmp_path / "work" / "papers").mkdir()
    (tmp_path / "letters").mkdir()
    with pytest.raises(DataError, match=f"did you mean --root {folder}\\?"):
        datasets.get(name)(tmp_path).cases()


@pytest.mark.parametrize(
    ("asked", "there"), [(ACDC, "nnunet"), (NNUNet, "acdc"), (CHAOS, "promri"), (ProMRI, "chaos")]
)
def test_a_folder_of_another_data_set_says_which(lay, tmp_path, asked, there):
    lay[there](tmp_path)
    with pytest.raises(DataError, match=f"did you mean --root {tmp_path} with data set {there}"):
        asked(tmp_path).cases()


def test_several_data_sets_are_all_named(lay, tmp_path):
    lay["acdc"](tmp_path / "b")
    lay["nnunet"](tmp_path / "a")
    with pytest.raises(DataError) as error:
        CHAOS(tmp_path).cases()
    text = f"--root {tmp_path / 'a'} with data set nnunet or --root {tmp_path / 'b'} with"
    assert text in str(error.value)


def test_the_search_ends(tmp_path):
    deep = tmp_path / "/".join("abcdefgh")
    deep.mkdir(parents=True)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / ".hidden").mkdir()
    assert [f.relative_to(tmp_path).as_posix() for f in folders_below(tmp_path)] == [
        ".", "a", "a/b", "a/b/c",
    ]  # fmt: skip
    assert top_folder(tmp_path, ("nothing",), ("a",)) == tmp_path
    assert list(folders_below(tmp_path / "a\0b")) == [tmp_path / "a\0b"]


# nnUNet_raw ---------------------------------------------------------------------------------------


@pytest.fixture
def raw(lay, tmp_path, monkeypatch):
    for name in ("Dataset027_ACDC", "Dataset005_Prostate"):
        lay["nnunet"](tmp_path / "raw" / name)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "raw"


@pytest.mark.parametrize("name", ["27", "027", "Dataset027", "ACDC", "Dataset027_ACDC"])
def test_data_sets_are_named_as_nnunet_names_them(raw, name):
    assert NNUNet(Path(name)).root == raw / "Dataset027_ACDC"


def test_a_folder_that_is_there_goes_before_names(raw, lay, tmp_path):
    lay["nnunet"](tmp_path / "27")
    assert NNUNet(Path("27")).root == Path("27")
    assert NNUNet(raw / "Dataset005_Prostate").root == raw / "Dataset005_Prostate"


def test_names_that_say_too_little(raw):
    with pytest.raises(ConfigError, match=r"--root 28 names no data sets in nnUNet_raw=.*_ACDC"):
        NNUNet(Path("28"))
    with pytest.raises(ConfigError, match="without --root there are 2 data sets in nnUNet_raw"):
        NNUNet(None)
    for file in sorted((raw / "Dataset005_Prostate").rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    (raw / "Dataset005_Prostate").rmdir()
    assert NNUNet(None).root == raw / "Dataset027_ACDC"


def test_without_the_variable_a_root_is_asked_for(monkeypatch):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    with pytest.raises(ConfigError, match="give --root DIR"):
        NNUNet(None)
