"""Packages that are broken in every way we could think of: each breaks its own name alone."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from camzoo.core.registry import Place
from camzoo.registries import REGISTRIES, baselines, cams, datasets, steps
from tests.plugins import again, install

GOOD = """
from camzoo.cams.base import CamMethod, register_cam

@register_cam("good-cam")
class Good(CamMethod):
    '''Does what it should.'''

    paper = "no paper"

    def saliency(self, view):
        return view.gradients().sum(2)
"""
META = """
class Meta(type):
    def __getattribute__(self, name):
        raise RuntimeError("hidden")

class Mine(metaclass=Meta):
    pass
"""
#: Source of a module, what its entry point says, and what is said of it.
BROKEN = {
    "runtime": ("raise RuntimeError('out of order')", "Any", "RuntimeError: out of order"),
    "syntax": ("def broken(:", "Any", "SyntaxError"),
    "key": ("{}['absent']", "Any", "KeyError: 'absent'"),
    "exits": ("import sys; sys.exit(3)", "Any", "SystemExit: 3"),
    "exits-well": ("raise SystemExit(0)", "Any", "SystemExit: 0"),
    "base": ("class Odd(BaseException): pass\nraise Odd('odd')", "Any", "Odd: odd"),
    "generator": ("raise GeneratorExit", "Any", "GeneratorExit"),
    "stops": ("next(iter(()))", "Any", "StopIteration"),
    "asserts": ("assert False", "Any", "AssertionError"),
    "needs": ("import no_such_package", "Any", "No module named 'no_such_package'"),
    "os-error": ("open('/no/such/file')", "Any", "No such file or directory: '/no/such/file'"),
    "deep": ("def f(): f()\nf()", "Any", "RecursionError: maximum recursion depth exceeded"),
    "attribute": (GOOD.replace("good-cam", "other-cam"), "Bad", "has no attribute 'Bad'"),
    "gone": ("import sys; del sys.modules[__name__]", "Any", "KeyError"),
    "latin": ("name = 'é'".encode("latin-1"), "Any", "SyntaxError"),
    "null": (b"x = 1\0", "Any", "null bytes"),
    "getattr": ("def __getattr__(name): raise ValueError(name)", "Any", "ValueError: "),
    "function": ("def make(): pass", "make", "expected a subclass of camzoo.cams.base.CamMethod"),
    "number": ("make = 3", "make", "expected a subclass of camzoo.cams.base.CamMethod, got int"),
    "instance": (GOOD.replace("good-cam", "instance-cam") + "\ngood = Good()", "good", "got Good"),
    "no-method": ("class Mine: pass", "Mine", "CamMethod"),
    "step": ("from camzoo.steps.base import MapStep as Mine", "Mine", "CamMethod"),
    "abstract": (
        "from camzoo.cams.base import CamMethod\nclass Mine(CamMethod): pass",
        "Mine", "Mine has no saliency()",
    ),
    "telepathic": (
        GOOD.replace("good-cam", "telepathic").replace("paper =", "supervision = 'telepathy'; x ="),
        "Good", "Good says supervision = 'telepathy', expected Supervision (image, image+size, ",
    ),
    "wordy": (
        GOOD.replace("good-cam", "wordy").replace("paper =", "min_classes = 'two'; x ="),
        "Good", "Good says min_classes = 'two', expected int",
    ),
    "misnamed": (GOOD.replace("good-cam", "other"), "Good", "it calls itself 'other'; the two"),
    "takes-cam": (GOOD.replace("good-cam", "cam"), "Good", "the CAM method name 'cam' is taken by"),
    "silent": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd",
        "Any", "Odd: its message cannot be read",
    ),
    "marked": (
        "raise ValueError('[red]<script>\\n\\x1b[31m' + 9999 * 'x')",
        "Any", "ValueError: [red]<script> ?[31mxxx",
    ),
    "meta": (META, "Mine", "cannot be loaded"),
}  # fmt: skip
#: What stands behind the name of an entry point, where there is no such place.
PLACES = [
    "nowhere:Any",
    "nowhere.at.all:Any",
    "json:",
    ":Any",
    "json",
    "json:a b",
    "..json:x",
    "é!:?",
]


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder of installed packages, which the registries of the program have not seen."""
    for registry in REGISTRIES.values():
        registry.names()
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def fails(registry, name):
    """What is said of a name that cannot be had, after a look at whether the others still can."""
    assert registry.names().count(name) == 1
    fault = registry.imported(name).fault
    assert fault.startswith(f"the {registry.kind} {name!r} cannot be loaded from ")
    assert fault == registry.describe(name).fault
    assert len(fault.splitlines()) == 1
    assert len(fault) < 600
    assert fault.isprintable()
    return fault


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_imported_breaks_its_own_name(packages, name):
    source, attribute, message = BROKEN[name]
    module = f"bad_{name.replace('-', '_')}"
    modules = {module: source, f"fine_{module}": GOOD.replace("good-cam", f"good-{name}")}
    entries = {name: f"{module}:{attribute}", f"good-{name}": f"fine_{module}:Good"}
    install(packages, f"bad-{name}", entries, modules)
    with cams.temporary():  # a module that registers by decorator does so in the registry of all
        registry = again(cams)
        names = registry.names()
        assert registry.describe(name)  # never raises
        fault = fails(registry, name)
        assert message in fault
        assert f" of bad-{name}: " in fault
        assert registry.get(f"good-{name}").paper == "no paper"
        assert registry.get("cam") is cams.get("cam")
        assert registry.names() == names


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", REGISTRIES)
def test_an_entry_point_that_leads_nowhere(packages, kind, place):
    install(packages, "lost", {"lost": place}, group=REGISTRIES[kind].group)
    registry = again(REGISTRIES[kind])
    fails(registry, "lost")
    assert set(registry.names()) == {*REGISTRIES[kind].names(), "lost"}


