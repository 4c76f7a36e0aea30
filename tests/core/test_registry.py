import pytest

from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.registry import Place, Registry
from camzoo.registries import REGISTRIES, baselines, cams, datasets, steps
from tests.plugins import install


def registry(**options):
    return Registry("shape", group="camzoo.test-shapes", **options)


class Square:
    """Has four sides.

    And no more.
    """

    def __init__(self, side=2):
        self.side = side


class Circle:
    """Has none."""


class Round:
    """Is registered by an entry point alone."""


def test_the_decorator_registers_names_and_returns_the_class():
    shapes = registry()
    assert shapes.register("square")(Square) is Square
    assert (shapes.get("square"), Square.name) == (Square, "square")
    assert "square" in shapes
    assert shapes.names("sq*") == ["square"]
    assert list(shapes) == ["square"]
    description = shapes.describe("square")
    assert (description.summary, description.settings) == ("Has four sides.", {"side": 2})
    assert shapes.place("square") == f"{__name__}:Square"
    assert shapes.package("square") == ""


def test_a_taken_name_says_who_has_it():
    shapes = registry()
    shapes.register("a")(Square)
    with pytest.raises(ConfigError, match=rf"'a' is taken by {__name__}:Square; .*:Circle needs"):
        shapes.register("a")(Circle)
    assert shapes.get("a") is Square


def test_registering_the_same_class_twice_is_harmless():
    shapes = registry()
    shapes.register("a")(Square)
    shapes.register("a")(Square)
    assert shapes.get("a") is Square


@pytest.mark.parametrize("wrong", [len, 3, "text", None, Square(), Circle])
def test_what_is_no_class_of_the_kind_is_refused(wrong):
    shapes = registry(base=f"{__name__}:Square")
    with pytest.raises(ConfigError, match=rf"expected a subclass of {__name__}.Square, got "):
        shapes.register("a")(wrong)
    assert shapes.names() == []


@pytest.mark.parametrize("name", ["", "a b", "a,b", "../a", "a/b", "[red]a", "a\nb", "-a", "a:b:c"])
def test_what_is_no_name_is_refused(name):
    shapes = registry()
    with pytest.raises(ConfigError, match="is no name for a shape") as refused:
        shapes.register(name)(Square)
    assert "\n" not in str(refused.value)
    assert shapes.names() == []


def test_an_unknown_name_suggests_the_nearest():
    shapes = registry()
    shapes.register("grad-cam")(Square)
    with pytest.raises(UnknownNameError, match="unknown shape 'gradcam'; did you mean grad-cam"):
        shapes.get("gradcam")
    for ask in (shapes.get, shapes.require, shapes.describe, shapes.package, shapes.place):
        with pytest.raises(UnknownNameError, match="known: grad-cam"):
            ask("zzz")


def test_a_place_is_imported_on_demand_and_may_register_itself():
    shapes = registry(sources=[lambda: [("a", Place(f"{__name__}:Circle", "somebody"))]])
    assert shapes.names() == ["a"]
    shapes.register("a")(Circle)  # what a decorator in that module would do
    assert shapes.get("a") is Circle
    assert shapes.package("a") == "somebody"


def test_a_broken_place_breaks_its_own_name_only():
    shapes = registry(sources=[lambda: [("broken", Place("no_such_module:Thing", "somebody"))]])
    shapes.register("fine")(Square)
    assert shapes.names() == ["broken", "fine"]
    assert shapes.get("fine") is Square
    for _ in range(2):
        with pytest.raises(
            ConfigError, match=r"'broken' cannot be loaded from 'no_such_module:Thing' of somebody"
        ):
            shapes.get("broken")
    assert "No module named 'no_such_module'" in shapes.describe("broken").fault


def test_what_is_temporary_is_forgotten():
    shapes = registry()
    shapes.register("square")(Square)

    def fail_within():
        with shapes.temporary({"round": Circle}):
            shapes.register("other")(Circle)
            assert shapes.names() == ["other", "round", "square"]
            assert Circle.name == "other"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert shapes.names() == ["square"]
    with shapes.temporary({"gone": Place("nowhere:Thing", "somebody")}):
        assert shapes.imported("gone").fault
    with (
        pytest.raises(ConfigError, match="is taken"),
        shapes.temporary({"square": Circle}),
    ):
        pass


def test_installed_packages_add_names(tmp_path, monkeypatch):
    entries = {"round": f"{__name__}:Round [extra]"}
    install(tmp_path, "shapes", entries, group="camzoo.test-shapes")
    monkeypatch.syspath_prepend(str(tmp_path))
    shapes = registry()
    assert shapes.package("round") == "shapes"
    assert shapes.get("round") is Round
    assert Round.name == "round"


@pytest.mark.parametrize("kind", REGISTRIES)
def test_what_is_read_from_sources_is_what_importing_gives(kind):
    found = REGISTRIES[kind]
    for name in found.names():
        described = found._read_or_given(name)
        assert described == found.imported(name), name
        assert described.summary.endswith("."), name
        assert described.fault == ""
    assert found.refused() == ()


@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_class_of_the_program_that_has_a_name_is_registered(kind):
    """Also those that a decorator under another name, or in an odd place, would hide."""
    found = REGISTRIES[kind]
    for name in found.names():
        found.get(name)
    module, _, base = found.base.partition(":")
    todo, named = [getattr(__import__(module, fromlist=[base]), base)], {}
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        if "name" in vars(cls) and cls.__module__.startswith(("camzoo.", "camzoo_baselines.")):
            named[cls.name] = cls
    named.pop("", None)
    assert set(found.names()) == set(named)


def test_there_is_something_of_each_kind():
    assert {"cam", "grad-cam++", "centre", "gradcam:GradCAM"} <= set(cams)
    assert set(steps) == {"ac", "aff", "blend", "cc", "prior", "sam"}
    assert {"supervised", "random", "c-cam"} <= set(baselines)
    assert set(datasets) == {"acdc", "chaos", "nnunet", "phantom", "promri"}
    assert cams.describe("cam").facts["class_specific"] is True
    assert cams.describe("gradcam:FEM").facts["class_specific"] is False
    assert baselines.describe("supervised").facts["supervision"] == "mask"
    assert datasets.describe("acdc").facts["facts.title"].startswith("ACDC (")
