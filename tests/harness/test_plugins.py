import linecache
import sys

import pytest

from camzoo.core.errors import ConfigError
from camzoo.harness import source
from camzoo.harness.plugins import (
    find_class,
    hyphenated,
    load_plugins,
    register_place,
    with_plugins,
)
from camzoo.registries import baselines, cams

CAM = '''
from camzoo.cams.base import CamMethod
{before}
class {name}(CamMethod):
    """Energy of the features."""
    {attribute}
    def saliency(self, view):
        return view.features.square().mean(1, keepdim=True).expand(-1, view.logits.shape[1], -1, -1)
'''
BASELINE = """
from camzoo.segment.base import PseudoMaskBaseline
class Blank(PseudoMaskBaseline):
    title = paper = cost = "none"
    def __init__(self, weight: float = 1.0):
        self.weight = weight
    def pseudo_masks(self, context):
        return context.train.images(slice(None)).numpy() * 0
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes modules that are importable from the current folder; all is as before afterwards."""
    monkeypatch.chdir(tmp_path)
    assert "cam" in cams  # looked for the entry points, which happens once
    assert "irnet" in baselines
    before = set(sys.modules), list(sys.path)

    def write(file, name="EnergyCam", before="", attribute="paper = 'none'", text=None):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or CAM.format(name=name, before=before, attribute=attribute))
        return path

    with cams.temporary(), baselines.temporary():
        yield write
    for module in set(sys.modules) - before[0]:
        del sys.modules[module]
    sys.path[:] = before[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [("EnergyCam", "energy-cam"), ("GradCAM", "grad-cam"), ("CAM", "cam"), ("PCam2D", "p-cam2-d"),
     ("lower", "lower"), ("HTTPServer", "http-server")],
)  # fmt: skip
def test_classes_are_called_with_hyphens(name, text):
    assert hyphenated(name) == text


@pytest.mark.parametrize(
    ("text", "names", "places"),
    [
        ("cam,my_cams:EnergyCam", "cam,energy-cam", ("my_cams:EnergyCam",)),
        ("my_cams:EnergyCam", "energy-cam", ("my_cams:EnergyCam",)),
        ("my_cams.py:EnergyCam,cam", "energy-cam,cam", ("my_cams.py:EnergyCam",)),
        ("./my_cams.py:EnergyCam", "energy-cam", ("./my_cams.py:EnergyCam",)),
        ("my_cams:EnergyCam[ac]:tau=0.1", "energy-cam[ac]:tau=0.1", ("my_cams:EnergyCam",)),
        ("my_cams:EnergyCam, my_cams:EnergyCam", "energy-cam,energy-cam", ("my_cams:EnergyCam",)),
        ("c-cam[cc,ac]:map=B", "c-cam[cc,ac]:map=B", ()),
        ("gradcam:GradCAM", "gradcam:GradCAM", ()),
        ("cam:tau", "cam:tau", ()),
        ("all", "all", ()),
    ],
)
def test_places_among_names_become_names(write, text, names, places):
    write("my_cams.py")
    assert with_plugins(text, cams) == (names, places)
    if places:
        assert cams.get("energy-cam").__name__ == "EnergyCam"


def test_a_file_elsewhere_is_found_with_what_lies_beside_it(write):
    write("far/away/helper.py", text="FACTOR = 2\n")
    path = write("far/away/my_cams.py", before="from helper import FACTOR")
    assert with_plugins(f"{path}:EnergyCam", cams) == ("energy-cam", (f"{path}:EnergyCam",))


def test_baselines_by_place_keep_their_settings(write):
    write("my_base.py", text=BASELINE)
    assert with_plugins("my_base:Blank:weight=0.5,supervised", baselines) == (
        "blank:weight=0.5,supervised",
        ("my_base:Blank",),
    )


def test_the_name_of_its_own_or_of_its_registration_is_kept(write):
    write("named.py", attribute="name = 'by-attribute'")
    assert register_place("named:EnergyCam") == "by-attribute"
    write(
        "decorated.py",
        before="from camzoo.cams.base import register_cam\n@register_cam('by-decorator')",
    )
    assert register_place("decorated:EnergyCam") == "by-decorator"
    assert register_place("decorated:EnergyCam") == "by-decorator"


@pytest.mark.parametrize(
    ("file", "text", "place", "message"),
    [
        (None, None, "no_such_module:X", "ModuleNotFoundError: No module named 'no_such_module'"),
        (None, None, "no/such/file.py:X", "there is no file"),
        ("m.py", "x = 1\n", "m:EnergyCam", "m has no class 'EnergyCam'; there is none"),
        ("m.py", "class A: ...\nclass B: ...\n", "m:C", "there are A, B"),
        ("m.py", "EnergyCam = 3\n", "m:EnergyCam", "is no class, but of type int"),
        ("m.py", "class A: ...\n", "m:A", "no subclass of CamMethod, MapStep, Baseline, Dataset"),
        ("m.py", "def f(:\n", "m:A", "SyntaxError"),
        ("m.py", "raise RuntimeError('boom')\n", "m:A", "RuntimeError: boom"),
        ("m.py", "import sys\nsys.exit(3)\n", "m:A", "SystemExit: 3"),
        ("m.py", "raise KeyError('k')\n", "m.py:A", "KeyError: 'k'"),
        ("m.py", CAM.format(name="GradCam", before="", attribute=""), "m:GradCam", "is taken by"),
        ("json.py", CAM.format(name="A", before="", attribute=""), "json.py:A", "rename the file"),
        ("m.py", "x = 1\n", "m:", "give module:Class"),
    ],
)
def test_what_is_no_plugin_is_refused_in_one_line(write, file, text, place, message):
    if file:
        write(file, text=text)
    with pytest.raises(ConfigError) as refused:
        load_plugins([place])
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_code_of_a_plugin_and_of_what_lies_beside_it_is_in_its_digest(write):
    def digest(factor, words=""):
        """As a new process has it: each module is read once per process."""
        write("helper.py", text=f"FACTOR = {factor}\n")
        write("own.py", before=f"from helper import FACTOR\n# {words}")
        for module in ("helper", "own"):
            sys.modules.pop(module, None)
        for cached in (
            source._closure, source._source_around, source._source_of, source._imported,
            source._beside,
        ):  # fmt: skip
            cached.cache_clear()
        linecache.clearcache()
        return source.code_of(find_class("own:EnergyCam"))["source"]

    first = digest(2)
    assert digest(2, "words do not count") == first
    assert digest(31) != first
