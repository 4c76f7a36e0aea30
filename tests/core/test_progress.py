import io
import time

import pytest
from rich.console import Console

from camzoo.core.progress import Pace, Quiet, duration
from camzoo.core.reporters import LINE_EVERY_SECONDS, BarReporter, LogReporter, reporter_for


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def log(clock, **kwargs):
    file = io.StringIO()
    console = Console(file=file, width=200, force_terminal=False)
    return LogReporter(console, clock=clock, **kwargs), file


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (60, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (11400, "3 h 10 min"),
    ],
)
def test_durations_are_written_as_people_say_them(seconds, text):
    assert duration(seconds) == text


def test_the_time_left_is_that_of_the_steps_left_at_the_pace_so_far():
    pace = Pace("learns", began=0.0)
    assert pace.left(5.0) is None
    pace.step(1, 10, 10.0)
    assert pace.left(12.0) is None
    pace.step(3, 10, 30.0)  # 2 steps in 20 s, 7 to go
    assert pace.left(30.0) == 70.0
    assert pace.line(30.0) == "learns: 30% done, 30 s so far, about 1 min 10 s left"


def test_what_goes_on_from_the_middle_has_the_pace_of_what_it_did_itself():
    pace = Pace("learns", began=0.0)
    pace.step(81, 100, 2.0)
    pace.step(82, 100, 4.0)
    assert pace.left(4.0) == 36.0


def test_a_log_has_a_line_every_half_minute_while_a_stage_ticks(clock):
    reporter, file = log(clock)
    with reporter.stage("maps") as tick:
        for done in range(1, 591):
            clock.now += 1
            tick(done, 590)
    lines = file.getvalue().splitlines()
    assert len(lines) == 590 // 30 + 1
    assert lines[0].startswith("maps: 5% done, 30 s so far, about 9 min")
    assert lines[-1] == "maps: 9 min 50 s"


def test_a_log_is_not_silent_while_nothing_ticks(clock):
    reporter, file = log(clock)
    with reporter.stage("one long step"):
        for _ in range(60):
            clock.now += 1
            reporter.beat()
    clock.now += LINE_EVERY_SECONDS
    reporter.beat()
    assert file.getvalue().splitlines() == [
        "one long step: 30 s so far",
        "one long step: 1 min 0 s so far",
        "one long step: 1 min 0 s",
        "still at work, 1 min 30 s so far",
    ]


def test_the_innermost_stage_is_told_of(clock):
    reporter, file = log(clock)
    with reporter.stage("outer"), reporter.stage("inner"):
        clock.now += 31
        reporter.beat()
    assert file.getvalue().splitlines()[0] == "inner: 31 s so far"


def test_details_are_for_those_who_ask(clock):
    for verbose, lines in ((False, ["note"]), (True, ["detail", "note"])):
        reporter, file = log(clock, verbose=verbose)
        reporter.detail("detail")
        reporter.note("note")
        assert file.getvalue().splitlines() == lines


def test_text_of_others_is_no_markup(clock):
    reporter, file = log(clock)
    with reporter.stage("maps of [bold]x[/bold] [/nonsense]"):
        clock.now += 40
        reporter.beat()
    assert "[bold]x[/bold] [/nonsense]: 40 s so far" in file.getvalue()


def test_a_watched_reporter_looks_at_the_clock_by_itself(clock, monkeypatch):
    monkeypatch.setattr("camzoo.core.reporters._LOOK_EVERY_SECONDS", 0.005)
    reporter, file = log(clock)
    with reporter.watching(), reporter.stage("silent work"):
        clock.now += 45
        until = time.monotonic() + 10
        while "45 s so far" not in file.getvalue():
            assert time.monotonic() < until
            time.sleep(0.005)


def test_a_terminal_gets_a_bar_that_goes_away(clock):
    file = io.StringIO()
    console = Console(file=file, width=60, force_terminal=True, legacy_windows=False)
    reporter = BarReporter(console, clock=clock)
    with reporter.stage("a [b]stage[/b] with a name that is longer than the line"):
        clock.now += 1
        reporter.beat()
        assert file.getvalue() == ""
    with reporter.stage("second") as tick:
        clock.now += 3
        tick(3, 10)
        assert reporter._bar is not None
    assert reporter._bar is None
    assert "3/10" in file.getvalue()
    assert file.getvalue().endswith("second: 3.0 s\n")


@pytest.mark.parametrize(
    ("terminal", "variable", "kind"),
    [(True, "xterm", BarReporter), (True, "dumb", LogReporter), (False, "xterm", LogReporter)],
)
def test_the_reporter_suits_where_it_speaks(monkeypatch, terminal, variable, kind):
    monkeypatch.setenv("TERM", variable)
    console = Console(file=io.StringIO(), force_terminal=terminal)
    assert type(reporter_for(console)) is kind


def test_quiet_says_nothing(capsys):
    quiet = Quiet()
    with quiet.stage("x") as tick:
        tick(1, 2)
    quiet.note("n")
    quiet.detail("d")
    assert capsys.readouterr() == ("", "")
