#!/usr/bin/python3
"""Two tallies.h5 hold the same integers: same integer datasets, same shapes, same values. Usage: compare_tallies.py A B

What is no integer (names, dates, seconds, floating-point summaries) is left out. Exit status 1 on a difference.
"""

import sys
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))
from accepted import open_accepted  # noqa: E402


def integer_datasets(path):
    """{name: array} of the integer datasets of a file."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iu":
            found[name] = item[()]

    with open_accepted(path) as tallies:
        tallies.visititems(visit)
    return found


def differences(first, second):
    lines = [f"{name}: only in one of the files" for name in sorted(first.keys() ^ second.keys())]
    for name in sorted(first.keys() & second.keys()):
        a, b = np.asarray(first[name]), np.asarray(second[name])
        if a.shape != b.shape:
            lines.append(f"{name}: shape {a.shape} and {b.shape}")
        elif not np.array_equal(a, b):
            lines.append(f"{name}: {np.count_nonzero(a != b)} of {a.size} values differ")
    return lines


def main():
    first, second = (integer_datasets(path) for path in sys.argv[1:3])
    if not any(np.any(values) for values in first.values()):
        sys.exit(f"{sys.argv[1]}: no integer dataset with a count in it")
    lines = differences(first, second)
    values = sum(np.size(values) for values in first.values())
    print("\n".join(lines) or f"{len(first)} integer datasets, {values} values: all equal")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
