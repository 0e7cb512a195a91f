"""The Python package is typed: a strict type checker finds nothing in it, and believes what it says of itself. Needs mypy.

Usage: typing_test.py [MOECARLO]; without it, the installed package is checked.
"""

import os
import subprocess
import sys
import tempfile
import unittest
from importlib.util import find_spec
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "host/python" if len(sys.argv) > 1 else None
if find_spec("mypy") is None:
    print("skipped: no mypy")
    sys.exit(77)

USE = '''
import moecarlo

study = moecarlo.Study("trace.h5", {"depth": [0, 4]}, {"alpha": [0.5, 0.7]}, trajectories=64)
reveal_type(moecarlo.run(study, "out", force=True))
moecarlo.plot("out", "hit_rate", columns="two")
'''


# The scripts of capture lie in an installed package too: programs, no interface.
SETTINGS = """
[mypy]
strict = True
ignore_missing_imports = True
[mypy-moecarlo.capture.*]
ignore_errors = True
"""


class Typing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "mypy.ini").write_text(SETTINGS)

    def mypy(self, *arguments):
        environment = {**os.environ, **({"MYPYPATH": str(SOURCE)} if SOURCE else {})}
        return subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", self.folder / "cache", *arguments],
                              cwd=self.folder, capture_output=True, text=True, env=environment)

    def test_a_strict_checker_finds_nothing_and_knows_the_types_of_users(self):
        done = self.mypy("-p", "moecarlo")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (self.folder / "use.py").write_text(USE)
        done = self.mypy("use.py")
        self.assertIn('Revealed type is "moecarlo.results.Results"', done.stdout)
        self.assertIn('"plot" has incompatible type "str"; expected "int"', done.stdout)
        self.assertIn("Found 1 error", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
