"""HDF5 files from elsewhere, opened once the program has accepted them.

h5py reads with the HDF5 library in this very process, and that library is not made for hostile files: some make it crash,
hang or take gigabytes. The program reads them in a process of their own and checks every rule of their format."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py


def program():
    """$MOECARLO, the newest build of this source tree, or what the shell finds."""
    builds = sorted(Path(__file__).resolve().parents[2].glob("build/*/moecarlo"), key=lambda path: path.stat().st_mtime)
    found = os.environ.get("MOECARLO") or (builds[-1] if builds else shutil.which("moecarlo"))
    if not found:
        sys.exit(f"{Path(sys.argv[0]).name}: no program moecarlo to check files with (expected a build, or $MOECARLO)")
    return found


def open_accepted(path):
    """An h5py file, for reading. Ends this process with the program's line and status where the program refuses it."""
    checked = subprocess.run([program(), "--quiet", "inspect", str(path)], stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    if checked.returncode:
        sys.stderr.write(checked.stderr)
        sys.exit(checked.returncode if checked.returncode > 0 else 4)
    return h5py.File(path, "r")
