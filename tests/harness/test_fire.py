"""Runs that are killed at any moment, and files that are damaged at any place.

The environment variable CAMZOO_FIRE says how many kills there are, of all kinds together, and how
many files are damaged; a few, unless it is set.
"""

import os
import random
import shutil

import pytest

from camzoo.core.errors import CamzooError
from camzoo.core.progress import Quiet
from camzoo.harness.upkeep import damaged_results, run_folders
from camzoo.report.records import read_record
from tests.harness import fire

TIMES = int(os.environ.get("CAMZOO_FIRE", "3"))
#: Who is killed. Two drivers that share a run are enough, unless more is asked for: workers take
#: seconds to start, and one that is killed is begun once more in test_executors.py.
KILLS = {
    "two drivers": lambda out, seconds, rng, most: fire.kill_at_random(
        out, seconds, rng, count=2, most=most
    ),
    "a driver": lambda out, seconds, rng, most: fire.kill_at_random(
        out, seconds, rng, count=1, most=most
    ),
    "workers": lambda out, seconds, rng, most: fire.kill_workers(out, seconds, rng, most=most),
    "drivers that write": lambda out, _, rng, most: fire.kill_in_writes(out, rng, most=most),
}
WHO = [*KILLS] if "CAMZOO_FIRE" in os.environ else ["two drivers"]
#: Kills of each kind.
EACH = -(-TIMES // len(WHO))
#: Kills of one run; it hardly gets on beyond.
MOST = 10
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    return out, fire.seconds_of(out)


@pytest.mark.parametrize("who", WHO)
def test_rows_are_the_same_whoever_is_killed_and_how_often(
    undisturbed, tmp_path, who, record_property
):
    """Byte for byte."""
    out, seconds = undisturbed
    rng, kills, runs = random.Random(who), 0, 0
    while kills < EACH:
        runs += 1
        most = min(EACH - kills, MOST)
        kills += KILLS[who](tmp_path / str(runs), seconds, rng, most)
        assert fire.results_of(tmp_path / str(runs)) == fire.results_of(out)
        assert damaged_results(tmp_path / str(runs), Quiet()) == []
    record_property("kills and runs", (kills, runs))


def test_damage_in_the_store_is_found_and_in_no_row(undisturbed, tmp_path, record_property):
    """A few results at a time; what is damaged is named, and made again when it is needed."""
    shutil.copytree(undisturbed[0], tmp_path, dirs_exist_ok=True)
    rng, harm = random.Random(3), []
    while len(harm) < TIMES:
        folders = rng.sample(sorted((tmp_path / "store").glob("*/[!.]*")), 3)
        for folder in folders:
            harm.append(fire.spoil(rng.choice(fire.written(folder)), rng))
            assert any(str(folder) in fault for fault in damaged_results(tmp_path, Quiet())), harm
        fire.drive(tmp_path)
        assert fire.results_of(tmp_path) == fire.results_of(undisturbed[0])
        assert damaged_results(tmp_path, Quiet()) == []
    record_property("damage", harm)


def test_damage_in_a_run_is_found_before_anything_is_read_from_it(undisturbed, record_property):
    (folder,) = run_folders(undisturbed[0])
    rng, harm = random.Random(4), []
    for _ in range(TIMES):
        path = rng.choice(fire.written(folder))
        content = path.read_bytes()
        harm.append(fire.spoil(path, rng))
        with pytest.raises(CamzooError):
            read_record(folder)
        path.write_bytes(content)
    assert read_record(folder).run == folder.name
    record_property("damage", harm)