@pytest.mark.parametrize("name", ["a b", "a,b", "../../a", "[red]a", "a/b", "-a", "a:b:c", "é"])
def test_an_entry_point_without_a_proper_name_is_not_taken(packages, name):
    install(packages, "misnamed", {name: "json:JSONDecoder"}, group="camzoo.steps")
    registry = again(steps)
    assert registry.names() == steps.names()
    (refused,) = registry.refused()
    assert "is no name for a step" in refused


@pytest.mark.parametrize("kind", REGISTRIES)
def test_the_first_of_two_packages_that_claim_a_name_keeps_it(packages, kind):
    group, built_in = REGISTRIES[kind].group, REGISTRIES[kind].names()[0]
    for package in ("first", "second"):
        entries = {"twice": f"{package}_module:Any", built_in: f"{package}_module:Other"}
        install(packages, package, entries, group=group)
    registry = again(REGISTRIES[kind])
    holder, other = ("first", "second") if registry.package("twice") == "first" else (
        "second", "first")  # fmt: skip
    assert registry.place("twice") == f"{holder}_module:Any"
    assert registry.package(built_in) == "camzoo"
    taken = f"the {registry.kind} name {{!r}} is taken by {{}}; {{}} needs another name".format
    ours = f"{registry.place(built_in)} of camzoo"
    assert set(registry.refused()) == {
        taken("twice", f"{holder}_module:Any of {holder}", f"{other}_module:Any of {other}"),
        taken(built_in, ours, f"{holder}_module:Other of {holder}"),
        taken(built_in, ours, f"{other}_module:Other of {other}"),
    }


@pytest.mark.parametrize("text", [b"[camzoo.steps]\nno equals sign\n", b"[camzoo.steps]\n\xff=x:y"])
def test_a_damaged_list_of_entry_points_is_its_package_s_fault_alone(packages, text):
    install(packages, "damaged", text)
    install(packages, "fine", {"fine": "json:JSONDecoder"}, group="camzoo.steps")
    registry = again(steps)
    assert set(registry.names()) == {*steps.names(), "fine"}
    assert registry.package("fine") == "fine"
    (refused,) = registry.refused()
    assert "damaged-1.0.dist-info cannot be read" in refused
    assert set(again(baselines).names()) == set(baselines.names())


def test_ctrl_c_during_an_import_is_no_fault_of_the_package(packages):
    install(
        packages, "slow", {"slow": "slow_module:Any"}, {"slow_module": "raise KeyboardInterrupt"}
    )
    with pytest.raises(KeyboardInterrupt):
        again(cams).get("slow")


def test_what_a_package_changes_on_import_is_put_back(packages):
    source = """
import os, random, numpy, torch
torch.set_default_dtype(torch.float64)
torch.set_default_device("meta")
torch.set_num_threads(torch.get_num_threads() + 1)
torch.set_grad_enabled(False)
torch.use_deterministic_algorithms(True)
torch.set_float32_matmul_precision("medium")
torch.manual_seed(1); random.seed(1); numpy.random.seed(1)
os.chdir("/")
""" + GOOD.replace("good-cam", "meddling")
    install(packages, "meddling", {"meddling": "meddling_module:Good"}, {"meddling_module": source})
    with cams.temporary():
        registry = again(cams)
        before = state()
        assert registry.get("meddling").name == "meddling"
        assert before == state()
    install(packages, "worse", {"worse": "worse_module:Any"}, {"worse_module": source + "\n1 / 0"})
    names = cams.names()
    with cams.temporary({"worse": Place("worse_module:Any", "worse")}):
        assert "ZeroDivisionError" in fails(cams, "worse")
        assert cams.names() == sorted([*names, "worse"])  # what it registered first is gone, too
    assert before == state()
    assert torch.ones(1).device.type == "cpu"


