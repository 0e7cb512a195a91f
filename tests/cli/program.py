"""What the tests of the program share: running it, small traces, small studies.

Every test file is started as `NAME_test.py MOECARLO RECORDED_TRACES` and ends with `program.main()`.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

MOECARLO, RECORDED_TRACES = sys.argv[1], Path(sys.argv[2])
CROSS_CHECK = Path(__file__).resolve().parents[2] / "scripts/cross_check"
SANITIZED = "MOECARLO_SANITIZED" in os.environ  # a program several times as slow and as large
os.environ["MOECARLO_PNG"] = "0"  # copies of figures take longer than small studies
USAGE, INPUT, MACHINE, INTERRUPTED = 2, 3, 4, 75  # exit statuses

LENGTHS = [30, 12, 25, 18, 40, 9, 22, 35, 16, 28, 33, 21]


def routing(tokens, layers=3, experts=16, seed=5):
    """Scores [tokens][layers][experts] in which some experts are more popular than others."""
    rng = np.random.default_rng(seed)
    rank = rng.permuted(np.tile(np.arange(1, experts + 1), (layers, 1)), axis=1)
    return (rng.gumbel(size=(tokens, layers, experts)) - np.log(rank)).astype(np.float32)


def trace_parts(layers=3, experts=16, top_k=2, lengths=LENGTHS, form="expert_ids", seed=5):
    """Attributes and datasets of a valid trace, for a test to break one of them."""
    scores = routing(sum(lengths), layers, experts, seed)
    attributes = dict(schema="moecarlo-trace", schema_version=1, model="random", num_experts=experts, top_k=top_k,
                      num_shared_experts=0, scoring="softmax", renormalize=True)
    datasets = {"sequence_offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)}
    if form == "router_logits":
        datasets[form] = scores
    else:
        datasets[form] = np.argsort(-scores, axis=2, kind="stable")[:, :, :top_k].astype(np.uint8)
    return attributes, datasets


def write_trace(path, attributes, datasets):
    with h5py.File(path, "w") as trace:
        trace.attrs.update(attributes)
        for name, values in datasets.items():
            trace[name] = values


def toml(**tables):
    """A study file: toml(study={...}, grid={...}, ...). JSON's lists, numbers and texts are TOML's, too."""
    lines = []
    for table, keys in tables.items():
        inner = {key: value for key, value in keys.items() if isinstance(value, dict)}
        lines += [f"[{table}]"] + [f"{key} = {json.dumps(value)}" for key, value in keys.items() if key not in inner]
        for name, rows in inner.items():
            lines += [f"[{table}.{name}]"] + [f'"{key}" = {json.dumps(value)}' for key, value in rows.items()]
    return "\n".join(lines) + "\n"


def study_text(study=None, grid=None, acceptance=None, **others):
    """A study over trace.h5; what is not given has a small default."""
    return toml(
        study={"trace": "trace.h5", "trajectories": 256, **(study or {})},
        grid={"depth": [0, 3], "policy": ["static", "lru"], "capacity": [2, 5], **(grid or {})},
        acceptance={"alpha": 0.6} if acceptance is None else acceptance,
        **others,
    )


def run(*arguments, **options):
    """Runs the program; text in stdout and stderr."""
    command = [MOECARLO, *map(str, arguments)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=3000 if SANITIZED else 300, **options)


class ProgramTest(unittest.TestCase):
    """A folder of its own for every test, with `trace.h5` and `study.toml` on demand."""

    maxDiff = 2000

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def trace(self, name="trace.h5", **shape):
        write_trace(self.folder / name, *trace_parts(**shape))
        return self.folder / name

    def study(self, name="study.toml", **tables):
        (self.folder / name).write_text(study_text(**tables))
        return self.folder / name

    def done(self, *arguments, **options):
        result = run(*arguments, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def refused(self, status, *arguments, says=()):
        """One line on stderr, nothing on stdout, the exit status."""
        result = run(*arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertRegex(result.stderr, r"\Amoecarlo: [^\n]+\n\Z")
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part, result.stderr)

    def simulate(self, study, output, *options):
        return self.done("--quiet", "simulate", study, "-o", output, "--backend", "cpu", *options)

    def files(self, folder):
        return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def summary(directory):
    return json.loads((directory / "summary.json").read_text())


def integers(directory):
    """{name: array} of the integer datasets of tallies.h5."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(directory / "tallies.h5", "r") as tallies:
        tallies.visititems(visit)
    return found


def main():
    unittest.main(argv=sys.argv[:1])
