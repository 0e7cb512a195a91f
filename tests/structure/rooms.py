#!/usr/bin/env python3
"""The picture of the rooms in docs/architecture.md is that of the build.

An arrow leads from a room to one that includes it; one that others imply is left out. Usage: rooms.py ROOT [--write]
"""

import re
import sys
from pathlib import Path

import includes

BLOCK = re.compile(r"(?<=```mermaid\n).*?(?=```)", re.DOTALL)


def reached(room, edges, but=None):
    """The rooms that one includes, by whatever way; not by the arrow to `but`."""
    seen, open_ = set(), [next_ for next_ in edges[room] if next_ != but]
    while open_:
        room = open_.pop()
        if room not in seen:
            seen.add(room)
            open_ += edges.get(room, [])
    return seen


def picture(root):
    edges = includes.rooms(root)
    edges["cuda"] = ["host/simulate", "host/trace", "host/weights"]  # the interfaces that it implements
    edges["host/cli"] = [room for room in edges if room != "host/cli"]
    edges["cuda/core"] = []
    for room in ("host/study", "host/simulate"):
        edges[room] = [*edges[room], "cuda/core"]
    lines = ["flowchart LR"]
    for room in edges:
        lines += [f"  {other} --> {room}" for other in dict.fromkeys(edges[room])
                  if other not in reached(room, edges, but=other)]
    return "\n".join(lines) + "\n"


def main():
    root = Path(sys.argv[1]).resolve()
    page = root / "docs/architecture.md"
    text, found = page.read_text(), picture(root)
    if "--write" in sys.argv[2:]:
        page.write_text(BLOCK.sub(found, text))
        return
    current = BLOCK.search(text)
    if current is None or current[0] != found:
        sys.exit("docs/architecture.md: the picture of the rooms is another than the build's (tests/structure/rooms.py "
                 ". --write draws it)")
    print(f"rooms: {found.count('-->')} arrows, none backwards")


if __name__ == "__main__":
    main()
