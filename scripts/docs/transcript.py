#!/usr/bin/env python3
"""Replays docs/transcript.md: its commands run, in order, in a folder that holds what the page says a user has.

    transcript.py build/cpu/moecarlo           writes what they said into the page
    transcript.py build/cpu/moecarlo --check   says where they say something else, with status 1
"""

import argparse
import base64
import difflib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/transcript.md"
LAYERS, EXPERTS, TOP_K = 6, 32, 4


def write_answers(folder):
    """Answers as a vLLM server gives them: in each layer some experts are popular, in each answer some more so."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    rank = rng.permuted(np.tile(np.arange(1, EXPERTS + 1), (LAYERS, 1)), axis=1)
    for number in range(20):
        tokens = int(rng.integers(60, 100))
        scores = rng.gumbel(size=(tokens, LAYERS, EXPERTS)) - np.log(rank) + rng.normal(size=(LAYERS, EXPERTS))
        file = io.BytesIO()
        np.save(file, np.argsort(-scores, axis=2, kind="stable")[:, :, :TOP_K].astype(np.uint8))
        prompt = tokens // 3
        answer = {"prompt_token_ids": list(range(prompt)), "token_ids": list(range(tokens + 1 - prompt)),
                  "routed_experts": base64.b64encode(file.getvalue()).decode()}
        (folder / f"{number:02}.json").write_text(json.dumps({"choices": [answer]}))


def write_commands(folder, program):
    """`moecarlo` and `moecarlo-import` by the names that an installation gives them."""
    folder.mkdir()
    (folder / "moecarlo").symlink_to(Path(program).resolve())
    script = folder / "moecarlo-import"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "scripts/capture/import_trace.py"} "$@"\n')
    script.chmod(0o755)


def said(command, folder):
    """What a command prints, stdout first: progress and notes on stderr are not the answer."""
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(f"{PAGE.name}: {command}: {done.stderr.strip()}")
    return done.stdout


def replayed(page, folder):
    def block(match):
        commands = [line for line in match[1].splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{line}\n{said(line[2:], folder)}" for line in commands) + "```"
    return re.sub(r"```console\n(.*?)```", block, page, flags=re.S)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", metavar="MOECARLO")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as name:
        write_answers(Path(name) / "answers")
        write_commands(Path(name) / "bin", options.program)
        now = replayed(page, Path(name))
    if not options.check:
        PAGE.write_text(now)
    elif now != page:
        sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), now.splitlines(True), "page", "now"))
        sys.exit(1)


if __name__ == "__main__":
    main()
