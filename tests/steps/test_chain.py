"""How chains are written, labelled and refused."""

import pytest

from camzoo.cams.base import CamMethod, cams
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.spec import Spec, all_settings
from camzoo.core.supervision import Supervision
from camzoo.registries import steps
from camzoo.steps.chain import NAMED, parse_chain
from camzoo.steps.selection import SETS, select_methods


@pytest.mark.parametrize(
    ("text", "label", "head", "names", "variant"),
    [
        ("grad-cam", "grad-cam", "grad-cam", (), ""),
        ("gradcam:GradCAM", "gradcam:GradCAM", "gradcam:GradCAM", (), ""),
        ("p-cam", "cam", "cam", (), ""),
        ("p-cam[ac]", "p-cam[ac]", "cam", ("ac",), ""),
        ("c-cam[cc, ac]", "c-cam[cc,ac]", "cam", ("cc", "ac"), ""),
        ("c-cam", "c-cam", "cam", ("cc", "ac", "aff"), ""),
        ("cam[cc,ac,aff]", "c-cam", "cam", ("cc", "ac", "aff"), ""),
        ("cam[prior]", "prior-only", "cam", ("prior",), ""),
        ("positives-only", "positives-only", "cam", ("cc",), ""),
        ("positives-only:grid=32", "positives-only", "cam", ("cc",), "grid=32"),
        ("layer-cam[ac]:tau=0.1", "layer-cam[ac]", "layer-cam", ("ac",), "tau=0.1"),
        ("c-cam[ac]:tau=0.0", "c-cam[ac]", "cam", ("ac",), ""),
        ("c-cam[cc,ac]:map=B", "c-cam[cc,ac]", "cam", ("cc", "ac"), "map=B oracle-prior"),
        ("cam[cc]:faithful=true", "cam[cc]", "cam", ("cc",), "faithful=true"),
        ("fem:sigmas=3.0", "fem", "fem:sigmas=3", (), "sigmas=3"),
        ("fem:sigmas=2", "fem", "fem", (), ""),
        ("fem:sigmas=3[ac]:tau=0.1", "fem[ac]", "fem:sigmas=3", ("ac",), "fem:sigmas=3 tau=0.1"),
        ("cam[ac:tau=0.1]", "cam[ac]", "cam", ("ac",), "tau=0.1"),
        (
            "c-cam[cc:threshold=0.4, ac]:threshold=0.5",
            "c-cam[cc,ac]",
            "cam",
            ("cc", "ac"),
            "cc:threshold=0.4",
        ),
        ("cam[ac:tau=0.1,aff,ac]", "cam[ac,aff,ac]", "cam", ("ac", "aff", "ac"), "1.ac:tau=0.1"),
    ],
)
def test_what_a_text_means(text, label, head, names, variant):
    chain = parse_chain(text)
    assert (chain.label, str(chain.head), chain.variant) == (label, head, variant)
    assert tuple(step.name for step in chain.steps) == names


@pytest.mark.parametrize("text", [
    *SETS["ablation"], *SETS["table2"], *NAMED, "cam[ac]:tau=0.25", "fem:sigmas=3",
    "cam[cc:threshold=0.4,ac,aff]", "opti-cam:rate=0.2:steps=3[cc:threshold=0.2,ac]:rate=0.5",
    "cam[ac:tau=0.1,ac:tau=0.2]", "gradcam:GradCAM[ac]:tau=0.1",
])  # fmt: skip
def test_what_is_written_means_the_same_again(text):
    chain = parse_chain(text)
    again = parse_chain(str(chain))
    assert (again, str(again)) == (chain, str(chain))
    assert again.variant == chain.variant


def test_settings_reach_every_step_that_has_them():
    causal, anatomy = parse_chain("c-cam[cc,ac]:threshold=0.4:tau=0.1").steps
    assert all_settings(causal, steps)["threshold"] == 0.4
    assert all_settings(anatomy, steps) == {
        "map": "A", "tau": 0.1, "rule": "share", "threshold": 0.4,
    }  # fmt: skip


def test_the_nearest_setting_counts():
    chain = parse_chain("opti-cam:rate=0.2[cc:threshold=0.3,ac]:rate=0.5:threshold=0.4")
    assert chain.head == Spec("opti-cam", (("rate", 0.2),))
    assert [step.settings for step in chain.steps] == [
        (("rate", 0.5), ("threshold", 0.3)), (("threshold", 0.4),),
    ]  # fmt: skip


def test_an_oracle_is_declared():
    assert parse_chain("c-cam[ac]").supervision is Supervision.IMAGE
    assert parse_chain("c-cam[cc,ac]:map=B").supervision is Supervision.MASK


