"""The hash of a method's code changes with what it does and with nothing else."""

import importlib
import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version
from itertools import count

import pytest

from camzoo.harness import source
from camzoo.harness.source import _source_of, code_of
from camzoo.registries import steps

ORIGINAL = '''
"""About the module."""
import math


class Method:
    """About the class."""

    power = 2

    def saliency(self, view):
        """About the function."""
        return math.sqrt(view) ** self.power  # a comment
'''
_NUMBERS = count()


def source_digest(written):
    """Hash of the code behind one class or function, read anew."""
    source._closure.cache_clear()
    (digest,) = code_of(written)["source"]
    return digest


@pytest.fixture
def digest(tmp_path):
    """Hash of the class ``Method`` of a module with the given text."""

    def of(text):
        path = tmp_path / f"written_{next(_NUMBERS)}.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(sys.modules, path.stem, module)
            spec.loader.exec_module(module)
            return source_digest(module.Method)

    return of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("About the module.", "Other words."),
        ("About the class.", "Other words."),
        ('        """About the function."""\n', ""),
        ("  # a comment", ""),
        ("    power = 2\n", '    power = 2\n    """About the attribute."""\n'),
        (
            "math.sqrt(view) ** self.power",
            "(\n            math.sqrt(view)\n            ** self.power)",
        ),
    ],
)
def test_words_and_layout_do_not_count(digest, old, new):
    assert old in ORIGINAL
    assert digest(ORIGINAL.replace(old, new)) == digest(ORIGINAL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("power = 2", "power = 3"),
        ("math.sqrt(view)", "math.exp(view)"),
        ("** self.power", "* self.power"),
        ("import math\n", "import math\n\nHELPER = 'text that code may read'\n"),
        ("        return math", "        view = view + 1\n        return math"),
    ],
)
def test_code_counts_wherever_it_stands_in_the_module(digest, old, new):
    assert old in ORIGINAL
    assert digest(ORIGINAL.replace(old, new)) != digest(ORIGINAL)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A package of three modules, of which the first imports the second, and that the third."""
    package = f"plugin_{next(_NUMBERS)}"
    (tmp_path / package).mkdir()
    files = {
        "__init__": "",
        "method": "from . import near\n\n\nclass Method:\n    saliency = near.near\n",
        "near": f"import math\n\nfrom {package}.far import FAR\n\nnear = math.sqrt(FAR)\n",
        "far": "FAR = 2\n",
        "other": "OTHER = 2\n",
    }
    for name, text in files.items():
        (tmp_path / package / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return package, tmp_path / package


def in_a_process(module, folder, words="print(code_of(Method)['source'])"):
    """What a process says of a class in a module beside ``folder``; each reads a module once."""
    script = f"from camzoo.harness.source import code_of\nfrom {module} import Method\n{words}"
    path = os.pathsep.join([str(folder.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return done.stdout.strip()


def test_code_that_is_imported_counts_however_far(plugin):
    package, folder = plugin
    before = in_a_process(f"{package}.method", folder)
    (folder / "other.py").write_text("OTHER = 3\n", encoding="utf-8")  # imported by none
    (folder / "far.py").write_text("FAR = 2  # the same\n", encoding="utf-8")
    assert in_a_process(f"{package}.method", folder) == before
    (folder / "far.py").write_text("FAR = 3\n", encoding="utf-8")
    assert in_a_process(f"{package}.method", folder) != before


@pytest.mark.parametrize("text", ["from .far import FAR\n", "from . import far\n"])
def test_what_the_package_itself_imports_from_beside_it_counts(plugin, text):
    """In ``__init__.py`` one dot is the package, in its other modules their parent."""
    package, folder = plugin
    (folder / "__init__.py").write_text(text, encoding="utf-8")
    (folder / "method.py").write_text(f"import {package}\n\nclass Method: ...\n", encoding="utf-8")
    before = in_a_process(f"{package}.method", folder)
    (folder / "far.py").write_text("FAR = 3\n", encoding="utf-8")
    assert in_a_process(f"{package}.method", folder) != before


@pytest.mark.parametrize("edited", ["near.py", "helpers/deep.py"])
def test_what_lies_beside_a_plug_in_of_one_file_counts(tmp_path, edited):
    """And libraries count by their versions: to look for what is in them would import them."""
    (tmp_path / "helpers").mkdir()
    for name in ("near.py", "helpers/__init__.py", "helpers/deep.py"):
        (tmp_path / name).write_text("VALUE = 1\n", encoding="utf-8")
    (tmp_path / "one.py").write_text(
        "import near\nfrom helpers.deep import VALUE\n\n\nclass Method:\n"
        "    def maps(self):\n        from monai.networks.nets.basic_unet import BasicUNet\n",
        encoding="utf-8",
    )
    words = "import sys; print(code_of(Method), 'monai' in sys.modules)"
    before = in_a_process("one", tmp_path / "one", words)
    assert before.endswith("False")
    assert f"'monai': {version('monai')!r}" in before
    (tmp_path / edited).write_text("VALUE = 2\n", encoding="utf-8")
    assert in_a_process("one", tmp_path / "one", words) != before


def test_an_edit_while_a_run_goes_on_names_nothing_anew(plugin):
    package, folder = plugin
    method = importlib.import_module(f"{package}.method").Method
    before = code_of(method)
    (folder / "far.py").write_text("FAR = 3\n", encoding="utf-8")
    assert code_of(method) == before


def test_what_a_step_calls_in_camzoo_counts(monkeypatch):
    step = steps.get("aff")
    before = source_digest(step)
    asked = []

    def edited(name):
        asked.append(name)
        text = _source_of(name)
        return f"{text}\nEDITED = 1\n" if name == "camzoo.refine.random_walk" else text

    monkeypatch.setattr(source, "_source_of", edited)
    assert source_digest(step) != before
    assert {"camzoo.refine.affinity", "camzoo.learning.loop"} <= set(asked)
    assert not {"camzoo.config", "camzoo.core.errors"} & set(asked)


def test_a_class_without_a_source_file_has_a_hash_of_its_own():
    first, second = type("First", (), {}), type("Second", (), {})
    first.__module__ = second.__module__ = "typed_at_a_prompt"
    assert len(source_digest(first)) == 16
    assert source_digest(first) != source_digest(second)


def test_a_class_that_is_typed_anew_with_other_code_has_another_hash():
    def typed(result):
        space = {}
        exec(
            f"class Typed:\n    @staticmethod\n    def maps(view):\n        return view {result}\n",
            {"__name__": "typed_at_a_prompt"}, space,
        )  # fmt: skip
        return space["Typed"]

    assert source_digest(typed("+ 1")) == source_digest(typed("+ 1"))
    assert source_digest(typed("+ 1")) != source_digest(typed("- 1"))
    assert source_digest(typed("+ 1")) != source_digest(typed("+ 2"))


@pytest.mark.parametrize(
    "words",
    [
        "from camzoo import weighting",
        "from camzoo import CamMethod, weighting as sums",
        "import camzoo",
        "import camzoo as zoo",
    ],
)
def test_what_is_imported_through_the_public_face_counts(digest, monkeypatch, words):
    """The package itself imports nothing: its names stand for the modules that they come from."""
    text = ORIGINAL.replace("import math\n", f"import math\n{words}\n")
    before = digest(text)
    read = source._source_of
    edited = "camzoo.cams.weighting"
    monkeypatch.setattr(
        source, "_source_of", lambda name: (read(name) or "") + "\nEDIT = 1" * (name == edited)
    )
    assert digest(text) != before
    assert digest(ORIGINAL) == digest(ORIGINAL)


def test_versions_of_the_libraries_behind_code_stand_beside_its_hash(plugin, monkeypatch):
    """Of those that the modules behind it import, and no others; what only checks is none."""
    package, folder = plugin
    (folder / "far.py").write_text(
        "import json\nimport pydantic\nimport numpy.linalg\nfrom nibabel import load\nFAR = 2\n"
    )
    (folder / "other.py").write_text("import scipy\n")
    method = importlib.import_module(f"{package}.method").Method
    monkeypatch.setattr(source, "installed_version", lambda name: f"version of {name}")
    libraries = {"numpy": "version of numpy", "nibabel": "version of nibabel"}
    assert code_of(method)["libraries"] == libraries


def test_a_library_is_called_by_the_distribution_that_it_comes_from(plugin):
    package, folder = plugin
    text = "class Method:\n    def maps(self):\n        import pytorch_grad_cam, absent_library\n"
    (folder / "method.py").write_text(text)
    code = code_of(importlib.import_module(f"{package}.method").Method)
    assert code["libraries"] == {
        "grad-cam": version("grad-cam"), "absent_library": "not installed",
    }  # fmt: skip
