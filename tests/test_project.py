"""The project as packages, systems and readers meet it: dependencies, version, licence, files."""

import ast
import hashlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions, version

import pytest
import yaml
from packaging.requirements import Requirement

import camzoo
from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
#: What is ours, and is in no package index.
OWN = {"camzoo", "camzoo_baselines", "tests", "benchmarks"}
#: Declared though no import names them, and why.
NOT_IMPORTED = {
    "pytest-xdist": "make test runs on all cores",
    "pytest-benchmark": "its fixture is named, not imported",
    "playwright": "tests in a browser ask for it, and are skipped without it",
    "ruff": "a program",
    "mypy": "a program",
    "pandas-stubs": "types of pandas",
    "scipy-stubs": "types of scipy",
    "types-pyyaml": "types of yaml",
    "setuptools": "the example plug-in is built with it, without a network",
    "threadpoolctl": "benchmarks and tests hold other libraries to one thread",
    "pre-commit": "a program",
    "nbclient": "a program",
}
#: Modules of the standard library that are not on every system.
POSIX_ONLY = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix")


def normal(name):
    """A package name as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def named(requirements):
    return {normal(re.match(r"[\w.-]+", text)[0]) for text in requirements}


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def called(node):
    """Name of the function or method that a node calls; None for any other node."""
    if not isinstance(node, ast.Call):
        return None
    return getattr(node.func, "attr", getattr(node.func, "id", None))


def third_party(*folders):
    """Distributions that the code in some folders imports."""
    tops = set()
    for path in sources(*folders):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                tops |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                tops.add(node.module.partition(".")[0])
            elif called(node) == "import_module" and isinstance(node.args[0], ast.Constant):
                tops.add(node.args[0].value.partition(".")[0])
    tops -= {*sys.stdlib_module_names, *OWN}
    known = packages_distributions()
    return {top: {normal(name) for name in known.get(top, [top])} for top in sorted(tops)}


def test_what_camzoo_imports_is_what_it_declares():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    declared = named([*project["dependencies"], *extras["ray"], *extras["sam"], *extras["slurm"]])
    imported = third_party("camzoo", "baselines")
    missing = {top for top, names in imported.items() if not names & declared}
    assert missing == set(), "imported, but not declared in pyproject.toml"
    assert declared - set().union(*imported.values()) == set(), "declared, but never imported"


def test_what_tests_and_benchmarks_import_is_declared():
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    optional = [text for name in ("dev", "docs", "peers", "sam") for text in extras[name]]
    declared = named([*project["dependencies"], *optional])
    imported = third_party("tests", "benchmarks")
    missing = {top for top, names in imported.items() if not names & declared}
    # torch brings these along, and the project uses what torch was built for
    assert missing <= {"torchvision"}
    used = set().union(*imported.values(), *third_party("camzoo", "baselines").values())
    assert named(extras["dev"]) - used - set(NOT_IMPORTED) == set(), "declared, never imported"


def test_every_dependency_has_a_least_version_and_what_is_installed_fits():
    for text in PYPROJECT["project"]["dependencies"]:
        requirement = Requirement(text)
        assert str(requirement.specifier), f"{text} has no least version"
        assert requirement.specifier.contains(version(requirement.name), prereleases=True), text


def test_the_version_has_one_source():
    assert "version" not in PYPROJECT["project"]
    assert PYPROJECT["project"]["dynamic"] == ["version"]
    assert PYPROJECT["tool"]["hatch"]["version"]["path"] == "camzoo/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", camzoo.__version__)
    for path in (ROOT / "CITATION.cff", ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        assert f"version: {camzoo.__version__}" not in path.read_text(encoding="utf-8")


def test_the_citation_is_one():
    """The keys that the schema of CFF 1.2 asks for, and no second home of the version."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(cited)
    assert cited["authors"] == [{"name": "The camzoo authors"}]
    assert cited["license"] == PYPROJECT["project"]["license"]
    assert "version" not in cited
    for work in cited["references"]:
        assert {"type", "title", "authors"} <= set(work)
        assert work["type"] in ("article", "conference-paper", "data")
        assert all(set(author) <= {"name", "family-names"} for author in work["authors"])
        assert isinstance(work["year"], int)
        assert re.fullmatch(r"10\.\d{4,9}/\S+", work["doi"]) if "doi" in work else work["url"]


def test_the_data_sets_that_are_cited_are_those_that_are_read():
    from camzoo.registries import datasets

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    facts = " ".join(datasets.get(name).facts.citation for name in datasets)
    for work in cited["references"]:
        if work.get("notes", "").startswith("Data set"):
            assert f"doi:{work['doi']}" in facts
            assert f"{work['authors'][0]['family-names']} et al." in facts


def test_the_licence_is_the_whole_text():
    """The text of apache.org, as distributions ship it: 202 lines with the appendix."""
    text = (ROOT / "LICENSE").read_bytes()
    assert hashlib.sha256(text).hexdigest() == (
        "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    )
    assert PYPROJECT["project"]["license-files"] == ["LICENSE"]


def test_the_changelog_keeps_its_form():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d{2}-\d{2}))?$", text, re.M)
    assert releases[0] == ("Unreleased", "")
    assert all(date for _, date in releases[1:])
    kinds = re.findall(r"^### (.+)$", text, re.M)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_hooks_download_nothing_and_check_what_lint_checks():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    entries = [hook["entry"] for hook in hooks["repos"][0]["hooks"]]
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2]
    for program in ("ruff check", "ruff format", "mypy"):
        assert any(entry.startswith(f"python -m {program}") for entry in entries)
        assert program in lint.partition("\n\n")[0]


def test_continuous_integration_lints_before_it_tests():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make (\w+)$", script, re.M) == ["lint", "test", "docs"]
    for target in ("lint", "test"):  # each makes the environment that it needs
        assert re.search(rf"^{target}: \$\(STAMP\)", (ROOT / "Makefile").read_text("utf-8"), re.M)


def test_nothing_needs_what_only_posix_has():
    """Every module is imported where the modules are missing that Windows lacks."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources("camzoo")
        if path.name != "__main__.py"
    ]
    script = f"""
import sys
import matplotlib, monai, nibabel, pandas, pooch, pyarrow, rich, scipy, timm, torch, typer
import pytorch_grad_cam, SimpleITK  # may use what there is; only camzoo is asked
for name in {POSIX_ONLY}:
    sys.modules[name] = None
from importlib import import_module
for name in {names}:
    import_module(name)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", sources("camzoo", "baselines"), ids=lambda path: path.stem)
def test_text_is_read_and_written_as_utf_8(path):
    """Without an encoding Windows takes that of its language; ruff overlooks some paths."""
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        words = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
        text = node.func.attr in ("read_text", "write_text") or (
            node.func.attr == "open" and words & {"r", "w", "x", "a", "r+", "w+", "a+"}
        )
        said = "encoding" in {word.arg for word in node.keywords} or "utf-8" in words
        assert said or not text, f"{path}:{node.lineno} says no encoding"
