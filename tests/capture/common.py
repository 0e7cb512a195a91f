"""What the tests of scripts/capture share: the scripts' folder on the path, running a script, small files."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts/capture"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "scripts/reference_model")]
MOECARLO = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
USAGE, INPUT, MACHINE, INTERRUPTED = 2, 3, 4, 75


class ScriptTest(unittest.TestCase):
    """A folder of its own for every test."""

    maxDiff = 2000

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_script(self, name, *arguments, **options):
        command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=240, **options)

    def done(self, name, *arguments):
        result = self.run_script(name, *arguments)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def refused(self, status, words, name, *arguments):
        """The script leaves with `status` and one line that holds all `words`; nothing unfinished stays behind."""
        result = self.run_script(name, *arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        lines = [line for line in result.stderr.splitlines() if line.startswith(name)]
        self.assertEqual(len(lines), 1, result.stderr)
        self.assertNotIn("Traceback", result.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        self.assertEqual([p.name for p in self.folder.iterdir() if ".tmp-" in p.name or p.name.startswith(".")], [])

    def moecarlo(self, *arguments):
        if MOECARLO is None:
            self.skipTest("no moecarlo given")
        result = subprocess.run([MOECARLO, *map(str, arguments)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def inspected(self, trace):
        return json.loads(self.moecarlo("inspect", trace, "--json"))


def random_ids(rng, tokens, layers, experts, top_k):
    return rng.permuted(np.broadcast_to(np.arange(experts), (tokens, layers, experts)), axis=-1)[..., :top_k].copy()
