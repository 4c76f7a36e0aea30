"""Headless Chromium, where there is one on this machine."""

import os
import shutil
from contextlib import contextmanager

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

PROGRAM = next(
    (found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), None
)
needed = pytest.mark.skipif(PROGRAM is None, reason="there is no chromium on this machine")


@contextmanager
def chromium():
    """Start it; as root it runs without its sandbox or not at all."""
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = started.chromium.launch(executable_path=PROGRAM, args=arguments)
        yield opened
        opened.close()
