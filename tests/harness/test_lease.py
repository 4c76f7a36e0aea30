"""One worker at a time holds a lease, and a dead one's runs out; time is made to pass by hand."""

import json
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from camzoo.harness import lease
from camzoo.harness.lease import Holder, Leases, holder_of

ELSEWHERE = Holder("gpu7", 4321, "2026-01-01T10:00:00", "another boot/1", 99, "ab")


def put(path, holder=ELSEWHERE, age=0.0):
    """A lease as another machine would have left it."""
    path.write_text(json.dumps(vars(holder)) if isinstance(holder, Holder) else holder)
    os.utime(path, (time.time() - age,) * 2)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "stage" / ".work-1f.lease"


@pytest.fixture
def dead(path):
    """What a machine that is gone left behind."""
    path.parent.mkdir()
    put(path, age=lease.DEAD_AFTER_SECONDS + 5)
    return path


def test_one_worker_at_a_time(path):
    with Leases() as one, Leases() as other:
        assert one.try_take(path)
        assert not other.try_take(path)
        assert one.holds(path)
        assert not other.holds(path)
        assert holder_of(path) == one.holder
    assert list(path.parent.iterdir()) == []
    assert holder_of(path) is None


def test_a_holder_of_another_machine_is_believed_till_its_touches_are_old(path):
    path.parent.mkdir()
    with Leases() as leases:
        put(path, age=lease.DEAD_AFTER_SECONDS - 20)
        assert not leases.try_take(path)
        put(path, age=lease.DEAD_AFTER_SECONDS + 5)
        assert holder_of(path) is None
        assert leases.try_take(path)
        assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_age_is_told_by_the_clock_of_the_folder(dead, monkeypatch):
    """This machine believes that it is long ago, or far ahead: it asks nobody but the folder."""
    for wrong in (-1e6, 1e6):
        now = time.time() + wrong
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert holder_of(dead) is None
    put_now = dead.with_name("fresh")
    put_now.write_text(dead.read_text("utf-8"))
    assert holder_of(put_now) == ELSEWHERE


def test_touches_keep_a_lease_alive(path):
    with Leases(beat=0.05, dead_after=0.5) as one, Leases(dead_after=0.5) as other:
        assert one.try_take(path)
        for _ in range(10):
            time.sleep(0.1)
            assert not other.try_take(path)


def hold(path, ready):
    with Leases() as leases:
        leases.take(path)
        ready.set()
        time.sleep(60)


@pytest.fixture
def worker(path):
    """A process that holds the lease."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=hold, args=(path, ready))
    process.start()
    assert ready.wait(10)
    yield process
    process.kill()
    process.join()


@pytest.mark.parametrize("reaped", [True, False])
def test_a_process_of_this_machine_that_was_killed_is_dead_at_once(worker, path, reaped):
    with Leases() as leases:
        assert not leases.try_take(path)
        os.kill(worker.pid, signal.SIGKILL)
        if reaped:
            worker.join()
        else:
            os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)
        assert leases.try_take(path)


def test_a_number_that_another_process_has_now_is_no_sign_of_life(path):
    path.parent.mkdir()
    here = Holder.here()
    before = Holder(here.host, here.pid, here.since, here.machine, here.started - 1, "before")
    put(path, before)
    assert holder_of(path) is None
    put(path, here)
    assert holder_of(path) == here


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"pid": 1}', json.dumps(vars(ELSEWHERE) | {"since": 3})]
)
def test_a_lease_that_says_nothing_runs_out_as_any_other(path, text):
    path.parent.mkdir()
    put(path, text)
    with Leases() as leases:
        assert not leases.try_take(path)
        put(path, text, age=lease.DEAD_AFTER_SECONDS + 5)
        assert leases.try_take(path)


def test_a_worker_that_slept_too_long_finds_its_lease_gone_and_leaves_the_new_one(path):
    with Leases(beat=60) as sleeper, Leases() as other:
        assert sleeper.try_take(path)
        put(path, sleeper.holder, age=lease.DEAD_AFTER_SECONDS + 5)
        # On this machine it would be seen to be alive; its age counts wherever it is.
        assert other.try_take(path)
        assert not sleeper.holds(path)
        sleeper.__exit__(None, None, None)
        assert holder_of(path) == other.holder


def test_who_looked_before_another_took_over_leaves_its_lease_alone(dead):
    stale = lease._look(dead)
    with Leases() as faster, Leases() as slower:
        assert faster.try_take(dead)
        assert not slower._take_over(dead, stale)
        assert faster.holds(dead)
        assert holder_of(dead) == faster.holder
        assert [p.name for p in dead.parent.iterdir()] == [dead.name]


def test_who_was_killed_over_taking_over_holds_nobody_up_for_ever(dead):
    """On this machine not even for a while; elsewhere until it is seen to be dead."""
    right = dead.with_name(f"{dead.name}-{dead.stat().st_ino:x}")
    here = Holder.here()
    for holder in (ELSEWHERE, here):
        put(right, holder)
        with Leases() as leases:
            assert not leases.try_take(dead)
    put(right, Holder(here.host, here.pid, here.since, here.machine, here.started - 1, "killed"))
    with Leases() as leases:
        assert leases.try_take(dead)
        assert leases.holds(dead)
        put(dead.with_name("other"), age=lease.DEAD_AFTER_SECONDS + 5)
        put(dead.with_name(f"other-{dead.with_name('other').stat().st_ino:x}"), age=500)
        assert leases.try_take(dead.with_name("other"))
    assert list(dead.parent.iterdir()) == []


def test_of_many_that_take_over_a_dead_lease_one_succeeds(dead):
    for _ in range(20):
        put(dead, age=lease.DEAD_AFTER_SECONDS + 5)
        workers = [Leases() for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            taken = list(pool.map(lambda leases: leases.try_take(dead), workers))
        assert sum(taken) <= 1
        if not any(taken):
            assert workers[0].try_take(dead)
        for each in workers:
            each._thread.start()
            each.__exit__(None, None, None)
        assert list(dead.parent.iterdir()) == []


def test_who_waits_is_told_once_for_whom(path, monkeypatch):
    monkeypatch.setattr(lease, "_LOOK_SECONDS", 0.01)
    told = []
    with ThreadPoolExecutor(1) as pool, Leases() as other:
        with Leases() as one:
            assert one.try_take(path)
            waiting = pool.submit(other.take, path, told.append)
            time.sleep(0.1)
            assert not waiting.done()
        waiting.result(timeout=10)
        assert other.holds(path)
    assert told == [one.holder]
    assert str(ELSEWHERE) == "process 4321 on gpu7, since 2026-01-01 10:00:00"
