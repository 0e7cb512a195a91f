#!/usr/bin/env python3
"""A check of the device code that needs no GPU: each kernel, compiled to PTX, still loads, stores and counts bits.

nvcc can turn a host-only call in a kernel into "unreachable" and leave an empty kernel without a diagnostic. So each
.cu below cuda/ is compiled with `nvcc -ptx`, and every kernel entry must hold a load from and a store or atomic to
global memory. A replay, which is a template over the words of an expert mask, must count bits as well. Device functions
an entry calls count as its own; kernels of Thrust and CUB are left out. Exit status 77, a skip, where there is no nvcc
of CUDA 12 or newer.
Usage: ptx.py [ROOT [nvcc option...]]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SKIPPED = 77
# Little optimization, a fifth of the time, is enough to drop what stands behind an "unreachable". Kernels that are compiled
# for each width of mask apart (MoecarloCuda.cmake) are looked at in one.
FLAGS = ["-ptx", "-std=c++20", "-arch=sm_80", "-Werror=all-warnings", "-Xcicc", "-O1", "-DMOECARLO_WORDS=2"]
# A function opens with .entry or .func, has parameters in parentheses, and ends at a brace in the first column.
FUNCTION = re.compile(r"\.(entry|func)\s+(?:\([^)]*\)\s*)?([\w$]+)\s*(?:\([^)]*\))?[^;{]*\{(.*?)\n\}", re.DOTALL)
CALL = re.compile(r"\bcall(?:\.uni)?\s+(?:\([^)]*\),\s*)?([\w$]+)")
FOREIGN = ("_ZN3cub", "_ZN6thrust")
# An access without a state space goes through a generic address, which covers global memory.
SPACE = r"(?:\.(?:volatile|relaxed|acquire|release|weak|sys|gpu|cta))*(?:\.global|(?=\.(?:nc|v[24]|[busf]\d+)\b))"
LOAD = re.compile(r"\bld" + SPACE)
STORE = re.compile(r"\bst" + SPACE + r"|\b(?:atom|red)\.(?!\S*shared)")
MASK_WORDS = re.compile(r"replay_[a-z]+ILi\d+E")  # a replay with a mangled template argument of type int
POPCOUNT = re.compile(r"\bpopc\.b(?:32|64)\b")


def find_nvcc():
    """(nvcc, ""), or (None, why not): CUDA 12 or newer is what the kernels are written for."""
    nvcc = os.environ.get("CUDACXX") or shutil.which("nvcc") or shutil.which("/usr/local/cuda/bin/nvcc")
    if nvcc is None:
        return None, "no nvcc on this machine"
    release = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    major = re.search(r"release (\d+)", release)
    return (nvcc, "") if major and int(major[1]) >= 12 else (None, f"{nvcc} is older than CUDA 12")


def kernels(ptx):
    """{entry: its instructions and those of the device functions it calls}, without the entries of CUB and Thrust."""
    functions = {name: (kind, body) for kind, name, body in FUNCTION.findall(ptx)}

    def whole(name, seen):
        seen.add(name)
        body = functions[name][1]
        return body + "".join(whole(f, seen) for f in CALL.findall(body) if f in functions and f not in seen)

    own = [name for name, (kind, _) in functions.items() if kind == "entry" and not name.startswith(FOREIGN)]
    return {name: whole(name, set()) for name in own}


def problems_of(ptx, source):
    """One line for each kernel of a PTX text that lacks what it must have."""
    lines = []
    for name, body in kernels(ptx).items():
        wanted = [(LOAD, "ld.global"), (STORE, "st.global, atom.global or red.global")]
        wanted += [(POPCOUNT, "popc")] if MASK_WORDS.search(name) else []
        lines += [f"{source}: kernel {name} has no {what}" for pattern, what in wanted if not pattern.search(body)]
    return lines


def compile_to_ptx(nvcc, root, source, options):
    """(PTX text, complaint): one of them is empty."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "kernel.ptx"
        command = [nvcc, *FLAGS, f"-I{root}", *options, "-o", str(target), str(source)]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            return "", f"{source.relative_to(root)}: does not compile\n{run.stdout}{run.stderr}"
        return target.read_text(), ""


def check(root, nvcc, options=()):
    """(problems, kernels seen); that the simulation has kernels on masks at all is one of the checks."""
    sources = sorted((root / "cuda").rglob("*.cu"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda source: compile_to_ptx(nvcc, root, source, options), sources))
    problems, seen = [], []
    for source, (ptx, complaint) in zip(sources, results):
        seen += kernels(ptx)
        problems += [complaint] if complaint else []
        problems += problems_of(ptx, source.relative_to(root))
    if not problems and not any(MASK_WORDS.search(name) for name in seen):
        problems.append(f"{root}/cuda: no kernel over mask words found in {len(sources)} .cu files")
    return problems, seen


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    nvcc, why_not = find_nvcc()
    if nvcc is None:
        print(f"ptx: skipped, {why_not}")
        sys.exit(SKIPPED)
    problems, seen = check(root, nvcc, sys.argv[2:])
    print("\n".join(problems) or f"ptx: {len(seen)} kernels load, store and count bits as they should")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
