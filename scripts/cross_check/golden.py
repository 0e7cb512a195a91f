#!/usr/bin/python3
"""What the simulation counts is what it counted: integers of random studies over every feature, against their digests.

Usage: golden.py GOLDEN_TALLIES DIGESTS [--write]. GOLDEN_TALLIES is a program of the build (tests/golden), DIGESTS a
file with a line a study: its number, a digest of every integer in its tallies.h5, what it is. --write makes the file
anew, which a change of what is counted needs and nothing else does. Exit status 1 on a difference.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from compare_tallies import integer_datasets, open_accepted

STUDIES = 120
# The digests were made when files named policies by these places.
POLICIES = ["static", "lru", "fifo", "lfu", "slru", "random", "belady", "belady-bypass", "hotness"]


def counted(path):
    """{name: array} of all integers, as files of the digests' version held them."""
    found = integer_datasets(path)
    with open_accepted(path) as tallies:
        for name, cell in tallies.items():
            if "policies" in cell.attrs:
                found[f"{name}/policies"] = [POLICIES.index(policy) for policy in cell.attrs["policies"].split()]
    return found


def digest(path):
    """Of names, shapes and values: neither the width of the integers nor their order in the file matters."""
    sum_ = hashlib.sha256()
    for name, values in sorted(counted(path).items()):
        sum_.update(f"{name} {np.shape(values)}\n".encode())
        sum_.update(np.asarray(values).astype("<i8").tobytes())
    return sum_.hexdigest()[:16]


def description(path):
    with open_accepted(path) as tallies:
        return tallies.attrs["study"]


def lines_of(program):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, folder, str(STUDIES)], check=True)
        return [f"{path.stem} {digest(path)} {description(path)}" for path in sorted(Path(folder).glob("*.h5"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("digests", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = lines_of(options.program)
    if options.write:
        options.digests.write_text("\n".join(found) + "\n")
    expected = options.digests.read_text().splitlines()
    different = [new for old, new in zip(expected, found) if old != new]
    print("\n".join(different) or f"{len(found)} studies: every integer as before")
    sys.exit(1 if different or len(expected) != len(found) else 0)


if __name__ == "__main__":
    main()
