import pytest
from camzoo_baselines.cells import ascending, in_cells, odd


@pytest.mark.parametrize(
    ("side", "grid", "kernel", "dilations"),
    [
        (321, 41, 9, [1, 3, 6, 9]),  # as the papers have it
        (256, 32, 9, [1, 3, 6, 9]),
        (256, 16, 5, [1, 2, 3, 5]),  # 72 pixels are 4.5 cells; 8, 24, 48 and 72 are 0.5 to 4.5
        (256, 8, 3, [1, 2, 3, 4]),  # 2.25 cells; the dilations would be 0.25, 0.75, 1.5 and 2.25
        (64, 16, 19, [2, 6, 12, 18]),
    ],
)
def test_the_papers_cells_keep_their_length_in_pixels(side, grid, kernel, dilations):
    assert odd(in_cells(9, side, grid)) == kernel
    assert ascending([in_cells(rate, side, grid) for rate in (1, 3, 6, 9)]) == dilations


def test_the_nearest_odd_number_by_hand():
    assert [odd(cells) for cells in (0.2, 3.9, 4.0, 4.1, 5.9, 6.1)] == [3, 3, 5, 5, 5, 7]
