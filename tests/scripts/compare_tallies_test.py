#!/usr/bin/env python3
"""scripts/cross_check/compare_tallies.py sees every difference in an integer, and no other."""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/cross_check/compare_tallies.py"
COUNTS = np.arange(6, dtype=np.uint64).reshape(2, 3)


class CompareTallies(unittest.TestCase):
    def status(self, first, second):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("a.h5", "b.h5")]
            for path, datasets in zip(paths, (first, second)):
                with h5py.File(path, "w") as tallies:
                    for name, values in datasets.items():
                        tallies[name] = values
            # What the program says of such small files is not asked: a program that accepts anything stands in for it.
            return subprocess.run([sys.executable, SCRIPT, *paths], capture_output=True,
                                  env={**os.environ, "MOECARLO": "/bin/true"}).returncode

    def test_equal_integers_pass_whatever_the_other_datasets_say(self):
        self.assertEqual(self.status({"g/n": COUNTS, "backend": "cpu"}, {"g/n": COUNTS, "backend": "cuda"}), 0)

    def test_one_count_off_by_one_fails(self):
        other = COUNTS.copy()
        other[1, 2] += 1
        self.assertEqual(self.status({"g/n": COUNTS}, {"g/n": other}), 1)

    def test_another_shape_fails(self):
        self.assertEqual(self.status({"g/n": COUNTS}, {"g/n": COUNTS.ravel()}), 1)

    def test_a_missing_dataset_fails(self):
        self.assertEqual(self.status({"g/n": COUNTS, "m": COUNTS}, {"g/n": COUNTS}), 1)

    def test_files_without_any_count_fail(self):
        self.assertEqual(self.status({"g/n": 0 * COUNTS}, {"g/n": 0 * COUNTS}), 1)


if __name__ == "__main__":
    unittest.main()
