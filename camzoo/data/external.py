"""An external test: one data set to learn from, another, of other scanners, to be tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from camzoo.core.errors import ConfigError
from camzoo.data.datasets.base import Case, Dataset, Facts
from camzoo.data.volume import Volume


class ExternalTest(Dataset):
    """Two data sets as one: all cases of the first train and validate, all of the second test.

    A test set that the owners of the first name is not tested on, and learnt from as the rest is.
    Ids and patients of the second carry its name in front: numbers start at 1 everywhere, and
    ``patient001`` of two hospitals is two persons.

    Args:
        first: Learns, and chooses thresholds.
        second: Is tested on.

    Raises:
        ConfigError: The two do not have the same organs in the same order.
    """

    def __init__(self, first: Dataset, second: Dataset) -> None:
        if first.organs != second.organs:
            raise ConfigError(
                f"{first.own_name} has the organs {', '.join(first.organs)}, and its external test "
                f"{second.own_name} has {', '.join(second.organs)}; both need the same ones in the "
                "same order: choose structures by options of the data sets"
            )
        self._first, self._second = first, second
        self.organs, self.sided = first.organs, first.sided or second.sided
        self.split = first.split
        self.__dict__["facts"] = _both(first.facts, second.facts)
        self._origin: Mapping[str, tuple[Dataset, Case]] = {
            **{case.id: (first, case) for case in first.cases()},
            **{f"{second.own_name}.{case.id}": (second, case) for case in second.cases()},
        }

    @property
    def own_name(self) -> str:
        """Names of both, so that no table takes it for either."""
        return f"{self._first.own_name}-on-{self._second.own_name}"

    def cases(self) -> Sequence[Case]:
        """All cases of both, sorted by id."""
        return [self._named(name) for name in sorted(self._origin)]

    def _named(self, name: str) -> Case:
        dataset, case = self._origin[name]
        if dataset is self._first:
            return replace(case, official="train")
        patient = f"{dataset.own_name}.{case.patient}"
        return replace(case, id=name, patient=patient, official="test")

    def image(self, case: Case) -> Volume:
        """Read a scan from the data set that it is of."""
        dataset, own = self._origin[case.id]
        return dataset.image(own)

    def label(self, case: Case) -> Volume:
        """Read a label from the data set that it is of."""
        dataset, own = self._origin[case.id]
        return dataset.label(own)

    def fingerprint(self) -> dict[str, object]:
        """What the voxels of each depend on."""
        return {"first": self._first.fingerprint(), "second": self._second.fingerprint()}

    def notes(self) -> Sequence[str]:
        """What stands out in the folder of either."""
        return [*self._first.notes(), *self._second.notes()]


def _both(first: Facts, second: Facts) -> Facts:
    """What is printed about two data sets, of which one tests the other."""

    def listed(attribute: str) -> str:
        return "; ".join(dict.fromkeys(str(getattr(f, attribute)) for f in (first, second)))

    told: dict[str, Any] = {name: listed(name) for name in ("citation", "licence", "where")}
    title = f"{first.title} to learn from, {second.title} to test on"
    return Facts(title, caveats=tuple(dict.fromkeys((*first.caveats, *second.caveats))), **told)
