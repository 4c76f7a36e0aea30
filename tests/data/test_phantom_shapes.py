import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camzoo.data.phantom.shapes import Both, Either, Tube, Without, ball


def depth(shape, *points):
    """Depth at single points (x, y, z)."""
    return [
        float(
            shape.depth(
                np.full((1, 1, 1), x, np.float32),
                np.full((1, 1, 1), y, np.float32),
                np.full(1, z, np.float32),
            )[0, 0, 0]
        )
        for x, y, z in points
    ]


def test_a_ball_is_as_deep_as_its_radius_at_the_centre_and_zero_on_the_surface():
    inside, on, outside = depth(ball(3, -2, 5, 4), (3, -2, 5), (7, -2, 5), (11, -2, 5))
    assert (inside, on, outside) == pytest.approx((4, 0, -4), abs=1e-5)


def test_flat_and_tall_stretch_the_half_axes_of_a_ball():
    egg = ball(0, 0, 0, 10, flat=0.5, tall=2.0)
    signs = np.sign(depth(egg, (0, 4.9, 0), (0, 5.1, 0), (0, 0, 19.9), (0, 0, 20.1)))
    assert signs.tolist() == [1, -1, 1, -1]


def test_profiles_are_linear_between_their_heights_and_constant_beyond():
    tube = Tube((-100, 100), [(0, 0), (10, 20)], 0, [(0, 2), (10, 6)], 50)
    # At z = 5 the centre is at 10 and the half width 4; at z = 50 they are 20 and 6.
    signs = np.sign(depth(tube, (13.9, 0, 5), (14.1, 0, 5), (25.9, 0, 50), (26.1, 0, 50)))
    assert signs.tolist() == [1, -1, 1, -1]


def test_a_rounded_end_shrinks_the_radius_as_a_circle_does():
    tube = Tube((0, 100), 0, 0, 10, 10, caps=(20, 0))
    radius = 10 * math.sqrt(1 - 0.5**2)  # half-way through the cap
    assert depth(tube, (radius - 0.01, 0, 10))[0] > 0 > depth(tube, (radius + 0.01, 0, 10))[0]
    assert depth(tube, (9.9, 0, 99.95))[0] > 0


def test_a_flat_end_is_a_surface():
    assert depth(Tube((0, 100), 0, 0, 50, 50), (0, 0, 3), (0, 0, -2), (0, 0, 101)) == pytest.approx(
        [3, -2, -1]
    )


def test_angle_turns_from_x_towards_y():
    tube = Tube((-1, 1), 0, 0, 10, 2, angle=30)
    c, s = math.cos(math.radians(30)), math.sin(math.radians(30))
    assert depth(tube, (9.9 * c, 9.9 * s, 0))[0] > 0 > depth(tube, (9.9 * c, -9.9 * s, 0))[0]


def test_square_widens_the_corners_and_nothing_else():
    round_, boxy = (Tube((-50, 50), 0, 0, 10, 10, square=q) for q in (0.0, 1.0))
    # (8, 8) lies at 1.13 of the circle, and at (2 * 0.8**4) ** 0.25 = 0.951 of the rounded box.
    assert depth(round_, (8, 8, 0))[0] < 0 < depth(boxy, (8, 8, 0))[0]
    assert depth(boxy, (8, 8, 0))[0] == pytest.approx(10 * (1 - 0.951366), abs=1e-4)
    assert depth(boxy, (10, 0, 0))[0] == pytest.approx(0, abs=1e-5)


def test_the_second_harmonic_lengthens_x_and_shortens_y():
    tube = Tube((-50, 50), 0, 0, 10, 10, uneven=(0.2 + 0j,))
    assert depth(tube, (12, 0, 0), (0, 8, 0)) == pytest.approx([0, 0], abs=1e-5)


def test_harmonics_agree_with_their_definition_by_angles():
    amplitudes, twist, z = (0.1 - 0.05j, 0.07j, -0.04 + 0.02j), 0.03, 11.0
    tube = Tube((-50, 50), 0, 0, 10, 10, uneven=amplitudes, twist=twist)
    for angle in np.linspace(0, 2 * np.pi, 9):
        swell = 1 + sum(
            (a * np.exp(1j * (k * angle + twist * z))).real
            for k, a in enumerate(amplitudes, start=2)
        )
        on = 10 * swell * np.cos(angle), 10 * swell * np.sin(angle), z
        assert depth(tube, on)[0] == pytest.approx(0, abs=1e-4)


def test_combinations_are_those_of_sets():
    one, two = ball(0, 0, 0, 5), ball(6, 0, 0, 5)
    points = [(-3, 0, 0), (3, 0, 0), (9, 0, 0), (20, 0, 0)]
    in_one, in_two = (np.array(depth(s, *points)) > 0 for s in (one, two))
    for shape, expected in (
        (Both(one, two), in_one & in_two),
        (Either(one, two), in_one | in_two),
        (Without(one, two), in_one & ~in_two),
    ):
        assert ((np.array(depth(shape, *points)) > 0) == expected).all()


@settings(max_examples=40, deadline=None)
@given(
    rx=st.floats(2, 20), ry=st.floats(2, 20), angle=st.floats(-90, 90), square=st.floats(0, 1),
    harmonic=st.complex_numbers(max_magnitude=0.3), lean=st.floats(-20, 20),
)  # fmt: skip
def test_the_box_holds_the_whole_shape(rx, ry, angle, square, harmonic, lean):
    tube = Tube(
        (-10, 12), [(-10, -lean), (12, lean)], 3, rx, [(-10, ry), (12, ry / 2)], angle=angle,
        square=square, uneven=(harmonic, 0.1j), twist=0.1,
    )  # fmt: skip
    shape = Either(Both(tube, ball(0, 0, 0, 30)), Without(ball(5, 5, 5, 8), tube))
    line = np.linspace(-45, 45, 46, dtype=np.float32)
    x, y = np.broadcast_to(line, (46, 46, 46)), np.broadcast_to(line[:, None], (46, 46, 46))
    z, y_in, x_in = np.nonzero(shape.depth(x, y, line) > 0)
    for index, (low, high) in zip((z, y_in, x_in), shape.box, strict=True):
        assert low <= line[index].min()
        assert line[index].max() <= high
