"""The worked notebooks run from first cell to last, and are committed without outputs. Usage: notebooks_test.py"""

import os
import sys
import unittest
from pathlib import Path

try:
    import nbformat
    from nbclient import NotebookClient
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

FOLDER = Path(__file__).resolve().parents[2] / "docs/notebooks"


class Notebooks(unittest.TestCase):
    def test_every_notebook_runs(self):
        names = sorted(FOLDER.glob("*.ipynb"))
        self.assertGreaterEqual(len(names), 3)
        for name in names:
            with self.subTest(name.name):
                notebook = nbformat.read(name, as_version=4)
                for cell in notebook.cells:
                    self.assertFalse(cell.get("outputs"), "committed with outputs")
                NotebookClient(notebook, timeout=120, kernel_name="python3").execute()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    unittest.main(argv=sys.argv[:1])
