from camzoo.registries import baselines, cams
from camzoo.report import fairness
from camzoo.report.fairness import departures, markdown
from tests.conftest import ROOT


def test_the_page_is_that_of_these_classes():
    page = (ROOT / "docs" / "fairness.md").read_text(encoding="utf-8")
    assert page == markdown(), "run camzoo list --fairness > docs/fairness.md"


def test_every_baseline_after_a_paper_says_in_what_it_differs():
    for name in baselines.names():
        own = baselines.place(name).startswith("camzoo_baselines.")
        if own and not baselines.describe(name).facts.get("control"):
            assert departures(baselines.place(name)), name


def test_departures_are_lines_of_the_class_before_those_of_its_module():
    assert departures(cams.place("smooth-grad-cam++")) == [
        "The numerator of a is D2, as in Grad-CAM++; the paper prints D1."
    ]
    found = departures(baselines.place("conta"))
    assert found[0].startswith("The background is one of the n confounders. For one organ alone")
    assert found[-1] == "2 rounds instead of 3."
    assert departures(cams.place("grad-cam")) == []


def test_what_somebody_plugs_in_is_on_the_page():
    class Tuned(cams.get("cam")):
        """CAM | and more."""

        tuned = "a half on | somebody's masks"

        def __init__(self, share: float = 0.5):
            self.share = share

    with cams.temporary({"tuned-cam": Tuned}):
        page = markdown()
    row = r"| `tuned-cam` | image | nothing | `share=0.5` | a half on \| somebody's masks |"
    assert row in page.splitlines()
    assert row not in markdown()


def test_presets_are_there_with_how_long_they_train(monkeypatch):
    lines = markdown().splitlines()
    five, at_least = (
        "5 epochs, at least 600 steps, batch 16",
        "8 epochs, at least 1000 steps, batch 8",
    )
    assert f"| `quick` | acdc, phantom, promri | {five} | {at_least} |" in lines
    monkeypatch.setattr(fairness, "PRESETS", {"paper": fairness.PRESETS["paper"]})
    assert "`quick`" not in markdown()
