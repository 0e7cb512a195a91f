"""Tables of loads are what the counts of other tools sum to; files of counts and of routing are told apart."""

import csv
import io
import json
import pickle
import random
import unittest
from contextlib import redirect_stderr
from pathlib import Path

import h5py
import numpy as np

import common
import layouts
from common import INPUT, USAGE

from importer import OPTIONS
from routertrace import counts, formats
from routertrace.keys import Notes
from routertrace.refusal import Refusal

PASSES = {0: [3, 1, 0, 2], 1: [2, 2, 1, 1]}
SUMMED = {0: [3, 1, 0, 2], 1: [1, 3, 1, 1]}
IMPORTANCE = {0: [3, 0, 4, 1], 1: [2, 2, 2, 2]}
BALANCER = {0: [5, 1, 0, 2], 1: [2, 2, 2, 2]}


class CountsTest(common.ScriptTest):
    def counted(self, *files):
        result = self.done("import_trace.py", *files, "-o", "loads.csv")
        with open(self.folder / "loads.csv") as file:
            head, *rows = csv.reader(file)
        self.assertEqual(head, ["layer", *map(str, range(len(head) - 1))])
        return {int(layer): list(map(int, row)) for layer, *row in rows}, result.stderr

    def refused_counts(self, words, name="a.pt"):
        self.refused(INPUT, [name, *words], "import_trace.py", name, "-o", "l.csv")

    def write(self, name, data):
        (self.folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())

    def write_all(self):
        """A valid file of every layout, with its counts."""
        layouts.save_torch(self.folder / "stat.pt", layouts.STAT)
        layouts.save_torch(self.folder / "per_pass.pt", layouts.counted_passes())
        layouts.save_torch(self.folder / "weight.pt", np.array(list(BALANCER.values())))
        self.write("imatrix.gguf", layouts.importance(layouts.COUNTS))
        self.write("logical_count.json", json.dumps({"logical_count": list(BALANCER.values())}))
        np.save(self.folder / "weight.npy", np.array(list(BALANCER.values()), np.float32))
        return {"stat.pt": SUMMED, "per_pass.pt": PASSES, "weight.pt": BALANCER, "imatrix.gguf": IMPORTANCE,
                "logical_count.json": BALANCER, "weight.npy": BALANCER}


