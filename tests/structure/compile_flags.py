#!/usr/bin/env python3
"""No build file and no compile command passes --expt-relaxed-constexpr.

With it, nvcc 13 and the headers of g++ 12 compile the 64-bit functions of <bit> to wrong device code without a word.
Usage: compile_flags.py [ROOT [BUILD]]
"""

import re
import sys
from pathlib import Path

FLAG = re.compile(r"-?-expt-relaxed-constexpr|CUDA_CONSTEXPR_RELAXED")


def build_files(root):
    scripts = [path for path in (root / "scripts").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    lists = [path for tree in ("cuda", "host", "hw", "tests") for path in (root / tree).rglob("CMakeLists.txt")]
    named = [root / "CMakeLists.txt", root / "CMakePresets.json", *(root / "tests").glob("*.cmake")]
    return [path for path in named if path.exists()] + lists + scripts


def check(root, build=None):
    problems = []
    for path in build_files(root):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if FLAG.search(line.split("#", 1)[0]):
                problems.append(f"{path.relative_to(root)}:{number}: passes --expt-relaxed-constexpr")
    commands = build / "compile_commands.json" if build else None
    if commands and commands.exists() and FLAG.search(commands.read_text()):
        problems.append(f"{commands}: a compile command passes --expt-relaxed-constexpr")
    return problems


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    problems = check(root, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    print("\n".join(problems) or "compile flags: no --expt-relaxed-constexpr")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
