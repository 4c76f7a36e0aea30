"""Data sets known to camzoo; installed packages add theirs as entry points ``camzoo.datasets``."""

from camzoo.core.registries import datasets
from camzoo.data.datasets.base import Case, Dataset, Facts, Folds, Fractions, register_dataset

__all__ = ["Case", "Dataset", "Facts", "Folds", "Fractions", "datasets", "register_dataset"]
