#!/usr/bin/env python3
"""Includes follow the direction of the rooms, and CLI11 and CUDA headers stay where they belong.

The allowed edges are read from the `moecarlo_room(name folder dependency...)` lines of the root CMakeLists.txt: a room
includes itself, the rooms it names there (moecarlo_device: cuda/), and cuda/core. The tests' oracle knows the study and
nothing else. Usage: includes.py [ROOT]
"""

import re
import sys
from pathlib import Path

SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh"}
TREES = ("cuda", "host", "hw", "tests")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
ROOM = re.compile(r"^moecarlo_room\((\w+)\s+([\w/]+)([^)]*)\)", re.MULTILINE)
DEVICE_HEADER = re.compile(r"(cuda_runtime\w*|cuda_fp16|curand\w*|cooperative_groups)\.h|(thrust|cub|cuda/std)/")
# The hardware model sees what was counted, never a trace or a backend, whatever its room may name.
HIDDEN_FROM = {"hw/": re.compile(r"host/trace/|host/simulate/\w*(backend|code)|host/weights/\w*(counter|reader)")}
ORACLE = "tests/oracle/"  # shares no rule with what it checks
INTERFACES = ("host/simulate/backend.hpp", "host/statistics/resample.hpp", "host/trace/expert_selector.hpp",
              "host/simulate/parts_backend.hpp", "host/trace/table_ranker.hpp", "host/weights/format_counter.hpp",
              "host/weights/slice_counter.hpp",
              "host/parallel/device_draws.hpp")
SUPPORT = {"host/support/error.hpp", "host/support/float16.hpp", "host/support/poisson.hpp"}


def includes(path):
    """(is a project path, text) of each include line of a file."""
    return [(quote == '"', text) for quote, text in INCLUDE.findall(path.read_text())]


def rooms(root):
    """{folder: folders it may include}, as the build declares them."""
    found = ROOM.findall((root / "CMakeLists.txt").read_text())
    folder = {f"moecarlo_{name}": place for name, place, _ in found} | {"moecarlo_device": "cuda"}
    return {place: [folder[word] for word in words.split() if word in folder] for _, place, words in found}


def circles(edges):
    """Rooms that reach themselves."""

    def reach(start):
        seen, open_ = set(), list(edges[start])
        while open_:
            room = open_.pop()
            if room not in seen:
                seen.add(room)
                open_ += edges.get(room, [])
        return seen

    return [f"{room}: depends on itself (a circle of moecarlo_room lines)" for room in edges if room in reach(room)]


def backend_headers(root):
    """What the device side may see of host/: the interfaces it implements with all they include, and some support."""
    seen, open_ = set(SUPPORT), list(INTERFACES)
    while open_:
        name = open_.pop()
        if name not in seen and (root / name).is_file():
            seen.add(name)
            open_ += [text for project, text in includes(root / name) if project]
    return seen


def allowed(name, text, edges, backend):
    """Whether the file `name` may include the project path `text`."""
    if name.startswith("cuda/core/"):
        return text.startswith("cuda/core/")
    if name.startswith(ORACLE):
        return text.startswith(ORACLE) or text == "host/study/study.hpp"
    if name.startswith("cuda/"):
        return text.startswith("cuda/") or text in backend
    if name.startswith(("host/cli/", "tests/")) or text.startswith("cuda/core/"):
        return True
    room = next((room for room in edges if name.startswith(room + "/")), None)
    if room is None or any(room.startswith(tree) and hidden.match(text) for tree, hidden in HIDDEN_FROM.items()):
        return False
    return any(text.startswith(r + "/") for r in [room, *edges[room]])


def may_use_cuda(path, name, text):
    """Whether a file may include a CUDA header: .cu and .cuh any, host code of cuda/ the runtime's interface."""
    in_device_room = name.startswith("cuda/") and not name.startswith("cuda/core/")
    return path.suffix in {".cu", ".cuh"} or (in_device_room and text == "cuda_runtime_api.h")


def check(root):
    """One line for each include against the rules."""
    edges, backend = rooms(root), backend_headers(root)
    if not edges:
        return [f"{root}/CMakeLists.txt: no moecarlo_room line found"]
    problems = circles(edges)
    for path in sorted(p for tree in TREES for p in (root / tree).rglob("*") if p.suffix in SUFFIXES):
        name = path.relative_to(root).as_posix()
        for project, text in includes(path):
            if text.startswith("CLI/"):
                if not name.startswith("host/cli/"):
                    problems.append(f"{name}: includes {text} (CLI11 belongs to host/cli)")
            elif DEVICE_HEADER.match(text):
                if not may_use_cuda(path, name, text):
                    problems.append(f"{name}: includes {text} (CUDA headers belong to the .cu files of cuda/)")
            elif project and not allowed(name, text, edges, backend):
                problems.append(f"{name}: includes {text} (against the direction of the rooms)")
    return problems


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    problems = check(root)
    print("\n".join(problems) or "includes: every one follows the direction of the rooms")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
