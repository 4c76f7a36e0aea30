"""CAM methods, the view they share, and the pipeline that turns them into maps."""

from camzoo.cams.base import cams

#: Where each built-in method lives; imported only when it is asked for.
_BUILT_IN = {
    "cam": "activation:Cam",
}

for _name, _place in _BUILT_IN.items():
    cams.register(_name, f"{__name__}.{_place}")
