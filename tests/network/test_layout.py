import pytest
import torch

from camzoo.network.layout import Layout, find_layout


@pytest.mark.parametrize(
    ("shape", "image", "expected"),
    [
        ((2, 512, 7, 5), (224, 160), Layout("nchw", (7, 5), 512)),
        ((2, 7, 5, 512), (224, 160), Layout("nhwc", (7, 5), 512)),
        ((2, 7, 7, 512), (224, 224), Layout("nhwc", (7, 7), 512)),
        ((2, 5, 2048, 2048), (224, 224), Layout("nchw", (2048, 2048), 5)),
        ((2, 64, 10, 7), (299, 200), Layout("nchw", (10, 7), 64)),  # rounded sides
        ((2, 1 + 14 * 10, 192), (224, 160), Layout("tokens", (14, 10), 192, 1)),
        ((2, 5 + 14 * 10, 192), (224, 160), Layout("tokens", (14, 10), 192, 5)),
        ((2, 4 * 6, 192), (64, 96), Layout("tokens", (4, 6), 192, 0)),
        ((2, 6 * 4, 192), (96, 64), Layout("tokens", (6, 4), 192, 0)),
    ],
)
def test_layout_follows_from_the_shape(shape, image, expected):
    assert find_layout(torch.Size(shape), image, prefix=expected.prefix) == expected


def test_prefix_tokens_are_found_without_a_hint_and_a_wrong_hint_does_no_harm():
    """CaiT counts one class token, but its patch blocks run without it."""
    expected = Layout("tokens", (4, 6), 8, 1)
    assert find_layout(torch.Size((2, 25, 8)), (64, 96)) == expected
    assert find_layout(torch.Size((2, 24, 8)), (64, 96), prefix=1).prefix == 0


def test_a_hint_decides_between_orders_that_both_fit():
    shape = torch.Size((1, 8, 8, 8))
    assert find_layout(shape, (64, 64)).kind == "nchw"
    assert find_layout(shape, (64, 64), channels_last=True).kind == "nhwc"


@pytest.mark.parametrize("shape", [(2, 10), (2, 3, 4, 5, 6), (2, 48, 8), (2, 7, 3, 40)])
def test_what_is_no_map_has_no_layout(shape):
    assert find_layout(torch.Size(shape), (64, 64)) is None


@pytest.mark.parametrize(
    "layout",
    [Layout("nchw", (2, 3), 4), Layout("nhwc", (2, 3), 4), Layout("tokens", (2, 3), 4, 2)],
)
def test_there_and_back(layout):
    features = torch.arange(2 * 4 * 6.0).view(2, 4, 2, 3)
    prefix = torch.full((2, layout.prefix, 4), -1.0)
    raw = layout.from_map(features, prefix)
    assert torch.equal(layout.to_map(raw), features)
    if layout.kind == "nhwc":
        assert raw.shape == (2, 2, 3, 4)
    if layout.kind == "tokens":
        assert raw.shape == (2, 8, 4)
        assert raw[0, 2].tolist() == [0, 6, 12, 18]  # the first place, all channels
        assert (raw[:, :2] == -1).all()
