"""What the tests of scripts/capture share: the scripts' folder on the path, running a script, small files."""

import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
import unittest
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts/capture"
sys.path[:0] = [str(SCRIPTS), str(ROOT / "scripts/reference_model")]
MOECARLO = Path(sys.argv.pop(1)).resolve() if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
USAGE, INPUT, MACHINE, INTERRUPTED = 2, 3, 4, 75
WRITERS = ("import_trace.py", "import_arrays.py", "export_weights.py")  # tests call them again and again for one name


def run_forked(command, folder, output, errors):
    """The script as __main__, and the end of this process."""
    status = 1
    try:
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
        os.chdir(folder)
        sys.argv = command
        signal.alarm(240)
        runpy.run_path(command[0], run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class ScriptTest(unittest.TestCase):
    """A folder of its own for every test."""

    maxDiff = 2000

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_script(self, name, *arguments, force=True, **options):
        """In a process of its own: a fork of this one, which has NumPy and h5py loaded already, where nothing is asked
        of its surroundings."""
        command = [str(SCRIPTS / name), *map(str, arguments), *["--force"] * (force and name in WRITERS)]
        if options:
            return subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=self.folder,
                                  timeout=240, **options)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            child = os.fork()
            if child == 0:
                run_forked(command, self.folder, output, errors)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = [file.seek(0) or file.read().decode() for file in (output, errors)]
        return subprocess.CompletedProcess(command, status, *texts)

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
