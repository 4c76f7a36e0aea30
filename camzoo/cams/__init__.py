"""CAM methods, the view they share, the pipeline that turns them into maps, and what follows."""

from camzoo.cams.base import cams
from camzoo.cams.steps import steps
from camzoo.cams.wrapped import class_names

#: Where each built-in method lives; imported only when it is asked for.
_BUILT_IN = {
    "cam": "activation:Cam",
    "grad-cam": "gradient:GradCam",
    "grad-cam++": "gradient:GradCamPlusPlus",
    "ablation-cam": "ablation:AblationCam",
    "eigen-cam": "eigen:EigenCam",
    "layer-cam": "gradient:LayerCam",
    "eigen-grad-cam": "eigen:EigenGradCam",
    "fem": "fem:Fem",
    "finer-cam": "finer:FinerCam",
    "fullgrad": "fullgrad:FullGrad",
    "hires-cam": "gradient:HiResCam",
    "kpca-cam": "eigen:KpcaCam",
    "lpcam": "lpcam:Lpcam",
    "opti-cam": "opti:OptiCam",
    "reciprocal-cam": "reciprocal:ReciprocalCam",
    "score-cam": "score:ScoreCam",
    "seg-eigen-cam": "eigen:SegEigenCam",
    "shapley-cam": "shapley:ShapleyCam",
    "smooth-grad-cam++": "smooth:SmoothGradCamPlusPlus",
    "xgrad-cam": "gradient:XGradCam",
    "random": "controls:Random",
    "centre": "controls:Centre",
    "otsu": "controls:Otsu",
}

#: Where each built-in step lives.
_STEPS = {
    "ac": "ccam.anatomy:AnatomyCausality",
    "aff": "affinity:AffinityRefinement",
    "blend": "ccam.spatial:Blend",
    "cc": "ccam.retraining:CategoryCausality",
    "prior": "ccam.spatial:PriorAlone",
}

__all__ = ["cams", "steps"]

for _name, _place in _BUILT_IN.items():
    cams.register(_name, f"{__name__}.{_place}")
for _name, _place in _STEPS.items():
    steps.register(_name, f"{__name__}.{_place}")
for _name in class_names():
    cams.register(f"gradcam:{_name}", f"{__name__}.wrapped:{_name}")
