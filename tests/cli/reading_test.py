"""Large traces: all cores inflate one and give what a plain copy gives; memory is the packed table and a bounded
rest; what was read is kept beside the trace. MOECARLO_LARGE_TRACE: gigabytes of logits of the largest one."""

import json
import os
import subprocess
import sys
import unittest

import h5py
import numpy as np

import program
from program import INPUT

LARGEST = float(os.environ.get("MOECARLO_LARGE_TRACE", "0.7"))
LAYERS, EXPERTS, TOP_K, ROWS = 4, 128, 8, 512  # ROWS of a chunk
CHUNK = (ROWS, LAYERS, EXPERTS)
CHUNK_BYTES = 2 * ROWS * LAYERS * EXPERTS
MOST_BESIDE_TABLE = 512 << 20


def patterns():
    rng = np.random.default_rng(3)
    popular = -np.log(np.arange(1, EXPERTS + 1))
    return [(rng.gumbel(size=CHUNK) + popular).astype(np.float16) for _ in range(7)]


class Reading(program.ProgramTest):
    def write(self, name, chunks, stored):
        """A trace whose chunks are the patterns in turn: compressed, each of them once, or as plain numbers."""
        tokens = chunks * ROWS
        attributes, datasets = program.trace_parts(layers=LAYERS, experts=EXPERTS, top_k=TOP_K, lengths=[2])
        del datasets["expert_ids"]
        datasets["sequence_offsets"] = np.linspace(0, tokens, 11).astype(np.int64)
        path = self.folder / name
        program.write_trace(path, attributes, datasets)
        with h5py.File(path, "a") as trace:
            if not stored:
                trace["router_logits"] = np.concatenate([patterns()[i % 7] for i in range(chunks)])
                return path
            filters = dict(chunks=CHUNK, compression="gzip", compression_opts=1, shuffle=True)
            sample = trace.create_dataset("sample", (7 * ROWS, LAYERS, EXPERTS), np.float16, **filters)
            sample[:] = np.concatenate(patterns())
            raw = [sample.id.read_direct_chunk((i * ROWS, 0, 0))[1] for i in range(7)]
            logits = trace.create_dataset("router_logits", (tokens, LAYERS, EXPERTS), np.float16, **filters)
            for i in range(chunks):
                logits.id.write_direct_chunk((i * ROWS, 0, 0), raw[i % 7])
            del trace["sample"]
        return path

    def small_study(self, trace):
        path = self.folder / "study.toml"
        path.write_text(program.study_text(study={"trace": trace.name, "trajectories": 16}, grid={"depth": [1]}))
        return path

    def facts(self, output):
        with h5py.File(output / "tallies.h5") as tallies:
            facts = json.loads(tallies.attrs["trace"])
        del facts["path"]
        return facts

    def test_all_cores_inflate_what_stands_in_the_file(self):
        chunks = (80 << 20) // CHUNK_BYTES
        for name, stored in (("packed", True), ("plain", False)):
            trace = self.write(f"{name}.h5", chunks, stored)
            self.simulate(self.small_study(trace), self.folder / name)
        self.assertEqual(self.facts(self.folder / "packed"), self.facts(self.folder / "plain"))
        with h5py.File(self.folder / "packed.h5") as trace:  # damage far inside
            place = trace["router_logits"].id.get_chunk_info(chunks // 2).byte_offset
        with open(self.folder / "packed.h5", "r+b") as trace:
            trace.seek(place + 1000)
            trace.write(bytes(3000))
        self.refused(INPUT, "--quiet", "simulate", self.small_study(self.folder / "packed.h5"), "-o", self.folder / "out",
                     says="router_logits")

    @unittest.skipIf(program.SANITIZED, "memory of a sanitized program")
    def test_memory_is_the_packed_table_and_a_bounded_rest(self):
        chunks = int(LARGEST * 1e9) // CHUNK_BYTES
        trace = self.write("large.h5", chunks, True)
        code = ("import resource, subprocess, sys\n"
                "done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL)\n"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
                "sys.exit(done.returncode)\n")
        done = subprocess.run([sys.executable, "-c", code, program.MOECARLO, "--quiet", "simulate", self.small_study(trace),
                               "-o", self.folder / "out", "--backend", "cpu"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        table = chunks * ROWS * LAYERS * (EXPERTS // 64) * 8
        self.assertLess(int(done.stdout) << 10, table + MOST_BESIDE_TABLE)

    def test_what_was_read_is_kept_beside_the_trace(self):
        trace = self.write("trace.h5", 20, True)
        study = self.small_study(trace)
        self.simulate(study, self.folder / "first")
        for name in ("second", "third"):
            self.simulate(study, self.folder / name, "--table-cache")
            self.assertEqual((self.folder / name / "tallies.h5").read_bytes(),
                             (self.folder / "first/tallies.h5").read_bytes())
        kept = list(self.folder.glob("trace.h5.table-*.h5"))
        self.assertEqual(len(kept), 1)
        kept[0].write_bytes(kept[0].read_bytes()[:5000])
        self.simulate(study, self.folder / "fourth", "--table-cache")
        self.assertEqual((self.folder / "fourth/tallies.h5").read_bytes(), (self.folder / "first/tallies.h5").read_bytes())


if __name__ == "__main__":
    program.main()
