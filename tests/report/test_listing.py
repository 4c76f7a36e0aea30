import io
import json

import pytest
from rich.console import Console

from camzoo.core.console import make_console
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.registry import Place
from camzoo.registries import REGISTRIES, cams, steps
from camzoo.report.listing import entries, listing


def shown(*what, width=80, **options):
    """What is printed, line by line."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(*listing(*what, width, **options), sep="\n", highlight=False)
    return console.export_text().splitlines()


def words(lines):
    return " ".join(" ".join(lines).split())


@pytest.mark.parametrize("width", [80, 120, 10_000])
@pytest.mark.parametrize("kind", REGISTRIES)
def test_every_name_has_a_line_and_no_word_is_lost_or_broken(kind, width):
    lines = shown(kind, "*", width=width, every=True)
    assert max(map(len, lines)) <= width
    registry = REGISTRIES[kind]
    for name in registry.names():
        assert sum(line.startswith(f" {name} ") for line in lines) == 1, name
    column = lines[2].index("title" if kind == "datasets" else "what it does")
    if width == 10_000:
        for name in registry.names():
            description = registry.describe(name)
            line = next(line for line in lines if line.startswith(f" {name} "))
            told = description.facts.get("facts.title", description.summary)
            assert line[column:].startswith(told) or told in line
    else:  # at most the text of a sentence in a cell, and never a word a line
        text = [line[column:].strip() for line in lines[4:]]
        assert len([line for line in text if line]) <= 4 * len(registry.names()) + 12


def test_narrow_tables_leave_the_paper_to_the_details():
    assert "paper" not in words(shown("cams", "*")[:4])
    assert "Zhou et al., CVPR 2016, eq. 2" in words(shown("cams", "*", width=120))
    assert "Zhou et al., CVPR 2016, eq. 2" in words(shown("cams", "cam"))


def test_wrapped_classes_stand_behind_one_line_unless_asked_for():
    wrapped = cams.names("gradcam:*")
    lines = shown("cams", "*")
    assert not any("gradcam:GradCAM " in line for line in lines)
    assert f"and {len(wrapped)} classes of pytorch-grad-cam" in words(lines)
    everything = shown("cams", "*", every=True)
    for asked in (everything, shown("cams", "gradcam:*"), shown("gradcam*", "*")):
        assert sum(line.startswith(" gradcam:") for line in asked) == len(wrapped)
        assert "classes of pytorch-grad-cam, as" not in words(asked)


def test_all_about_one_name():
    text = words(shown("lpcam", "*"))
    assert "CAM method lpcam what it does Mean cosine with the prototypes" in text
    assert "needs fit yes" in text
    assert "code camzoo.cams.methods.lpcam:Lpcam package camzoo" in text
    text = words(shown("cc", "*"))
    assert "settings map=A grid=64 dim=16 faithful=false" in text
    both = words(shown("random", "*"))
    assert "CAM method random" in both
    assert "baseline random" in both
    assert "short for cam[cc,ac,aff]" in words(shown("cams", "c-cam"))
    assert "variant=prostate patients=24" in words(shown("datasets", "phantom"))


def test_entries_are_the_same_as_json():
    found = json.loads(json.dumps(entries("*", "*"), allow_nan=False))
    for kind, registry in REGISTRIES.items():
        assert set(registry) <= {entry["name"] for entry in found[kind]}
    (fem,) = entries("fem", "*")["cams"]
    assert fem["class_specific"] is False
    assert fem["package"] == "camzoo"
    (phantom,) = entries("datasets", "phantom")["datasets"]
    assert phantom["settings"]["patients"] == 24
    assert phantom["licence"] == "Apache-2.0"
    with pytest.raises(ConfigError, match="no steps match"):
        entries("steps", "x*")


def test_a_pattern_without_a_kind_looks_through_all():
    text = words(shown("*c-cam*", "*"))
    assert "CAM methods" in text
    assert "Baselines" in text
    assert "Data sets" not in text


def test_what_there_is_not():
    with pytest.raises(UnknownNameError, match="unknown kind or name 'camms'; did you mean cam"):
        shown("camms", "*")
    with pytest.raises(UnknownNameError, match="known: cams, steps, baselines, datasets"):
        shown("qqqqqq", "*")
    with pytest.raises(ConfigError, match=r"no steps match 'x\*'; `camzoo list steps` shows all"):
        shown("steps", "x*")
    with pytest.raises(ConfigError, match=r"nothing matches 'qq\*'; camzoo list takes cams, steps"):
        shown("qq*", "*")


def test_a_broken_package_has_a_row_that_says_why():
    with steps.temporary({"lost": Place("nowhere:[red]Any", "somebody's")}):
        text = words(shown("steps", "*", width=1000))
        assert "lost" in text
        assert "of somebody's" in text
        assert "the step 'lost' cannot be loaded from 'nowhere:[red]Any' of somebody's: " in text
        assert "there is no module 'nowhere'" in words(shown("lost", "*", width=1000))


@pytest.mark.parametrize(("columns", "width"), [("100", 100), (None, 10_000), ("wide", 10_000)])
def test_off_a_terminal_nothing_is_cut(monkeypatch, columns, width):
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    assert make_console().width == width


def test_without_any_standard_output_a_console_can_still_be_made(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    make_console().print("unheard")
