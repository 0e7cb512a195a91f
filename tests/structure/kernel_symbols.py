#!/usr/bin/env python3
"""The hot loops, compiled once for each instruction set, share no code: a weak function that several of them define would
be taken from one of them for all, so that a processor may meet instructions that it has not. What is weak in an object
must lie in the namespace of its set.

Usage: kernel_symbols.py OBJECT...
"""

import re
import subprocess
import sys


def shared_functions(path):
    """The functions that the linker may take from an object of another set, or of none."""
    sets = re.search(r"moecarlo_[a-z]+_(baseline|x86_64_v\d)_\d+\.dir", path).group(1)
    name = f"moecarlo_{sets}"
    own = re.compile(rf"_Z[ZNK]*{len(name)}{name}")
    listing = subprocess.run(["nm", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    weak = [name for _, kind, name in (line.split(" ", 2) for line in listing.splitlines()) if kind in "WVu"]
    return [name for name in weak if not own.match(name) and not name.startswith("DW.ref.")]  # which is where code lies


def main():
    objects = sys.argv[1:]
    problems = [f"{path}: shares {name} (expected only what lies in the namespace of its set)" for path in objects
                for name in shared_functions(path)]
    if not objects:
        problems = ["no object to look at (expected one for each instruction set)"]
    print("\n".join(problems) or f"kernel symbols: {len(objects)} instruction sets share no code")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
