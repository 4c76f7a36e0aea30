import pytest

from camzoo.core.suggest import nearest, unknown


@pytest.mark.parametrize(
    ("name", "known", "near"),
    [
        ("gradcam", ["cam", "grad-cam++", "grad-cam", "otsu"], ["grad-cam", "grad-cam++"]),
        ("gradcam", ["grad-cam", "cam", "otsu"], ["grad-cam"]),
        ("GRAD-CAM", ["grad-cam", "otsu"], ["grad-cam"]),
        ("epochs", ["training.epochs", "data.size", "segmentation.epochs"],
         ["training.epochs", "segmentation.epochs"]),
        ("training.epoch", ["training.epochs", "data.size"], ["training.epochs"]),
        ("zzz", ["cam", "otsu"], []),
        ("", ["cam"], []),
        ("cam", [], []),
        ("aaaa", ["aaa1", "aaa2", "aaa3", "aaa4"], ["aaa4", "aaa3", "aaa2"]),
    ],
)  # fmt: skip
def test_the_nearest_come_first(name, known, near):
    assert nearest(name, known) == near


def test_one_wording_for_all():
    assert str(unknown("step", "acc", ["ac", "aff"])) == "unknown step 'acc'; did you mean ac?"
    assert str(unknown("option", "x", ["size"], of="data set 'acdc'")) == (
        "unknown option 'x' of data set 'acdc'; known: size"
    )
    assert str(unknown("setting", "x", [])) == "unknown setting 'x'; known: none"
    assert str(unknown("preset", "x", ["aa"], otherwise=["b"])) == "unknown preset 'x'; known: b"
    many = str(unknown("model", "?", [f"name{i:02}" for i in range(43)]))
    assert many.endswith("name39 and 3 more")
