import pytest

from camzoo.errors import ConfigError, UnknownNameError
from camzoo.registry import Registry


def registry() -> Registry[type]:
    return Registry("shape", group="camzoo.test-shapes")


def test_decorator_registers_and_returns_the_object():
    shapes = registry()

    @shapes.register("square")
    class Square:
        pass

    assert shapes.get("square") is Square
    assert "square" in shapes
    assert shapes.names("sq*") == ["square"]
    assert list(shapes) == ["square"]


def test_a_taken_name_says_who_has_it():
    shapes = registry()
    shapes.register("a", int)
    with pytest.raises(ConfigError, match=r"'a' is taken by builtins:int; builtins:float"):
        shapes.register("a", float)


def test_registering_the_same_object_twice_is_harmless():
    shapes = registry()
    shapes.register("a", int)
    shapes.register("a", int)
    assert shapes.get("a") is int


def test_an_unknown_name_suggests_the_nearest():
    shapes = registry()
    shapes.register("grad-cam", int)
    with pytest.raises(UnknownNameError, match="unknown shape 'gradcam'; did you mean grad-cam"):
        shapes.get("gradcam")
    with pytest.raises(UnknownNameError, match="known: grad-cam"):
        shapes.get("zzz")


def test_a_lazy_target_is_imported_on_demand_and_may_register_itself():
    shapes = registry()
    shapes.register("path", "pathlib:Path")
    from pathlib import Path

    shapes.register("path", Path)  # what a decorator in that module would do
    assert shapes.get("path") is Path
    assert shapes.origin("path").startswith("pathlib")


def test_a_broken_target_breaks_its_own_name_only():
    shapes = registry()
    shapes.register("broken", "no_such_module:Thing")
    shapes.register("fine", int)
    assert shapes.names() == ["broken", "fine"]
    assert shapes.get("fine") is int
    with pytest.raises(ConfigError, match=r"'broken' cannot be loaded from 'no_such_module:Thing'"):
        shapes.get("broken")


def test_installed_packages_add_names(tmp_path, monkeypatch):
    info = tmp_path / "shapes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shapes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[camzoo.test-shapes]\nround = pathlib:PurePath\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from pathlib import PurePath

    assert registry().get("round") is PurePath
