"""The raw data set as others read it, and nnU-Net's commands as they are called."""

import json
import os
import sys

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import CamzooError, ConfigError
from camzoo.core.progress import Quiet
from camzoo.data.labels import UNKNOWN
from camzoo.data.opening import open_dataset
from camzoo.report.opened_runs import open_cell
from camzoo.students.lesson import Choice, teach
from camzoo.students.nnunet import Student, fitting_trainer
from camzoo.students.nnunet_raw import RawFolder
from camzoo.students.pseudo_masks import of_maps

#: A program in the place of nnU-Net's: notes how it is called, and predicts the references.
FAKE = """#!{python}
import json, os, pathlib, shutil, sys
here = pathlib.Path(__file__)
raw = pathlib.Path(os.environ["nnUNet_raw"])
with (here.parent / "called.jsonl").open("a") as file:
    file.write(json.dumps([here.name, *sys.argv[1:], os.environ["nnUNet_results"]]) + "\\n")
if "-tr" in sys.argv and "Broken" in sys.argv:
    sys.exit("the network is broken")
if here.name == "nnUNetv2_predict":
    out = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
    shutil.copytree(pathlib.Path(sys.argv[sys.argv.index("-i") + 1]).parent / "labelsTs", out)
    (out / "plans.json").write_text("{{}}")
"""
PROGRAMS = ("nnUNetv2_plan_and_preprocess", "nnUNetv2_train", "nnUNetv2_predict")


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A folder with nnU-Net's commands, and what was called of them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in PROGRAMS:
        (folder / name).write_text(FAKE.format(python=sys.executable))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):
    folder = RawFolder(tmp_path_factory.mktemp("nn") / "nnUNet_raw" / "Dataset507_Gland")
    choice = Choice("cam", unsure=0.1)
    return folder, teach(run, folder, choice, fold=0, seed=0, root=None, reporter=Quiet())


def test_others_read_the_scans_with_their_pseudo_masks(run, written):
    folder, lesson = written
    viewed, _ = open_cell(run, 0, 0)
    taught = of_maps(viewed, "cam", "validated", 0.1)
    organs, described = lesson.organs, json.loads((folder.path / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, organs[0]: 1, "ignore": 2}
    assert described["numTraining"] == lesson.training == len(taught.cases)
    ignored = 0
    for case in taught.cases:
        scan, label = (
            nib.load(folder.path / part / name)
            for part, name in (("imagesTr", f"{case}_0000.nii.gz"), ("labelsTr", f"{case}.nii.gz"))
        )
        expected = taught.labels(case)
        np.testing.assert_array_equal(
            np.asarray(label.dataobj).T, np.where(expected == UNKNOWN, 2, expected)
        )
        np.testing.assert_allclose(scan.affine, label.affine)
        np.testing.assert_allclose(
            sorted(scan.header.get_zooms()), sorted(viewed.prepared.cases[case].spacing), rtol=1e-6
        )
        ignored += (expected == UNKNOWN).sum()
    assert lesson.ignored == ignored > 0


def test_it_is_a_data_set_that_this_program_reads(run, tmp_path):
    """Where no voxel is unknown, no label is ignored, and references can be scored."""
    folder = RawFolder(tmp_path / "Dataset001_A")
    choice = Choice("centre")
    lesson = teach(run, folder, choice, fold=None, seed=None, root=None, reporter=Quiet())
    viewed, _ = open_cell(run, 0, 0)
    split, cases = viewed.record.manifest["splits"]["0"], viewed.prepared.cases
    assert (lesson.ignored, lesson.test) == (0, len(split["test"]))
    read = open_dataset("nnunet", folder.path, {})
    by_id = {case.id: case for case in read.cases()}
    assert set(by_id) == {*split["test"], *split["train"]}
    for case in split["test"]:
        np.testing.assert_array_equal(
            read.label(by_id[case]).array, viewed.prepared.vault.for_evaluation().label(case)
        )
    patients = pd.read_csv(folder.patients)
    assert dict(zip(patients["case"], patients["patient"], strict=True)) == {
        case: cases[case].patient for case in split["test"]
    }


def test_where_they_come_from_is_written_down(written):
    folder, lesson = written
    told = json.loads((folder.path / "camzoo.json").read_text())
    assert (told["run"], told["fold"], told["seed"]) == (lesson.run, 0, 0)
    assert told["supervision"] == "image"
    assert len(told["thresholds"]) == lesson.training
    assert len(set(told["thresholds"].values())) == 1


@pytest.mark.parametrize("name", ["Dataset1_A", "Dataset0001_A", "prostates", "Dataset001_", "A"])
def test_a_folder_that_nnunet_would_not_find_is_refused(run, tmp_path, name):
    with pytest.raises(ConfigError, match=r"nnUNet_raw/DatasetNNN_Name"):
        teach(
            run, RawFolder(tmp_path / name), Choice("cam"),
            fold=None, seed=None, root=None, reporter=Quiet(),
        )  # fmt: skip
    assert not (tmp_path / name).exists()


def test_nothing_is_overwritten(run, tmp_path):
    folder = RawFolder(tmp_path / "Dataset001_A")
    folder.path.mkdir()
    (folder.path / "mine").touch()
    with pytest.raises(ConfigError, match="holds something already"):
        teach(run, folder, Choice("cam"), fold=None, seed=None, root=None, reporter=Quiet())
    assert [path.name for path in folder.path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "cam", "baseline": "bes"}, {"baseline": "bes", "unsure": 0.1},
     {"baseline": "bes", "protocol": "otsu"}],
)  # fmt: skip
def test_what_cannot_be_chosen_together(settings):
    with pytest.raises(ConfigError, match="--method"):
        Choice(**settings)