class Counts(CountsTest):
    def test_every_layout_has_its_counts(self):
        for name, expected in self.write_all().items():
            with self.subTest(name):
                self.assertEqual(self.counted(name)[0], expected)

    def test_passes_are_summed_and_empty_ones_of_a_ring_said(self):
        layouts.save_torch(self.folder / "a.pt", layouts.STAT)
        self.assertIn("3 passes summed, 1 of them empty", self.counted("a.pt")[1])

    def test_files_of_ranks_are_added_up(self):
        self.write("a.json", json.dumps({"logical_count": [[5, 1], [2, 4]], "rank": 0}))
        self.write("b.json", json.dumps({"logical_count": [[1, 0], [0, 1]], "rank": 1}))
        self.assertEqual(self.counted("a.json", "b.json")[0], {0: [6, 1], 1: [2, 5]})
        self.write("c.json", json.dumps({"logical_count": [[1, 0, 0]]}))
        self.refused(INPUT, ["c.json: layers [0], 3 experts (expected [0, 1], 2, those of a.json)"], "import_trace.py",
                     "a.json", "c.json", "-o", "l.csv")

    def test_layers_of_an_importance_matrix_keep_their_numbers(self):
        self.write("a.gguf", layouts.importance([(3, "up", [1, 0, 1]), (10, "up", [0, 2, 0])]))
        self.assertEqual(self.counted("a.gguf")[0], {3: [1, 0, 1], 10: [0, 2, 0]})

    def test_counts_past_what_float32_holds_are_said_to_be_inexact(self):
        self.write("a.gguf", layouts.importance([(0, "up", [1 << 24, 2])]))
        self.assertIn("counts of 2^24 and more are inexact", self.counted("a.gguf")[1])

    def test_unknown_misspelt_and_contradictory_keys(self):
        def saved(value, **more):
            layouts.save_torch(self.folder / "a.pt", {**value, **more})

        saved(layouts.STAT, window=3)
        self.assertIn("note: a.pt: 'window' is not read", self.counted("a.pt")[1])
        saved(layouts.STAT, logical_counts=1)
        self.refused_counts(["did you mean 'logical_count'"])
        saved(layouts.STAT, records=[])
        self.refused_counts(["no counts"])
        passes = layouts.counted_passes()
        for change, words in ((dict(global_physical_counts=1), ["did you mean 'global_physical_count'"]),
                              (dict(global_physical_count=np.zeros((2, 4), np.int32)), ["[2, 4]", "shape [2, 5]"]),
                              (dict(global_physical_count=np.full((2, 5), -1, np.int32)), ["below 0"]),
                              (dict(forward_pass_id=8), ["pass 8 (primary) comes twice"]),
                              (dict(rank=1), ["several ranks"])):
            with self.subTest(words):
                saved(passes, records=[{**passes["records"][0], **change}, passes["records"][1]])
                self.refused_counts(words)
        saved(passes, last_physical_to_logical_map=-layouts.MAP)
        self.refused_counts(["expected logical experts"])
        saved(passes, records=[])
        self.refused_counts(["no records"])
        for text, words in (('{"logical_count": [[1, 2], [3]]}', ["no array"]),
                            ('{"logical_counts": [[1]]}', ["did you mean"]),
                            ('{"logical_count": [[1, -1]]}', ["no whole number"]),
                            ('{"logical_count": [[0, 0]]}', ["every count is 0"]),
                            ('{"logical_count": [[1.5, 2]]}', ["no whole number"]), ("{}", ["no token records"]),
                            ('{"logical_count": [[1]], "logical_count": [[2]]}', ["twice"]),
                            ("5 1 0 2\n", ["no layout that is known"])):
            with self.subTest(text):
                self.write("a.json", text)
                self.refused_counts(words, "a.json")

    def test_unknown_misspelt_and_contradictory_parts_of_an_importance_matrix(self):
        self.write("a.gguf", layouts.importance(layouts.COUNTS, [("blk.0.attn_q.weight", np.ones(3))]))
        self.assertIn("tensor 'blk.0.attn_q.weight' is not read", self.counted("a.gguf")[1])
        whole = layouts.importance(layouts.COUNTS)
        for data, words in (
            (layouts.importance([(0, "gate", [3, 1]), (0, "up", [3, 2])]),
             ["blk.0: counts of ffn_gate_exps and ffn_up_exps"]),
            (layouts.importance(layouts.COUNTS, [("blk.0.ffn_up_exps.weight.count", np.ones(3))]),
             ["did you mean 'counts'"]),
            (layouts.importance(layouts.COUNTS, [("blk.0.ffn_up_exps.weight.counts", np.ones((2, 4)))]),
             ["[experts, 1]"]),
            (layouts.importance([]), ["no counts of experts"]),
            (layouts.importance([(0, "up", [1, 2]), (1, "up", [1, 2, 3])]), ["layers with [2, 3] experts"]),
            (layouts.gguf([("general.type", "model")], []), ["general.type 'model'"]),
            (layouts.gguf([("general.type", "imatrix"), ("general.typ", "x")], []), ["did you mean 'general.type'"]),
            (layouts.gguf([("general.type", "imatrix")] * 2, []), ["'general.type' comes twice"]),
            (layouts.gguf([], [], version=1), ["version 1"]),
            (whole[:-64], ["within the file's"]),
            (whole[:100], ["(found 29 bytes)"]),
            (whole[:50], ["cut off in its header"]),
            (whole[:8] + b"\xff" * 7 + b"\0" + whole[16:], ["a.gguf"]),
            (whole.replace(b"general.type", b"\xff" * 12, 1), ["a.gguf"]),
        ):
            with self.subTest(words):
                self.write("a.gguf", data)
                self.refused_counts(words, "a.gguf")

    def test_no_trace_is_made_of_counts_nor_a_table_of_routing(self):
        layouts.save_torch(self.folder / "per_token.pt", layouts.recorded_passes())
        model = ["--model", "m", "--top-k", 2]
        for name in self.write_all():
            self.refused(INPUT, [name, "no trace can be made", "moecarlo synth"], "import_trace.py", name, "-o", "t.h5",
                         *model)
        self.refused(INPUT, ["per_token.pt: routing (expected counts, as in stat.pt)"], "import_trace.py", "stat.pt",
                     "per_token.pt", "-o", "l.csv")
        self.refused(INPUT, ["stat.pt: counts (expected routing, as in per_token.pt)"], "import_trace.py", "per_token.pt",
                     "stat.pt", "-o", "t.h5", *model)

    def test_dense_layers_are_left_out_with_a_note(self):
        self.write("a.json", '{"logical_count": [[0, 0, 0], [5, 1, 0], [0, 0, 0], [2, 2, 2]]}')
        table, said = self.counted("a.json")
        self.assertEqual(table, {1: [5, 1, 0], 3: [2, 2, 2]})
        self.assertIn("layers 0, 2 left out", said)

    def test_a_number_of_experts_that_a_table_has_not_is_refused(self):
        np.save(self.folder / "a.npy", np.array(list(BALANCER.values())))
        self.refused(USAGE, ["--experts 8 (expected 4"], "import_trace.py", "a.npy", "-o", "l.csv", "--experts", 8)

    def test_what_synth_is_told_makes_loads_as_uneven(self):
        """Loads of a trace that synth made, without its routing, lead back to the exponent that it was made with."""
        for exponent, top_k in ((0, 4), (.6, 1), (.8, 4), (1.5, 8)):
            self.moecarlo("synth", "--force", "-o", "s.h5", "--layers", 6, "--experts", 32, "--top-k", top_k,
                          "--zipf", exponent, "--sequences", 20)
            with h5py.File(self.folder / "s.h5") as trace:
                ids = trace["expert_ids"][:]
            table = [np.bincount(ids[:, layer].ravel(), minlength=32).tolist() for layer in range(6)]
            self.write("a.json", json.dumps({"logical_count": table}))
            said = self.done("import_trace.py", "a.json", "-o", "l.csv", "--top-k", top_k).stdout
            self.assertIn(f"--layers 6 --experts 32 --top-k {top_k} --zipf ", said)
            self.assertAlmostEqual(float(said.split()[-1]), exponent, delta=.1)
        self.write("a.json", '{"logical_count": [[3, 5], [4, 4]]}')
        self.assertNotIn("--zipf", self.done("import_trace.py", "a.json", "-o", "l.csv", "--top-k", 2).stdout)


