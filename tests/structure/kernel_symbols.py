#!/usr/bin/env python3
"""The hot loops, compiled once for each instruction set, share no code: a weak function that several of them define would
be taken from one of them for all, so that a processor may meet instructions that it has not.

Usage: kernel_symbols.py OBJECT...
"""

import subprocess
import sys


def weak_functions(path):
    """The names of the functions that the linker may take from another object."""
    listing = subprocess.run(["nm", "-C", "--defined-only", path], check=True, capture_output=True, text=True).stdout
    return [line.split(" ", 2)[2] for line in listing.splitlines() if line.split(" ")[1] in "WV"]


def main():
    objects = sys.argv[1:]
    problems = [f"{path}: shares {name} (expected only its own loops)" for path in objects
                for name in weak_functions(path)]
    if not objects:
        problems = ["no object to look at (expected one for each instruction set)"]
    print("\n".join(problems) or f"kernel symbols: {len(objects)} instruction sets share no code")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