def test_commands_by_hand(tmp_path, monkeypatch):
    monkeypatch.delenv("nnUNet_raw", raising=False)
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    monkeypatch.setenv("nnUNet_results", "/a b")
    place = tmp_path / "raw" / "Dataset042_Left"
    student = Student(RawFolder(place), "3d_fullres", "nnUNetTrainer_5epochs", "cpu")
    out = f"{place}/predictionsTs-3d_fullres-nnUNetTrainer_5epochs"
    export, plan, train, predict, score = student.lines(["left kidney", "liver"])
    assert export == (
        f"export nnUNet_raw={tmp_path}/raw nnUNet_preprocessed={tmp_path}/nnUNet_preprocessed "
        "nnUNet_results='/a b'"
    )
    assert plan == "nnUNetv2_plan_and_preprocess -d 042 -c 3d_fullres"
    assert train == "nnUNetv2_train 042 3d_fullres all -tr nnUNetTrainer_5epochs -device cpu"
    assert predict == (
        f"nnUNetv2_predict -i {place}/imagesTs -o {out} -d 042 -c 3d_fullres -f all "
        "-tr nnUNetTrainer_5epochs -device cpu"
    )
    assert score == (
        f"camzoo score --preds {out} --masks {place}/labelsTs --patients {place}/patientsTs.csv "
        "--organs 'left kidney,liver'"
    )


def test_they_are_called_in_order_with_their_folders(programs, tmp_path):
    raw = RawFolder(tmp_path / "nnUNet_raw" / "Dataset042_A")
    raw.references.mkdir(parents=True)
    student = Student(raw, "2d", "nnUNetTrainer", "cpu")
    student.train(Quiet())
    called = [json.loads(line) for line in (programs / "called.jsonl").read_text().splitlines()]
    results = str(tmp_path / "nnUNet_results")
    assert called == [[*command, results] for command in student.commands]


def test_what_fails_is_told_with_its_last_words(programs, tmp_path):
    raw = RawFolder(tmp_path / "nnUNet_raw" / "Dataset042_A")
    raw.path.mkdir(parents=True)
    with pytest.raises(CamzooError, match="exit code 1: the network is broken; all that it said"):
        Student(raw, "2d", "Broken", "cpu").train(Quiet())
    assert len((programs / "called.jsonl").read_text().splitlines()) == 2


def test_without_nnunet_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(ConfigError, match=r"pip install 'camzoo\[nnunet\]'"):
        Student(RawFolder(tmp_path / "Dataset001_A"), "2d", "nnUNetTrainer", "cpu").train(Quiet())


def test_left_organs_are_not_mirrored_onto_right_ones(written):
    _, lesson = written
    assert fitting_trainer(sided=lesson.sided) == "nnUNetTrainer"
    assert fitting_trainer(sided=True) == "nnUNetTrainerNoMirroring"
