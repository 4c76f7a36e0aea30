"""The code keeps to docs/architecture.md: who imports whom, how long functions are, what is there.

The order of the rooms is read from the page, so neither can change without the other.
"""

import ast
import re
from contextlib import ExitStack

import numpy as np
import pytest
import torch

from camzoo.cams.compute import compute_cams
from camzoo.conformance.cams import check_method
from camzoo.harness.run import bench
from camzoo.metrics import CaseReference
from camzoo.registries import REGISTRIES, baselines, cams, executors
from tests.cams.networks import GivenFeatures
from tests.conftest import ROOT
from tests.harness.test_run import TINY
from tests.segment.toy import toy_context
from tests.steps.ccam.test_steps import BRIGHT, run

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROOMS = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Rooms")[2].partition("\n## ")[0], re.M)
#: Who may import every room, and is imported by none.
DOORS = {"__init__", "__main__", "errors"}
LONGEST = 60
PLACES = {
    name: re.sub(r"^```.*\n|^\n", "", text, flags=re.MULTILINE).splitlines()
    for name, text in re.findall(
        r"^### (.+)\n((?:.*\n)*?)(?=^##|\Z)",
        PAGE.partition("## Where a new one goes")[2],
        re.MULTILINE,
    )
}


def parsed(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree):
    """Modules that a file imports anywhere, for type checkers alone, too; with names of each."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the whole name of the module"
            yield node.module, tuple(alias.name for alias in node.names)


def upwards(room, tree):
    """What of camzoo a file of a room imports that does not stand below it."""
    for module, names in imports(tree):
        top, _, rest = module.partition(".")
        if top != "camzoo" or (not rest and names == ("__version__",)):
            continue
        # ``from camzoo import metrics`` names a room, too; ``import camzoo`` names the door.
        for target in [rest.partition(".")[0]] if rest else names or ["__init__"]:
            if target not in ROOMS or ROOMS.index(target) < ROOMS.index(room):
                yield f"{module} {' '.join(names)}".strip()


def test_the_page_names_every_room_and_no_other():
    there = {path.stem for path in (ROOT / "camzoo").iterdir() if path.suffix in ("", ".py")}
    assert set(ROOMS) == there - DOORS - {"__pycache__"}
    assert len(ROOMS) == len(set(ROOMS))


def test_no_import_runs_upwards():
    wrong = [
        f"{path} imports {what}"
        for path, tree in parsed("camzoo")
        if (room := path.relative_to("camzoo").with_suffix("").parts[0]) not in DOORS
        for what in upwards(room, tree)
    ]
    assert wrong == [], "see the order of the rooms in docs/architecture.md"


@pytest.mark.parametrize(
    ("room", "text", "count"),
    [
        ("cams", "from camzoo.steps.base import MapStep", 1),
        ("cams", "def f():\n    import camzoo.harness.run", 1),
        ("cams", "if TYPE_CHECKING:\n    from camzoo.segment.base import Baseline", 1),
        ("cams", "from camzoo import metrics, registries", 1),
        ("cams", "from camzoo.cams.base import A\nfrom camzoo.core.errors import DataError", 0),
        ("cams", "import torch\nfrom camzoo import __version__", 0),
        ("cams", "import camzoo", 1),
        ("cli", "from camzoo import CamMethod", 1),
        ("cli", "from camzoo.errors import DataError", 1),
        ("core", "from camzoo.config import BenchConfig", 1),
        ("registries", "from camzoo.segment.registry import baselines", 0),
    ],
)  # fmt: skip
def test_imports_that_run_upwards_are_found(room, text, count):
    assert len(list(upwards(room, ast.parse(text)))) == count


def test_camzoo_never_imports_its_baselines():
    for path in (ROOT / "camzoo").rglob("*.py"):
        assert "camzoo_baselines" not in path.read_text(encoding="utf-8"), path


def test_no_function_is_long():
    long = [
        f"{path}:{node.lineno} {node.name} has {length} lines"
        for folder in ("camzoo", "baselines")
        for path, tree in parsed(folder)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := node.end_lineno - node.lineno + 1) > LONGEST
    ]
    assert long == []


def test_files_and_folders_that_the_page_names_are_there():
    for name in re.findall(r"`((?:camzoo|baselines|tests)/[\w/.]+)`", PAGE):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("name", PLACES)
def test_ten_lines_say_where_a_new_one_goes(name):
    assert 0 < len(PLACES[name]) <= 10


def test_there_is_a_place_for_all_that_can_be_plugged_in():
    kinds = {registry.kind.removesuffix(" method") for registry in REGISTRIES.values()}
    assert {f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}" for kind in kinds} <= set(PLACES)


@pytest.fixture
def examples():
    """What the page registers, known while a test runs."""
    with ExitStack() as stack:
        for registry in REGISTRIES.values():
            stack.enter_context(registry.temporary())
        names = {"__name__": "architecture"}
        for block in re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
            exec(block, names)
        yield


def test_the_cam_of_the_page(examples):
    """Two channels (1, 5) and (2, 4): (1 + 4) / 2 and (25 + 16) / 2."""
    images = torch.tensor([[[[1.0, 5.0]], [[2.0, 4.0]]]])
    maps = compute_cams(GivenFeatures([[3.0, -2.0]]), images, "channel-energy")["channel-energy"]
    assert maps.tolist() == [[[[2.5, 20.5]]]]
    assert [r.message for r in check_method(cams.get("channel-energy")) if not r.passed] == []


def test_the_step_of_the_page(examples, tmp_path):
    """The bright organ is 1 where it is and 0.4 in a corner."""
    source, out, _ = run("floor", tmp_path, level=0.5)
    assert source.maps[1, 0].max() == 1
    assert np.isclose(source.maps[1, 0, 28:, 28:], 0.4, atol=1e-3).all()
    expected = np.zeros((32, 32))
    expected[BRIGHT] = 1
    assert out.maps[1, 0].tolist() == expected.tolist()


def test_the_baseline_of_the_page(examples, tmp_path):
    context = toy_context(tmp_path)
    baseline = baselines.get("whole-slice")()
    baseline.fit(context)
    first = context.train.tags[:, 0]
    assert first.any()
    assert not first.all()
    assert (baseline.pseudo == first[:, None, None]).all()


def test_the_metric_of_the_page(examples):
    reference = np.zeros((4, 8, 6), bool)
    reference[1:3, 2:5, 2:4] = True  # 12 voxels
    prediction = reference.copy()
    prediction[:, 4] = False  # 8 of them
    (row,) = CaseReference(reference, spacing=(3.0, 0.5, 0.7)).measure(prediction)
    assert row["volume_ratio"] == pytest.approx(2 / 3)


def test_the_executor_of_the_page(examples, tmp_path):
    alone = bench(TINY, tmp_path / "alone")
    result = bench(TINY, tmp_path / "in-turn", executor=executors.get("in-turn")())
    assert result.made == alone.made
    assert result.rows.equals(alone.rows)