class HostileFiles(CountsTest):
    def test_a_pickle_that_asks_for_more_than_tensors_is_refused_in_one_line(self):
        class Command:
            def __reduce__(self):
                return (Path("/tmp/moecarlo-owned").touch, ())

        call = pickle.dumps(Command(), 2)[2:-1]

        def number(n):
            return b"J" + n.to_bytes(4, "little")

        def tensor(shape, strides):
            storage = b"(X\x07\0\0\0storagectorch\nIntStorage\nX\x01\0\0\0" b"0X\x03\0\0\0cpu" + number(4) + b"tQ"
            extents = b"(" + b"".join(map(number, shape)) + b"t(" + b"".join(map(number, strides)) + b"t"
            return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + extents + b"\x89NtR"

        nested = b")q\0" + b"h\0h\0\x86q\0" * 60  # hashed or shown, it takes for ever
        for instructions in (call, b"cos\nsystem\nX\x02\0\0\0idR", b"ctorch\nload\n", b"cbuiltins\neval\n)R", b"(l.", b"0",
                             b"r\xff\xff\xff\x7f", b"}" + nested + b"K\1s", nested, b"ccollections\nOrderedDict\n}b",
                             b"(ios\nsystem\n", b"X\xff\xff\xff\x7fabc", b"h\5", b"Nt", b"\x8a\xff",
                             tensor([2, 3], [3, 1]), tensor([2**31 - 1, 2], [0, 0]), tensor([2], [9]), tensor([2], [1, 1]),
                             b"ctorch._utils\n_rebuild_tensor_v2\n(NNNNNNtR", b"(" * 100000,
                             b"X\x07\0\0\0storage\x85Q", b"(X\x07\0\0\0storageNNNNtQ"):
            with self.subTest(instructions[:60]):
                layouts.save_pickle(self.folder / "a.pt", instructions, [np.zeros(4, np.int32)])
                self.refused_counts([])
        self.assertFalse(Path("/tmp/moecarlo-owned").exists())

    def test_damaged_files_are_read_or_refused_and_nothing_else(self):
        for name in self.write_all():
            whole = (self.folder / name).read_bytes()
            for seed in range(60):
                rng = random.Random(seed)
                data = bytearray(whole)
                for _ in range(rng.choice((1, 2, 4))):
                    at = rng.randrange(len(data))
                    data[at:at + rng.choice((0, 1, 4))] = rng.choice((b"", b"\xff" * 8, b"\0", b"[]", rng.randbytes(1)))
                self.write(name, bytes(data) or b"x")
                with self.subTest(f"{name}, seed {seed}"), redirect_stderr(io.StringIO()):
                    try:
                        _, found = formats.read(self.folder / name, OPTIONS, Notes())
                        if isinstance(found, formats.Counts):
                            counts.check(name, found)
                    except Refusal:
                        pass


if __name__ == "__main__":
    unittest.main()
