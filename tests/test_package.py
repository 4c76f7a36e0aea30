"""The public face: names, their homes, what importing them costs."""

import ast
import inspect
import re
import subprocess
import sys
import types
from importlib import import_module
from pathlib import Path

import pytest

import camzoo
import camzoo.metrics
from camzoo.core.errors import CamzooError
from camzoo.core.lazy import homes_of
from tests.conftest import ROOT

FACES = (camzoo, camzoo.metrics)
NAMES = [(face, name) for face in FACES for name in face.__all__]


def python(script):
    """Run a script in a process of its own; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(("face", "name"), NAMES)
def test_every_public_name_is_there(face, name):
    found, home = getattr(face, name), homes_of(face.__name__)[name]
    if isinstance(found, types.ModuleType):
        assert found is import_module(home)
    else:
        assert found is getattr(import_module(home), name)
    assert name in dir(face)


@pytest.mark.parametrize("face", FACES)
def test_type_checkers_are_told_the_same_names(face):
    tree = ast.parse(inspect.getsource(face))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    told = {}
    for node in block.body:
        for alias in node.names:
            assert alias.asname is not None  # what is no alias is no export to them
            told[alias.asname] = (node.module, alias.name)
    homes = homes_of(face.__name__)
    assert set(told) == set(homes)
    for name, (module, original) in told.items():
        assert homes[name] in (module, f"{module}.{original}")


def test_the_guide_to_plugins_lists_what_a_plugin_needs():
    """All names but those of the program itself: its two commands and what they take and give."""
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    table = page.partition("| for | names |")[2].partition("\n\n")[0]
    listed = set(re.findall(r"`(\w+)`", table))
    program = {"BenchConfig", "BenchResult", "Scores", "bench", "compute_cams", "overlay", "score"}
    assert listed == set(camzoo.__all__) - program


@pytest.mark.parametrize(("face", "name"), NAMES)
def test_no_module_takes_the_place_of_a_public_name(face, name):
    """Importing camzoo/score.py would make camzoo.score the module and no longer the function."""
    (folder,) = map(Path, face.__path__)
    if (folder / f"{name}.py").exists() or (folder / name).is_dir():
        assert isinstance(getattr(face, name), types.ModuleType)


def test_score_is_the_function_before_and_after_its_module_was_imported():
    script = """
import camzoo
print(type(camzoo.score).__name__)
import camzoo.evaluate.scoring, camzoo.cli.score, camzoo.cams.methods.score_cam
print(type(camzoo.score).__name__, type(camzoo.bench).__name__, type(camzoo.metrics).__name__)
from camzoo import score
print(type(score).__name__)
"""
    assert python(script) == ["function", "function", "function", "module", "function"]


@pytest.mark.parametrize("face", FACES)
def test_an_unknown_name_is_an_attribute_error(face):
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        face.nothing  # noqa: B018


@pytest.mark.parametrize("module", ["camzoo", "camzoo.metrics"])
def test_importing_the_face_imports_nothing_heavy(module):
    heavy = ["torch", "pandas", "numpy", "scipy", "pydantic", "rich", "typer"]
    script = f"import sys, {module}; dir({module}); print([m for m in {heavy} if m in sys.modules])"
    assert python(script) == ["[]"]


def test_errors_are_of_one_family():
    assert issubclass(camzoo.ConfigError, CamzooError)
    assert camzoo.CamzooError is CamzooError


def test_camzoo_is_typed_and_a_program():
    assert (ROOT / "camzoo" / "py.typed").exists()
    command = [sys.executable, "-m", "camzoo", "--help"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert "bench" in done.stdout
