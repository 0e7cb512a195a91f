#!/usr/bin/env python3
"""Every header of cuda/core compiles alone, as plain C++ with no CUDA. Usage: core_headers.py COMPILER [ROOT]"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++", "-"]


def compile_alone(compiler, root, header):
    """The compiler's complaint about a file that includes only `header`, twice; empty when there is none."""
    source = f'#include "{header}"\n' * 2
    run = subprocess.run([compiler, f"-I{root}", *FLAGS], input=source, capture_output=True, text=True)
    return f"{header}: does not compile alone\n{run.stderr}" if run.returncode else ""


def check(root, compiler):
    headers = sorted(p.relative_to(root).as_posix() for p in (root / "cuda/core").rglob("*.hpp"))
    if not headers:
        return [f"{root}/cuda/core: no header found"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda header: compile_alone(compiler, root, header), headers)
    return [result for result in results if result]


def main():
    root = Path(sys.argv[2] if len(sys.argv) > 2 else ".").resolve()
    problems = check(root, sys.argv[1])
    print("\n".join(problems) or "core headers: each compiles alone")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
