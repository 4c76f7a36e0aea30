"""Chains through the whole run: what is shared, marked, refused and recorded."""

import json

import numpy as np
import pytest

from camzoo.cams.map_files import MapFiles
from camzoo.core.progress import Quiet
from camzoo.core.supervision import Supervision
from camzoo.harness.chains import Mapped
from camzoo.harness.run import bench
from camzoo.harness.store import Artifact
from camzoo.harness.workers.step import read_report
from camzoo.presets import preset
from camzoo.report.leaderboards import write_page
from camzoo.steps.base import MapStep, StepReport, steps
from tests.harness.test_run import KillAfter, Killed

TINY = preset("smoke", "phantom").changed(
    {
        "data.options": {"variant": "abdomen", "patients": 6, "size": 64},
        "data.size": 64,
        "training.epochs": 1,
        "backbone.name": "test_resnet",
        "training.crop": 64,
        "training.resize": [64, 80],
        "maps.side": 64,
        "maps.scales": [1.0],
        "maps.size": 32,
        "device": "cpu",
        "methods": ["c-cam[cc,ac]", "c-cam[cc]", "prior-only:map=B", "cam"],
    }
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return bench(TINY, tmp_path_factory.mktemp("chains"), Quiet())


def test_every_chain_has_rows_under_its_label_and_variant(result):
    lines = result.rows[["method", "variant", "supervision"]].drop_duplicates()
    assert sorted(map(tuple, lines.to_numpy())) == [
        ("c-cam[cc,ac]", "", "image"),
        ("c-cam[cc]", "", "image"),
        ("cam", "", "image"),
        ("prior-only", "map=B oracle-prior", "mask"),
    ]
    assert not result.failures
    assert list(result.maps) == [
        "c-cam[cc,ac]",
        "c-cam[cc]",
        "prior-only map=B oracle-prior",
        "cam",
    ]


def test_what_steps_took_is_kept_and_counts_once(result):
    folders = {
        path.parent for path in (result.folder.parent / "store" / "steps").glob("*/key.json")
    }
    made = {
        text: tuple(Artifact(folder, folder.name) for folder in some)
        for text, some in {"a": sorted(folders)[:2], "b": sorted(folders)[:1]}.items()
    }
    alone = [read_report(folder)["cost"]["seconds"] for folder in sorted(folders)[:2]]
    assert min(alone) > 0
    base = Artifact(result.folder, "the method itself")
    mapped = Mapped({text: (base, *steps) for text, steps in made.items()}, {})
    both = mapped.cost(["a", "b"])
    assert both["seconds"] == pytest.approx(sum(alone))
    assert not both["resumed"]
    unknown = Mapped({"c": (base, base)}, {})
    assert unknown.cost(["c"])["seconds"] is None
    assert unknown.cost([])["seconds"] == 0


def test_the_largest_memory_of_any_step_is_told(tmp_path):
    made = []
    for name, cuda in (("first", 30.0), ("second", 700.0)):
        (tmp_path / name).mkdir()
        cost = {"seconds": 1.0, "memory_mib": 100.0, "cuda_mib": cuda, "resumed": False}
        (tmp_path / name / "report.json").write_text(json.dumps({"cost": cost}))
        made.append(Artifact(tmp_path / name, name))
    mapped = Mapped({"a": (Artifact(tmp_path, "the method itself"), *made)}, {})
    assert mapped.cost(["a"])["cuda_mib"] == 700
    assert mapped.cost([])["cuda_mib"] is None


def test_the_page_keeps_the_oracle_out_of_the_ranking(result):
    text = write_page(result.folder).read_text(encoding="utf-8")
    before, _, after = text.partition("### With reference masks")
    assert "map=B" not in before
    assert "| prior-only map=B oracle-prior | mask |" in after
    assert "### What became of the context map" in after
    assert "nan" not in text.lower()


def test_chains_that_begin_alike_share_their_steps(result):
    """Three kinds of step were asked for, in four places: cc, cc then ac, prior."""
    store = result.folder.parent / "store" / "steps"
    assert len([folder for folder in store.iterdir() if folder.is_dir()]) == 3


def test_the_prior_is_the_same_for_every_slice_of_an_organ(result):
    maps = MapFiles.open(result.maps["prior-only map=B oracle-prior"])
    tags = result.prepared.tagged().tags[:, 0] > 0
    liver = maps.maps[tags, 0]
    assert np.array_equal(liver, np.broadcast_to(liver[0], liver.shape))


def test_a_run_that_is_killed_in_a_step_goes_on_to_the_same_rows(result, tmp_path):
    class KilledInStep(KillAfter):
        def __init__(self):
            super().__init__(10**9)

        def stage(self, title):
            if title.startswith("maps of the retrained"):
                self.left = 1
            return super().stage(title)

    with pytest.raises(Killed):
        bench(TINY, tmp_path, KilledInStep())
    again = bench(TINY, tmp_path, Quiet())
    assert (again.folder / "rows.parquet").read_bytes() == (
        result.folder / "rows.parquet"
    ).read_bytes()


class Peeking(MapStep):
    """Says it learns from tags, and opens masks."""

    paper = cost = "no paper"

    def apply(self, source, context, out):
        context.reference(8)
        return StepReport()


class Declared(Peeking):
    """Does the same, and says so."""

    supervision = Supervision.MASK

    def apply(self, source, context, out):
        labels = context.reference(16)
        assert labels.shape == (len(context.train), 16, 16)
        shown = [set(np.unique(label)) - {0} for label in labels]
        tagged = [set(np.flatnonzero(tags) + 1) for tags in context.slices.tags[context.train]]
        assert all(seen <= known for seen, known in zip(shown, tagged, strict=True))
        out.maps[:], out.status[:], out.peak[:] = source.maps, source.status, source.peak
        return StepReport(notes=("a note",))


@pytest.fixture
def plugged():
    with steps.temporary({"peek": Peeking, "declared": Declared, "quietly": Quietly}):
        yield


class Quietly(MapStep):
    """Hands maps on, and has nothing to say."""

    paper = cost = "no paper"

    def apply(self, source, context, out):
        out.maps[:], out.status[:], out.peak[:] = source.maps, source.status, source.peak
        return StepReport()


@pytest.mark.usefixtures("plugged")
def test_what_an_earlier_step_said_stands_beside_the_number_too(result):
    config = TINY.changed({"methods": ["cam[declared,quietly]"]})
    again = bench(config, result.folder.parent, Quiet())
    assert set(again.rows["variant"]) == {"oracle-prior, a note"}


@pytest.mark.usefixtures("plugged")
def test_a_step_that_opens_masks_undeclared_fails_its_row_alone(result):
    config = TINY.changed({"methods": ["cam[peek]", "cam[declared]", "cam"]})
    again = bench(config, result.folder.parent, Quiet())
    assert (
        "FirewallError: the step 'peek' declares supervision 'image'"
        in (again.failures["cam[peek]"])
    )
    lines = again.rows[["method", "variant", "supervision"]].drop_duplicates()
    assert sorted(map(tuple, lines.to_numpy())) == [
        ("cam", "", "image"),
        ("cam[declared]", "oracle-prior, a note", "mask"),
    ]
