import numpy as np
import pytest
import torch
from camzoo_baselines.own_maps import walked_maps

from camzoo.cams.map_arrays import MapArrays
from tests.segment.toy import toy_context


@pytest.mark.parametrize(("normalisation", "scale"), [("none", 1.0), ("max", 2.0)])
def test_every_map_walks_through_its_own_slice(tmp_path, normalisation, scale):
    """In parts: maps of a half, times a grey level of the slice, where the tag shows the organ."""
    context = toy_context(tmp_path, count=70)
    slices = context.train
    maps = MapArrays.empty(70, 2, 4)
    maps.maps[:] = 0.5

    def walk(planes, grey):
        assert planes.dtype == grey.dtype == torch.float32
        return planes * grey[:, None, :4, :4]

    found = walked_maps(maps, slices, context, walk, normalisation=normalisation)
    corner = slices.store[:, :4, :4] / 255
    if normalisation == "max":
        corner = corner / corner.max(axis=(1, 2), keepdims=True)
    expected = 0.5 * scale * corner[:, None] * slices.tags[:, :, None, None]
    np.testing.assert_allclose(found.maps, expected, atol=1e-3)
    assert (maps.maps == 0.5).all()
