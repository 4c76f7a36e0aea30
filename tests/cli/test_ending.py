import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camzoo.cli.ending import StopError, run_to_the_end
from camzoo.core.errors import ConfigError
from camzoo.core.output import Output, write_json


def end(command):
    with pytest.raises(SystemExit) as ended:
        run_to_the_end(command)
    return ended.value.code


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("wrong\x07 [red]name[/red]"), 2, "wrong"),
        (StopError(signal.SIGINT), 130, "stopped by SIGINT"),
        (StopError(signal.SIGTERM), 143, "stopped by SIGTERM"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 2, "/x/y: No space left"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: Permission denied"),
        (OSError("strange"), 2, "strange"),
        (MemoryError(), 2, "memory is used up"),
    ],
)
def test_every_fault_is_one_line_and_a_code(capsys, monkeypatch, error, code, line):
    monkeypatch.setattr(sys, "argv", ["camzoo", "list"])
    assert end(raising(error)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("camzoo: ")
    assert line in err
    assert err.count("\n") == 1


def test_as_json_a_fault_is_a_document_too(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["camzoo", "list", "--json"])
    assert end(raising(ConfigError("no such thing"))) == 2
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {"kind": "ConfigError", "message": "no such thing"},
        "exit_code": 2,
    }
    assert err == "camzoo: no such thing\n"


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_to_the_end(lambda: 1 / 0)


def test_a_reader_that_leaves_is_no_fault(capsys, monkeypatch):
    monkeypatch.setattr("camzoo.cli.ending._close_output", lambda: None)
    assert end(raising(BrokenPipeError())) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_process_without_a_traceback(number, code):
    script = (
        "import time\n"
        "from camzoo.cli.ending import run_to_the_end\n"
        "def work():\n"
        "    print('ready', flush=True)\n"
        "    try:\n"
        "        time.sleep(60)\n"
        "    except Exception:\n"
        "        pass\n"
        "run_to_the_end(work)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert err == f"camzoo: stopped by {signal.Signals(number).name}\n"


def test_handlers_of_the_caller_come_back():
    before = signal.getsignal(signal.SIGTERM)
    end(lambda: None)
    assert signal.getsignal(signal.SIGTERM) is before


CAMZOO = "import sys; from camzoo.cli.app import main; sys.argv[0] = 'camzoo'; main()"


def shell(words, **environment):
    command = f'"{sys.executable}" -c "{CAMZOO}" {words}'
    began = time.monotonic()
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env={**os.environ, **environment},
        check=False, encoding="utf-8",
    )  # fmt: skip
    assert time.monotonic() - began < 60
    return done


@pytest.mark.skipif(os.name == "nt", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("words", "environment", "code"),
    [
        ("settings >&-", {}, 0),
        ("settings --json >&-", {}, 0),
        ("settings >&- 2>&-", {}, 0),
        ("settings nothing 2>&-", {}, 2),
        ("settings </dev/null", {"TERM": "dumb", "COLUMNS": "20"}, 0),
        ("--help", {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, 0),
        ("bench --help", {"PYTHONIOENCODING": "ascii"}, 0),
        ("data check --help", {"COLUMNS": "10"}, 0),
        ("settings", {"PYTHONIOENCODING": "ascii"}, 0),
        ("settings | head -c 10", {}, 0),
    ],
)
def test_no_output_and_no_letters_are_no_reason_for_a_traceback(words, environment, code):
    done = shell(words, **environment)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_standard_output_is_one_line():
    done = shell("settings > /dev/full")
    assert done.returncode == 2
    assert done.stderr == "camzoo: standard output: No space left on device\n"


def test_quiet_and_verbose_exclude_each_other():
    with pytest.raises(ConfigError, match="give one of them"):
        Output(quiet=True, verbose=True)


def test_json_has_no_numbers_that_are_none(capsys):
    import numpy as np

    write_json({"a": float("nan"), "b": np.float32(0.5), "c": [np.int64(3), float("inf")], 4: True})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": 0.5, "c": [3, None], "4": True}
