"""Data sets known to camzoo; installed packages add theirs as entry points ``camzoo.datasets``."""

from camzoo.data.datasets.base import Case, Dataset, Facts, Folds, Fractions, register_dataset
from camzoo.data.registry import datasets

__all__ = ["Case", "Dataset", "Facts", "Folds", "Fractions", "datasets", "register_dataset"]