@pytest.mark.parametrize(
    ("declared", "variant"), [("image+seed", "map=B oracle-prior"), ("mask", "map=B")]
)
def test_an_oracle_behind_a_method_is_marked_unless_that_saw_as_much(
    monkeypatch, declared, variant
):
    class Seeing(CamMethod):
        """Never run."""

        supervision = Supervision(declared)
        saliency = None

    with cams.temporary({"seeing": Seeing}):
        chain = parse_chain("seeing[ac]:map=B")
        assert (chain.supervision, chain.variant) == (Supervision.MASK, variant)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cam[ac", r"expected a method like .* got 'cam\[ac'"),
        ("cam[ac]tau=1", "expected a method like"),
        ("cam[ac]:tau", "expected a method like"),
        ("cam:tau=0.1", "unknown setting 'tau' of CAM method cam; known: none"),
        ("fem:sigma=1", "unknown setting 'sigma' of CAM method fem; did you mean sigmas"),
        ("fem[ac]:sigmas=1", r"unknown setting 'sigmas' of the steps of 'fem\[ac\]:sigmas=1'"),
        ("fem:sigmas=one", "CAM method fem: sigmas is of type float, got 'one'; write values as"),
        ("fem:sigmas=3:sigmas=4", "sigmas is given twice"),
        ("cam[ac:tou=0.1]", "unknown setting 'tou' of step ac; did you mean tau"),
        ("cam[ac]x[cc]", "expected a method like"),
        ("[ac]", "expected a method like"),
        ("", "unknown CAM method|expected a method like"),
        ("cam[ac]:tou=0.1", "unknown setting 'tou' of the steps of .*; did you mean tau"),
        ("cam[ac]:tau=1", "0 <= tau < 1, got 1"),
        ("cam[ac]:tau=-0.5", "0 <= tau < 1, got -0.5"),
        ("cam[ac]:rule=loser", "rule is share or winner, got 'loser'"),
        ("cam[ac]:map=C", r"map is A \(predictions\) or B \(masks\), got C"),
        ("cam[prior]:threshold=1", "lies between 0 and 1, got 1"),
        ("cam[blend]:weight=-1", "must not be negative, got -1"),
        ("cam[ac,cc]", "cc makes maps anew .*; put it first"),
        ("cam[ac]:rule=winner:tau=0.1", "tau belongs to the rule share"),
        ("cam[cc]:map=C", r"map is A \(predictions\), B \(masks\) or none, got C"),
        ("cam[cc]:faithful=true:grid=32", "faithful sets grid and dim"),
        ("cam[aff]:epochs=0", "epochs must be 1 or more, got 0"),
        ("cam[cc]:grid=0", "must be positive, got 0"),
        ("cam[ac]:tau=0.1:tau=0.2", "tau is given twice"),
        ("cam[ac]:tau=small", "step ac: tau is of type float, got 'small'; write values as JSON"),
        ("cam[cc]:rate=NaN", "cc: rate is of type float, got nan"),
        ("cam[cc]:faithful=no", "cc: faithful is of type bool, got 'no'"),
        ("cam[cc]:faithful=1", "cc: faithful is of type bool, got 1"),
        ("cam[cc]:grid=32.5", "cc: grid is of type int, got 32.5"),
        ("positives-only:map=A", r"short for cam\[cc\]:map=none: map cannot be 'A' in it"),
        ("positives-only:map=B", "map cannot be 'B' in it"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_chain(text)


def test_unknown_names_come_with_near_ones():
    with pytest.raises(UnknownNameError, match="did you mean grad-cam"):
        parse_chain("gradcam")
    with pytest.raises(UnknownNameError, match="unknown step 'acc'; did you mean"):
        parse_chain("cam[acc]")


def test_every_step_can_be_made_and_says_what_it_is():
    for name in steps:
        step = steps.get(name)
        assert step.name == name
        assert step.paper
        assert step.cost
        own = {"sam": Supervision.IMAGE_SAM}
        assert step().supervision is own.get(name, Supervision.IMAGE)


def test_selections():
    assert select_methods("c-cam[cc,ac],grad-cam, p-cam,cam") == ("c-cam[cc,ac]", "grad-cam", "cam")
    assert select_methods("table2")[:6] == (
        "cam", "grad-cam", "grad-cam++", "ablation-cam", "eigen-cam", "layer-cam",
    )  # fmt: skip
    everything = select_methods("all")
    assert {"cam", "c-cam", "prior-only", "positives-only"} <= set(everything)
    assert not any(name.startswith("gradcam:") or name == "p-cam" for name in everything)
    assert "grad-cam++" in select_methods("grad-*")
    with pytest.raises(ConfigError, match="no CAM method fits"):
        select_methods("nothing*")
    with pytest.raises(ConfigError, match="names no method"):
        select_methods(" , ")
