"""Nothing that is read can run code: no pickle, nothing evaluated, YAML of plain values alone."""

import ast

import pytest

from tests.conftest import ROOT

#: What runs code that is in a file.
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "jsonpickle"}
#: Calls that do, by the last parts of their names; and those that are no methods of anything.
READERS = ("read_pickle", "marshal.loads", "marshal.load", "yaml.load", "yaml.unsafe_load")
BUILT_IN = ("eval", "exec")


def unsafe(text):
    """What a module does that could run code from a file, line by line."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (f"{node.lineno}: {n.name}" for n in node.names if n.name in UNSAFE)
        elif isinstance(node, ast.ImportFrom) and node.module in UNSAFE:
            # An exception that a reader raises may be named.
            names = {alias.name for alias in node.names} - {"UnpicklingError"}
            yield from (f"{node.lineno}: {node.module}.{name}" for name in names)
        elif isinstance(node, ast.Call):
            yield from _unsafe_call(node)


def _unsafe_call(node):
    name = ast.unparse(node.func)
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if name == "torch.load" and given.get("weights_only") != "True":
        yield f"{node.lineno}: torch.load without weights_only=True"
    if given.get("allow_pickle", "False") != "False":
        yield f"{node.lineno}: {name} with allow_pickle"
    if f".{name}".endswith(tuple(f".{reader}" for reader in READERS)) or name in BUILT_IN:
        yield f"{node.lineno}: {name}"


def test_no_file_can_run_code():
    paths = [p for folder in ("camzoo", "baselines") for p in sorted((ROOT / folder).rglob("*.py"))]
    found = {path: list(unsafe(path.read_text(encoding="utf-8"))) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}
    assert len(found) > 300


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pickle", True),
        ("from pickle import loads", True),
        ("from pickle import UnpicklingError", False),
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=False)", True),
        ("torch.load(path, weights_only=True)", False),
        ("np.load(path, allow_pickle=True)", True),
        ("np.load(path, allow_pickle=False)", False),
        ("np.load(path)", False),  # numpy's default is to refuse
        ("pd.read_pickle(path)", True),
        ("yaml.load(text, Loader=yaml.Loader)", True),
        ("yaml.safe_load(text)", False),
        ("eval(text)", True),
        ("network.eval()", False),
    ],
)
def test_what_could_is_seen(text, found):
    assert bool(list(unsafe(text))) is found
