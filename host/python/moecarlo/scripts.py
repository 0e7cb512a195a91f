"""The commands `moecarlo-capture` and `moecarlo-import`: the scripts of scripts/capture, installed beside this file."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "capture"


def start(script: str, command: str) -> None:
    sys.path.insert(0, str(FOLDER))  # where its modules are, as if it were called by its path
    sys.argv[0] = command
    runpy.run_path(str(FOLDER / script), run_name="__main__")


def capture() -> None:
    start("capture_router.py", "moecarlo-capture")


def import_() -> None:
    start("import_trace.py", "moecarlo-import")
