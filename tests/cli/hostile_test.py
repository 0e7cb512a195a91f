"""No file breaks the program: what is made to crash, hang, fill the memory or steer the terminal is refused in one line."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

import program
from program import INPUT, RECORDED_TRACES, USAGE

FOUND = RECORDED_TRACES.parent / "field/hostile"  # files that once crashed or stopped the reader
MEMORY = 512 << 20
# Of what the library crashes on, it may find the damage first elsewhere: other releases, or with sanitizers.
CRASHED = r"damaged HDF5 file \(the HDF5 library (crashes on it: [A-Z][a-z ]+|gives up on it)\)"
NESTED = {"config": "num_hidden_layers", "profile": "conditional_accept_rates", "summary": "points",
          "bitslice": "matrices"}


class Hostile(program.ProgramTest):
    def measured(self, *arguments):
        """Runs the program; (result, largest resident size of a process of it)."""
        code = ("import resource, subprocess, sys\n"
                "done = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL)\n"
                "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=open(sys.argv[1], 'w'))\n"
                "sys.exit(done.returncode)\n")
        size = self.folder / "size"
        result = subprocess.run([sys.executable, "-c", code, size, program.MOECARLO, *map(str, arguments)],
                                capture_output=True, text=True, errors="surrogateescape", timeout=120)
        return result, int(size.read_text()) << 10

    def refused_within_limits(self, status, *arguments, says=(), line="[^\\n]+"):
        result, memory = self.measured(*arguments)
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertRegex(result.stderr, rf"\Amoecarlo: {line}\n\Z")
        for part in says:
            self.assertIn(part, result.stderr)
        self.assertLess(memory, MEMORY)
        self.assertLess(len(result.stderr), 1000)
        self.assertTrue(result.stderr[:-1].isprintable(), ascii(result.stderr))

    def found(self, name):
        if not (FOUND / name).exists():
            self.skipTest(f"{FOUND / name} is not there")
        return FOUND / name

    # ---- files that were found by mutation ---------------------------------------------------------------------------

    def found_is_refused(self, command, name, line):
        path = self.found(name)
        self.refused_within_limits(INPUT, command, path, line=f"{re.escape(str(path))}: {line}")

    def test_a_string_of_variable_length_that_crashed_the_library(self):
        self.found_is_refused("inspect", "trace-vlen-string-segv.h5", CRASHED)

    def test_an_enumeration_that_overflowed_the_stack(self):
        self.found_is_refused("inspect", "trace-enum-stack-overflow.h5", CRASHED)

    def test_twenty_kilobytes_that_took_minutes(self):
        # What HDF5 stumbles over first depends on what lies behind its buffers.
        self.found_is_refused("inspect", "trace-slow-1GB.h5", rf"(/@created_by: cannot read \([\w ]+\)|{CRASHED})")

    def test_weights_that_aborted_the_program(self):
        self.found_is_refused("bitslice", "weights-abort.h5", CRASHED)

    def test_every_file_that_was_found_is_here(self):
        here = Path(__file__).read_text()
        for path in sorted(self.found("").iterdir()):
            self.assertTrue(path.name == "make_nested.py" or path.name in here, path)

    # ---- files that declare more than they hold ------------------------------------------------------------------------

    def test_a_gigabyte_of_zeros_that_is_not_there(self):
        with open(self.folder / "zeros.h5", "wb") as zeros:
            zeros.truncate(1 << 30)
        self.refused_within_limits(INPUT, "inspect", self.folder / "zeros.h5", says=["zeros.h5: not a readable HDF5 file"])
        self.trace()
        with open(self.folder / "trace.h5", "r+b") as trace:
            trace.truncate(1 << 30)  # whole, with a hole behind it
        self.done("inspect", self.folder / "trace.h5")

    def bomb(self, tokens, **storage):
        attributes, datasets = program.trace_parts(layers=2, experts=64, top_k=2, lengths=[10])
        del datasets["expert_ids"]
        datasets["sequence_offsets"] = np.array([0, tokens], np.int64)
        program.write_trace(self.folder / "bomb.h5", attributes, datasets)
        with h5py.File(self.folder / "bomb.h5", "a") as file:
            file.create_dataset("router_logits", (tokens, 2, 64), np.float16, compression="gzip", compression_opts=9,
                                **storage)[:] = 0
        return self.folder / "bomb.h5"

    def test_a_chunk_that_inflates_a_thousand_times_is_read_within_the_limits(self):
        path = self.bomb(1 << 18, chunks=(1 << 18, 2, 64))  # 64 MiB of 64 KB
        self.assertLess(path.stat().st_size, 200_000)
        result, memory = self.measured("inspect", path)
        self.assertIn(result.returncode, (0, INPUT), result.stderr)
        self.assertLess(memory, MEMORY)

    def test_a_chunk_too_large_for_the_file_is_refused(self):
        path = self.bomb(1 << 19, chunks=(1 << 19, 2, 64))
        self.refused_within_limits(INPUT, "inspect", path, says=["router_logits: absurd chunks"])

    def test_a_million_sequences_are_read(self):
        attributes, datasets = program.trace_parts(layers=1, experts=4, top_k=1, lengths=[1_000_000])
        datasets["sequence_offsets"] = np.arange(1_000_001, dtype=np.int64)
        datasets["position"] = np.zeros(1_000_000, np.int32)
        datasets["context_offsets"] = np.arange(1_000_001, dtype=np.int64)
        datasets["context_token_ids"] = np.zeros(1_000_000, np.int32)
        program.write_trace(self.folder / "many.h5", attributes, datasets)
        result, memory = self.measured("inspect", self.folder / "many.h5")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertLess(memory, MEMORY)

    def test_extents_without_data_are_refused(self):
        attributes, datasets = program.trace_parts()
        del datasets["expert_ids"]
        program.write_trace(self.folder / "empty.h5", attributes, datasets)
        with h5py.File(self.folder / "empty.h5", "a") as file:
            file.create_dataset("expert_ids", (1 << 40, 1000, 2), np.uint8, chunks=(1000, 10, 2))
        self.refused_within_limits(INPUT, "inspect", self.folder / "empty.h5", says=["absurd extents"])

    def zeros(self, group, name, elements):
        """A dataset of as many bytes as there are elements, a thousandth of it in the file."""
        if name in group:
            del group[name]
        chunk = 1 << 22
        made = group.create_dataset(name, (elements,), np.uint8, chunks=(chunk,), compression="gzip", compression_opts=9)
        for first in range(0, elements, chunk):
            made[first:first + chunk] = 0

    def test_tallies_that_inflate_a_thousand_times_are_refused_within_the_limits(self):
        self.trace()
        self.simulate(self.study(grid={"policy": ["lru"]}), self.folder / "out")
        for place, name in (("cell_0000", "capacity_base"), ("cell_0000", "acceptance_thresholds"),
                            ("/", "population_starts")):
            for elements, says in ((100 << 20, "absurd compression"), (15 << 20, "")):  # as 8 bytes each
                shutil.copytree(self.folder / "out", self.folder / "bomb", dirs_exist_ok=True)
                with h5py.File(self.folder / "bomb/tallies.h5", "a") as file:
                    self.zeros(file[place], name, elements)
                with self.subTest(name=name, elements=elements):
                    self.refused_within_limits(INPUT, "evaluate", self.folder / "bomb",
                                               says=[f"tallies.h5: {'/' * (place != '/')}{place}", says])

    def test_counts_of_bit_slices_are_opened_once_the_program_accepted_them(self):
        scripts = Path(__file__).resolve().parents[2] / "scripts"
        weights = scripts.parent / "datasets/reference-weights.h5"
        self.done("bitslice", weights, "-o", self.folder)
        self.done("inspect", self.folder / "counts.h5")
        with h5py.File(self.folder / "counts.h5", "a") as counts:
            del counts["values"]
            counts["values"] = np.zeros((2, 3), np.int64)
        result = subprocess.run([sys.executable, scripts / "cross_check/bitslice.py", weights, self.folder],
                                env={**os.environ, "MOECARLO": program.MOECARLO}, capture_output=True, text=True)
        self.assertEqual(result.returncode, INPUT, result.stderr)
        self.assertRegex(result.stderr, r"\Amoecarlo: [^\n]*counts.h5: /values: wrong extents[^\n]*\n\Z")

    def test_a_pipe_that_nobody_writes_to_is_not_waited_for(self):
        self.trace()
        os.mkfifo(self.folder / "pipe")
        (self.folder / "out").mkdir()
        os.mkfifo(self.folder / "out/summary.json")
        os.mkfifo(self.folder / "out/tallies.h5")
        pipe, output = self.folder / "pipe", ["-o", self.folder / "new"]
        os.mkfifo(self.folder / "config.json")
        hardware = dict(model="config.json", systems=["xpu"])
        for status, says, arguments in (
                (INPUT, "pipe: not a file", ["inspect", pipe]),
                (INPUT, "pipe: not a file", ["bitslice", pipe]),
                (INPUT, "tallies.h5: not a file", ["evaluate", self.folder / "out"]),
                (INPUT, "summary.json: an empty pipe", ["report", self.folder / "out"]),
                (USAGE, "pipe: an empty pipe", ["simulate", pipe, *output]),
                (INPUT, "config.json: an empty pipe",
                 ["simulate", self.study("a.toml", hardware=hardware), *output]),
                (INPUT, "pipe: an empty pipe",
                 ["simulate", self.study("b.toml", acceptance={"model": "positions", "profile": "pipe"}), *output]),
                (INPUT, "pipe: an empty pipe", ["reproduce", "elmoe3d", "--law-only", "--published", pipe])):
            with self.subTest(command=arguments[0], says=says):
                self.refused_within_limits(status, *arguments, says=[says])

    # ---- damage is damage ----------------------------------------------------------------------------------------------

    def test_an_attribute_whose_kind_is_damaged_is_not_taken_as_absent(self):
        path = self.trace()
        whole = bytearray(path.read_bytes())
        at = whole.index(b"scoring\0")  # inside an attribute message of version 1: 8 bytes of header, then 8 more
        self.assertEqual(whole[at - 16:at - 14], b"\x0c\x00", "where the kind of the message was expected")
        whole[at - 16] = 0x3C
        path.write_bytes(whole)
        self.refused_within_limits(INPUT, "inspect", path, says=["trace.h5: /: damaged header"])

    # ---- text ------------------------------------------------------------------------------------------------------------

    def test_json_nested_deep(self):
        small = dict(model_type="qwen3_moe", hidden_size=512, num_hidden_layers=3, vocab_size=1000, num_attention_heads=8,
                     num_key_value_heads=2, head_dim=64, num_experts=16, num_experts_per_tok=2, moe_intermediate_size=256)
        (self.folder / "small.json").write_text(json.dumps(small))
        for kind, key in NESTED.items():
            path = self.folder / f"{kind}.json"
            path.write_text('{"%s": %s}' % (key, "[" * 200_000 + "]" * 200_000))  # as make_nested.py writes it
            line = (rf"[^\n]*{kind}\.json:1:\d+: nested too deep \(expected at most \d+ arrays and objects inside each "
                    r"other\)")
            self.trace()
            study = {"config": dict(hardware={"model": "config.json", "systems": ["xpu"]}),
                     "bitslice": dict(hardware={"model": "small.json", "systems": ["xpu"],
                                                "bit_slices": "bitslice.json"}),
                     "profile": dict(acceptance={"model": "positions", "profile": "profile.json"})}.get(kind)
            with self.subTest(kind=kind):
                if kind == "summary":
                    self.refused_within_limits(INPUT, "report", self.folder, line=line)
                else:
                    arguments = ["simulate", self.study(**study), "-o", self.folder / "out"]
                    self.refused_within_limits(INPUT, *arguments, line=line)

    def test_toml_nested_deep(self):
        for text in ("a." * 200_000 + "a = 1", "[" + "a." * 200_000 + "a]", "a = " + "[" * 200_000):
            (self.folder / "study.toml").write_text("\n" + text)
            self.refused_within_limits(USAGE, "simulate", self.folder / "study.toml", "-o", self.folder / "out",
                                       says=["study.toml:2: "])

    def test_texts_of_files_do_not_steer_the_terminal(self):
        evil = "a\x1b[2J\x07\r\n\u009b31m\u202eb\x7f"
        attributes, datasets = program.trace_parts()
        program.write_trace(self.folder / "trace.h5", {**attributes, "model": evil, "source": evil, "licence": evil},
                            datasets)
        for command in (["inspect"], ["inspect", "--json"], ["locality"], ["locality", "--json"],
                        ["cache", "--policy", "lru", "--capacity", "2"],
                        ["cache", "--policy", "lru", "--capacity", "2", "--json"]):
            result = self.done(*command, self.folder / "trace.h5")
            self.assertTrue(all(line.isprintable() for line in (result.stdout + result.stderr).split("\n")), command)
        with h5py.File(self.folder / "trace.h5", "a") as trace:
            trace.attrs["scoring"] = evil + "x" * 60_000
        self.refused_within_limits(INPUT, "inspect", self.folder / "trace.h5", says=["unknown scoring", "a\\x1b[2J"])
        (self.folder / "study.toml").write_bytes(b'[study]\n"k\\u001b[31m" = 1\ntrace = "trace.h5"\n[grid]\ncapacity = [2]\n'
                                                  b'[acceptance]\nmodel = "constant"\nalpha = 0.5\n')
        self.refused_within_limits(USAGE, "simulate", self.folder / "study.toml", "-o", self.folder / "out",
                                   says=["study.toml:2: unknown key study.k\\x1b[31m"])
        (self.folder / "published.csv").write_bytes(b"hb_gb,\x1b[31m\xff\n")
        self.refused_within_limits(INPUT, "reproduce", "elmoe3d", "--law-only", "--published",
                                   self.folder / "published.csv", says=["published.csv:1", "\\x1b[31m\\xff"])


if __name__ == "__main__":
    program.main()
