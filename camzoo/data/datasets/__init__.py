"""Data sets known to camzoo; installed packages add theirs as entry points ``camzoo.datasets``."""

from camzoo.data.datasets.base import Case, Dataset, Facts, Folds, Fractions, datasets

for _name, _target in {
    "acdc": "camzoo.data.datasets.acdc:ACDC",
    "chaos": "camzoo.data.datasets.chaos:CHAOS",
    "nnunet": "camzoo.data.datasets.nnunet:NNUNet",
    "phantom": "camzoo.data.datasets.phantom:Phantom",
    "promri": "camzoo.data.datasets.promri:ProMRI",
}.items():
    datasets.register(_name, _target)

__all__ = ["Case", "Dataset", "Facts", "Folds", "Fractions", "datasets"]