def state():
    return (
        torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(),
        torch.is_grad_enabled(), torch.are_deterministic_algorithms_enabled(),
        torch.get_float32_matmul_precision(), torch.get_rng_state().tolist(), random.getstate(),
        np.random.get_state()[1].tolist(), os.getcwd(),  # noqa: NPY002, PTH109
    )  # fmt: skip


def test_what_is_no_plain_value_is_imported_and_described_in_words(packages):
    source = """
from camzoo.data.datasets import Dataset

class Facts:
    title = "[bold]Mine\\nnot yours"
    licence, where, citation = None, 3, object

class Mine(Dataset):
    facts = Facts()
    def __init__(self, root, *, size=len("four"), **more): ...
    cases = image = label = None
"""
    install(packages, "odd", {"odd": "odd_module:Mine"}, {"odd_module": source}, "camzoo.datasets")
    registry = again(datasets)
    description = registry.describe("odd")
    assert description.fault == ""
    assert description.facts["facts.title"] == "[bold]Mine not yours"
    assert description.facts["facts.where"] == "3"
    assert description.settings["size"] == 4
    install(packages, "bare", {"bare": "bare_module:Mine"},
            {"bare_module": source.replace("facts = Facts()", "")}, "camzoo.datasets")  # fmt: skip
    assert "cannot be described: AttributeError" in again(datasets).describe("bare").fault


@pytest.fixture(scope="module")
def everything_broken(tmp_path_factory):
    """All of the broken packages, and a good one, beside each other."""
    folder = tmp_path_factory.mktemp("packages")
    for name, (source, attribute, _) in BROKEN.items():
        module = f"bad_{name.replace('-', '_')}"
        install(folder, f"bad-{name}", {name: f"{module}:{attribute}"}, {module: source})
    for position, place in enumerate(PLACES):
        install(folder, f"lost-{position}", {f"lost-{position}": place}, group="camzoo.baselines")
    install(folder, "taking", {"cam": "good_module:Good"})
    install(folder, "good", {"good-cam": "good_module:Good"}, {"good_module": GOOD})
    return folder


def camzoo(folder, *words):
    code = "import sys; from camzoo.cli.app import main; main()"
    # Test runners set COLUMNS; without it nothing that is not written to a terminal is cut.
    wide = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, encoding="utf-8",
        env=wide | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("kind", REGISTRIES)
def test_list_goes_on_beside_broken_packages(everything_broken, kind):
    done = camzoo(everything_broken, "list", kind)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for name in REGISTRIES[kind].names("[!g]*"):
        assert f" {name} " in done.stdout
    if kind == "cams":
        assert "Does what it should." in done.stdout
        assert "of good" in done.stdout
        assert "'syntax' cannot be loaded from 'bad_syntax:Any' of bad-syntax: " in done.stdout
        assert "not taken: the CAM method name 'cam' is taken by camzoo.cams." in done.stdout


def test_doctor_gives_every_broken_package_a_line(everything_broken):
    done = camzoo(everything_broken, "doctor")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert "ok      data sets: 5 registered" in done.stdout
    problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    for name, (_, _, message) in BROKEN.items():
        assert any(f"CAM method {name}: " in line and message in line for line in problems), name
    for position in range(len(PLACES)):
        assert any(f"baseline lost-{position}: " in line for line in problems)
    assert not any("good-cam" in line for line in problems)
    assert len(problems) == len(BROKEN) + len(PLACES) + 1  # and the name that is taken


def test_doctor_names_the_package_that_torch_cannot_be_imported_beside(tmp_path):
    """Torch reads the entry points of all packages, too, and does not survive a damaged list."""
    install(tmp_path, "damaged", b"[any]\nno equals sign\n")
    listed = camzoo(tmp_path, "list", "datasets", "p*")
    assert listed.returncode == 0
    assert "damaged-1.0.dist-info cannot be read" in listed.stdout
    done = camzoo(tmp_path, "doctor")
    assert (done.returncode, done.stderr) == (1, "")
    torch_line, package_line = done.stdout.splitlines()
    assert torch_line.startswith("PROBLEM torch: it cannot be imported: TypeError")
    assert package_line.startswith("PROBLEM plug-in: the entry points of ")


def test_an_empty_python_path_finds_no_broken_package():
    done = camzoo("", "list", "cams", "[!g]*")
    assert "cannot be loaded" not in done.stdout
