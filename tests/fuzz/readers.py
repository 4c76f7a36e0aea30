"""All that camzoo reads from others, or finds again after a while: good files, and their doors."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from camzoo.config import read_config
from camzoo.core.checksums import write_sums
from camzoo.core.stored import read_array
from camzoo.data.check import check_dataset
from camzoo.data.datasets.file_dataset import FileDataset
from camzoo.data.readers import FORMATS, read_volume, volume_suffix
from camzoo.data.unpacking import unpack
from camzoo.evaluate.prediction_files import read_maps, read_prediction, read_reference
from camzoo.evaluate.score_options import read_patients
from camzoo.harness.configure import configure
from camzoo.harness.context import Place
from camzoo.harness.grid.expand import expand
from camzoo.harness.grid.file import read_grid
from camzoo.harness.grid.notes import Notes
from camzoo.harness.lease import Leases, holder_of
from camzoo.harness.store import Store, fault_of, read_made
from camzoo.harness.tasks import Done
from camzoo.learning.checkpoint import CHECKPOINT, load_checkpoint, read_history, save_checkpoint
from camzoo.network.weights import read_state
from camzoo.registries import datasets
from camzoo.report.records import files_of, read_record
from tests.core.test_settings_files import TOML, YAML
from tests.data.bad_files import SHAPE, SPACING, WRITERS, gland
from tests.data.conftest import FileWriter
from tests.harness.grid.test_state import TEXT as GRID
from tests.harness.test_store import ask, write
from tests.report.test_bad_records import good as good_record

WRITE = FileWriter()
AFFINE = WRITE.affine(SPACING, ("S", "P", "L"), origin=(1, 2, 3))
SCAN = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
#: What a door does with a folder; the file in it that is spoilt.
Door = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Reader:
    """What reads a kind of file.

    Attributes:
        build: Writes good files into a folder, any of which may be spoilt.
        doors: All ways by which the files come in. Each is given the folder and the spoilt file.
        repair: Puts right, after a file was spoilt, what would otherwise hide that from a door.
    """

    build: Callable[[Path], object]
    doors: tuple[Door, ...]
    repair: Callable[[Path], object] | None = None


# Volumes ------------------------------------------------------------------------------------------


def _volumes(suffixes, folder):
    for suffix in suffixes:
        (folder / suffix).mkdir()
        WRITERS[suffix].save(folder / suffix / f"a{suffix}", gland(), AFFINE)


def _header(_folder, file):
    """The file that is named: a spoilt one may be that of its voxels."""
    named = volume_suffix(file) or file.suffix == ".npy"
    return file if named else next(f for f in file.parent.iterdir() if f != file)


def _volume(folder, file):
    volume = read_volume(_header(folder, file), case="a", patient="p")
    assert np.isfinite(volume.affine).all()
    assert min(volume.spacing) > 0


def _reference(folder, file):
    read_reference(_header(folder, file), "a", "p", None)


@cache
def _good_reference(folder):
    path = folder.parent / "reference.nii"
    if not path.exists():
        WRITERS[".nii"].save(path, gland(), AFFINE)
    return read_reference(path, "a", "p", None)


def _maps(folder, file):
    read_maps(_header(folder, file), _good_reference(folder))


def _labels(folder, file):
    read_prediction(_header(folder, file), _good_reference(folder))


def _series(folder):
    WRITE.dicom(folder / "series", SCAN[:2], AFFINE)


def _slices(_folder, file):
    read_volume(file.parent, case="a", patient="p")


def _arrays(folder):
    np.save(folder / "a.npy", gland())
    np.save(folder / "maps.npy", np.stack([gland() * 0.5, gland() * 0.25]))


def _stored(_folder, file):
    read_array(file, np.uint8, (None,) * 3)


# Data sets ----------------------------------------------------------------------------------------


def _acdc(root):
    patient = root / "patient001"
    for frame in ("01", "12"):
        WRITE.nifti(patient / f"patient001_frame{frame}.nii", SCAN + int(frame), AFFINE)
        WRITE.nifti(patient / f"patient001_frame{frame}_gt.nii", gland() * 3, AFFINE)
    (patient / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\nHeight: 184.0\n")


def _chaos(root):
    names = ["a", "b", "c", "d"]
    sequence = root / "1" / "T2SPIR"
    WRITE.dicom(sequence / "DICOM_anon", SCAN[:4], AFFINE, names=[f"{n}.dcm" for n in names])
    WRITE.png(sequence / "Ground", gland()[:4] * 63, [f"{n}.png" for n in names])


def _nnunet(root):
    WRITE.nifti(root / "imagesTr" / "a_0000.nii", SCAN, AFFINE)
    WRITE.nifti(root / "labelsTr" / "a.nii", gland(), AFFINE)
    told = {
        "channel_names": {"0": "T2"}, "labels": {"background": 0, "prostate": 1},
        "numTraining": 1, "file_ending": ".nii", "overwrite_image_reader_writer": "SimpleITKIO",
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(told, indent=1))


def _promri(root):
    WRITE.itk(root / "Case00.mha", SCAN, AFFINE)
    WRITE.itk(root / "Case00_segmentation.nrrd", gland(), AFFINE)


#: Good folders of all data sets that are read from files.
LAYOUTS = {"acdc": _acdc, "chaos": _chaos, "nnunet": _nnunet, "promri": _promri}


def file_datasets():
    return {name for name in datasets if issubclass(datasets.get(name), FileDataset)}


def _layouts(folder):
    for name, layout in LAYOUTS.items():
        layout(folder / name)


def _dataset(folder, file):
    """What a check says of a data set; all of it is to be clear."""
    name = file.relative_to(folder).parts[0]
    report = check_dataset(datasets.get(name)(folder / name))
    return [*(fault.message for fault in report.faults), *report.remarks]


# Everything else ----------------------------------------------------------------------------------


def _patients(folder):
    (folder / "patients.csv").write_text('case,patient,age\na,1,"3"\nb,2,4\nc,2,5\n')


def _of_cases(_folder, file):
    read_patients(file, ["a", "b"])


def _weights(folder):
    torch.manual_seed(0)
    state = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).state_dict()
    save_file(state, folder / "weights.safetensors")
    torch.save({"state_dict": state}, folder / "weights.pth")


def _state(_folder, file):
    read_state(file)


def _archive(folder):
    for name, kind in (("stored", zipfile.ZIP_STORED), ("packed", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(folder / f"{name}.zip", "w", kind) as archive:
            archive.writestr("data/", "")
            archive.writestr("data/a.txt", "words " * 20)
            archive.writestr("data/deeper/b.bin", bytes(range(200)))


def _unpacked(folder, file):
    unpack(file, folder.parent / "unpacked")
    for path in sorted((folder.parent / "unpacked").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder.parent / "unpacked").rmdir()


def _record(folder):
    good_record(folder / "r1", summed=True)


def _summed_again(folder):
    write_sums(folder / "r1", files_of(folder / "r1"))


def _rows(folder, _file):
    read_record(folder / "r1")


def _config(folder, _file):
    read_config(folder / "r1" / "manifest.json")


def _settings(folder):
    (folder / "s.toml").write_text(TOML)
    (folder / "s.yaml").write_text(YAML)
    config = configure("phantom", "quick").model_dump(mode="json")
    (folder / "manifest.json").write_text(json.dumps({"config": config}, indent=1))


def _configured(_folder, file):
    configure(None, None, file)


def _grid(folder):
    (folder / "grid.toml").write_text(GRID)


def _runs(_folder, file):
    expand(read_grid(file))


def _network():
    network = torch.nn.Linear(3, 2)
    return network, torch.optim.Adam(network.parameters())


def _work(folder):
    """What runs leave where no checksum is: leases, notes, what work was begun, what it took."""
    network, optimiser = _network()
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    save_checkpoint(folder / CHECKPOINT, network, [[1.0, 0.5]], optimiser)
    with Leases() as leases:
        leases.take(folder / "lease")
        text = (folder / "lease").read_bytes()
    (folder / "lease").write_bytes(text)
    Store(folder / "store").get(ask({"a": 1}), write("x"))
    notes = Notes(configure("phantom", "smoke"), folder)
    notes.choose()
    notes.keep(Place(0, 0), [Done("a", failures={"cam": "no"}), Done("b", fault="no memory")])


def _found(folder, _file):
    network, optimiser = _network()
    notes = Notes(configure("phantom", "smoke"), folder)
    holder_of(folder / "lease")
    notes.chosen()
    str([(done.name, done.fault, dict(done.failures)) for done in notes.of(Place(0, 0))])
    for made in (folder / "store").glob("*/*"):
        read_made(made)
        fault_of(made)
    read_history(folder / CHECKPOINT)
    load_checkpoint(folder / CHECKPOINT, network, optimiser)


#: Everything that reads, by name. Formats and data sets are walked through; the rest is one list.
READERS = {
    **{
        kind.name: Reader(partial(_volumes, kind.suffixes), (_volume, _reference, _maps, _labels))
        for kind in FORMATS
    },
    "DICOM": Reader(_series, (_slices,)),
    "arrays": Reader(_arrays, (_maps, _labels, _stored)),
    "data sets": Reader(_layouts, (_dataset,)),
    "patients": Reader(_patients, (_of_cases,)),
    "weights": Reader(_weights, (_state,)),
    "archives": Reader(_archive, (_unpacked,)),
    "records": Reader(_record, (_rows, _config), _summed_again),
    "settings": Reader(_settings, (_configured,)),
    "grids": Reader(_grid, (_runs,)),
    "work": Reader(_work, (_found,)),
}
