"""What the capture script, the importers and the weights exporter share. See README.md in the folder above.

Import it first: where NumPy or h5py is missing it says so in one line.
"""

import importlib.util
import os
import sys


def need(*packages):
    """Leaves with one line and status 4 where a package is missing."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(_missing(missing))


def _missing(names):
    print(f"{os.path.basename(sys.argv[0])}: {', '.join(names)} missing in {sys.executable} (expected it installed: "
          f"pip install {' '.join(names)})", file=sys.stderr)
    return 4


need("numpy", "h5py")
