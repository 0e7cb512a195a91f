"""What engines log in binary (RTRACE01, routecap, SGLang's recorder) becomes the routing that they computed with."""

import io
import json
import random
import unittest
from contextlib import redirect_stderr

import numpy as np

import common
import layouts
from common import INPUT, USAGE
from importer import OPTIONS, RNG, ImporterTest

from routertrace import formats
from routertrace.keys import Notes
from routertrace.refusal import Refusal

FIELD = common.ROOT.parent / "shared/field/formats"


class LogTest(ImporterTest):
    def options(self, name, *more, experts=4):
        return ["import_trace.py", name, "-o", "trace.h5", "--model", "m", "--experts", experts, "--top-k", 2, *more]

    def imported(self, name, *more, experts=4):
        """(data, attributes, notes) of the trace that a file becomes."""
        result = self.done(*self.options(name, *more, experts=experts))
        return *self.read(), result.stderr

    def refused_log(self, words, name, *more, status=INPUT, experts=4):
        self.refused(status, [name, *words], *self.options(name, *more, experts=experts))

    def counts(self, ids, experts):
        return [np.bincount(ids[:, layer].ravel(), minlength=experts).tolist() for layer in range(ids.shape[1])]

    def damaged_files_are_read_or_refused(self, name, experts):
        whole = (self.folder / name).read_bytes()
        for seed in range(100):
            rng = random.Random(seed)
            data = bytearray(whole)
            for _ in range(rng.choice((1, 2, 4))):
                at = rng.randrange(len(data))
                data[at:at + rng.choice((0, 1, 4))] = rng.choice((b"", b"\xff" * 4, b"\0" * 4, b"\0", rng.randbytes(1)))
            (self.folder / name).write_bytes(data)
            with self.subTest(f"{name}, seed {seed}"), redirect_stderr(io.StringIO()):
                try:
                    list(formats.read(self.folder / name, OPTIONS, Notes())[1])
                except Refusal:
                    pass


class Rtrace01(LogTest):
    """Softmax probabilities over all experts."""

    def write(self, records, **more):
        (self.folder / "a.bin").write_bytes(layouts.rtrace(records, **more))

    def check_sample(self, name):
        """The token that lacks a layer cannot be in a trace: of l1 the counts 2 1 2 1 have its experts 2 and 3 as well."""
        data, attributes, notes = self.imported(name)
        self.assertIn("1 of 3 tokens cut", notes)
        chosen = np.sort(np.argsort(-data["router_logits"], -1, kind="stable")[..., :2])
        self.assertEqual(self.counts(chosen, 4), [[2, 1, 1, 0], [0, 1, 2, 1]])
        np.testing.assert_array_equal(data["layer_numbers"], [1, 2])
        shares = [[layouts.PROBABILITIES[token, layer] for layer in (1, 2)] for token in (0, 1)]
        np.testing.assert_allclose(np.exp(data["router_logits"]), shares, rtol=1e-6)
        self.assertEqual((attributes["scoring"], bool(attributes["renormalize"])), ("softmax", False))

    def test_the_sample_by_its_description(self):
        self.write(layouts.PROBABILITIES.items())
        self.check_sample("a.bin")

    @unittest.skipUnless(FIELD.is_dir(), "no shared/field beside the checkout")
    def test_the_sample(self):
        self.check_sample(FIELD / "rtrace01_tiny.bin")

    def test_records_in_any_order_and_the_last_of_duplicates(self):
        records = list(layouts.PROBABILITIES.items())[:4]
        self.write([(records[3][0], [1, 0, 0, 0]), *reversed(records)])
        data, _, notes = self.imported("a.bin")
        self.assertIn("1 records that a later one replaces", notes)
        np.testing.assert_allclose(np.exp(data["router_logits"][1, 1]), records[3][1], rtol=1e-6)

    def test_a_token_that_lacks_a_layer_ends_the_sequence(self):
        records = {(token, layer): [.5, .25, .125, .125] for token in range(6) for layer in range(2)}
        del records[3, 1]
        self.write(records.items())
        data, _, notes = self.imported("a.bin")
        np.testing.assert_array_equal(data["sequence_offsets"], [0, 3, 5])
        self.assertIn("1 of 6 tokens cut: they lack a layer", notes)

    def test_logits_have_the_softmax_of_the_file_and_choose_what_it_chooses(self):
        logits = RNG.normal(size=(500, 2, 16)) * 8
        exact = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        shares = exact.astype(np.float32)
        shares[:, 0, 7] = np.nextafter(shares[:, 0, 3], np.float32(1))  # the next value is another choice
        shares[:, :, 11] = 0
        shares /= shares.sum(-1, keepdims=True, dtype=np.float64).astype(np.float32)
        self.write([((token, layer), shares[token, layer]) for token in range(500) for layer in range(2)], experts=16)
        data, _, _ = self.imported("a.bin", experts=16)
        stored = data["router_logits"].astype(np.float64)
        ours = np.exp(stored) / np.exp(stored).sum(-1, keepdims=True)
        np.testing.assert_allclose(ours, shares, rtol=3e-5, atol=1e-12)
        for row, share in zip(stored.reshape(-1, 16), shares.reshape(-1, 16)):
            self.assertEqual(*({*sorted(range(16), key=lambda e: -values[e])[:2]} for values in (row, share)))
        if common.MOECARLO:
            self.assertEqual(self.inspected("trace.h5")["tokens"], 500)

    def test_what_is_no_softmax_or_damaged_is_refused(self):
        good = list(layouts.PROBABILITIES.items())[:4]
        for records, words, options in (
            ([((0, 1), [.9, .8, .1, .2])], ["sum 2 (expected 1"], {}),
            ([((0, 1), [1.5, -.5, 0, 0])], ["below 0"], {}),
            ([((0, 1), [float("nan"), 1, 0, 0])], ["NaN"], {}),
            ([((0, 1), [1, 0, 0, 0])], ["fewer than 2 probabilities above 0"], {}),
            ([((-1, 1), [.5, .5, 0, 0])], ["token -1"], {}),
            ([((0, -2), [.5, .5, 0, 0])], ["layer -2"], {}),
            ([((0, 0), [.5, .5, 0, 0]), ((1, 1), [.5, .5, 0, 0])], ["no token has all 2 layers"], {}),
            ([], ["damaged or cut off"], {}),
            (good, ["version 1"], dict(version=1)),
            (good, ["0 experts"], dict(experts=0)),
            (good, ["damaged or cut off"], dict(experts=5)),
        ):
            with self.subTest(words):
                self.write(records, **options)
                self.refused_log(words, "a.bin")
        self.write(good)
        self.refused_log(["--scoring sigmoid"], "a.bin", "--scoring", "sigmoid", status=USAGE)
        self.refused(USAGE, ["--experts 8 (expected 4"], *self.options("a.bin", experts=8))
        self.refused(USAGE, ["--top-k is needed"], "import_trace.py", "a.bin", "-o", "t.h5", "--model", "m")
        self.damaged_files_are_read_or_refused("a.bin", 4)


class RouteCap(LogTest):
    """A ring of decode steps."""


    def write(self, **changed):
        np.savez(self.folder / "a.npz", **{k: v for k, v in {**layouts.RING, **changed}.items() if v is not None})

    def check_sample(self, name):
        data, _, notes = self.imported(name, experts=8)
        self.assertEqual(self.counts(data["expert_ids"], 8), [[1, 1, 3, 0, 0, 4, 0, 1], [1, 0, 0, 5, 1, 0, 3, 0]])
        np.testing.assert_array_equal(data["sequence_offsets"], [0, 5])
        self.assertIn("taken as one sequence", notes)
        self.assertIn("3 steps kept as rounds too; what was accepted is not recorded", notes)
        rounds = {key: values.tolist() for key, values in data["rounds"].items()}
        self.assertEqual((rounds["position"], rounds["drafted"], rounds["accepted"]), ([0, 2, 4], [1, 1, 0], [1, 1, 0]))
        self.assertEqual(rounds["verify_expert_ids"], [
            [[[5, 2], [3, 6]], [[5, 0], [0, 3]]], [[[7, 2], [3, 4]], [[1, 5], [6, 3]]], [[[5, 2], [3, 6]], [[-1, -1]] * 2]])
        if common.MOECARLO:
            self.assertEqual(self.inspected("trace.h5")["rounds"], 3)

    def test_the_sample_by_its_description(self):
        self.write()
        self.check_sample("a.npz")

    @unittest.skipUnless(FIELD.is_dir(), "no shared/field beside the checkout")
    def test_the_sample(self):
        self.check_sample(FIELD / "routes_rank0.npz")

    def test_steps_come_in_their_order_and_a_missing_one_ends_the_sequence(self):
        order = [2, 0, 1]
        self.write(ids=layouts.RING["ids"][order], steps=np.array([9, 1, 2]), ctr=10)
        data, _, _ = self.imported("a.npz", experts=8)
        np.testing.assert_array_equal(data["expert_ids"][:, 0], [[5, 2], [5, 0], [7, 2], [1, 5], [5, 2]])
        np.testing.assert_array_equal(data["sequence_offsets"], [0, 4, 5])

    def test_lost_steps_incomplete_rows_and_the_draft_head_are_said(self):
        ids = layouts.RING["ids"].copy()
        ids[1, 1, 0:2] = -1
        self.write(ids=np.concatenate([ids, ids[:, :1]], 1), lost_to_wrap=7, ctr=11)
        data, _, notes = self.imported("a.npz", experts=8)
        for words in ("7 steps were lost", "1 of 5 tokens cut", "router 2 left out"):
            self.assertIn(words, notes)
        np.testing.assert_array_equal(data["sequence_offsets"], [0, 2, 4])
        self.assertEqual(data["rounds"]["position"].tolist(), [0, 3])
        self.assertIn("1 steps are no round", notes)

    def test_a_replay_of_the_rounds_fetches_the_distinct_experts_of_the_steps(self):
        steps, layers, rows, top_k, experts = 120, 3, 4, 2, 16
        count = RNG.integers(1, rows + 1, steps)
        ids = common.random_ids(RNG, steps * rows, layers, experts, top_k).reshape(steps, rows, layers, top_k)
        ids[np.arange(rows) >= count[:, None]] = -1
        self.write(ids=ids.transpose(0, 2, 1, 3).reshape(steps, layers, -1), steps=np.arange(steps) + np.arange(steps) // 12,
                   nlayer=layers, maxrows=rows, ctr=2 * steps)
        self.imported("a.npz", experts=experts)
        (self.folder / "s.toml").write_text(
            '[study]\nname = "r"\ntrace = "trace.h5"\nmode = "replay"\ncalibration = "all"\nrounds = 1\n'
            f'trajectories = {steps}\n[grid]\nbatch = [1]\ndepth = [{rows - 1}]\npolicy = ["lru"]\ncapacity = [4]\n'
            '[acceptance]\nmodel = "rounds"\n')
        self.moecarlo("simulate", "s.toml", "-o", "out")
        metrics = json.loads((self.folder / "out/summary.json").read_text())["points"][-1]["metrics"]
        distinct = [np.mean([len(set(ids[s, :count[s], layer].ravel())) for s in range(steps)]) for layer in range(layers)]
        np.testing.assert_allclose(metrics["distinct_experts"]["per_layer"], distinct, rtol=1e-12)
        self.assertAlmostEqual(metrics["tokens_per_round"]["value"], count.mean())

    def test_steps_of_one_row_each_verify_nothing(self):
        self.write(ids=np.where(np.arange(6) < 2, layouts.RING["ids"], -1))
        data, _, notes = self.imported("a.npz", experts=8)
        self.assertNotIn("rounds", data)
        self.assertNotIn("rounds", notes)

    def test_unknown_misspelt_and_contradictory_keys(self):
        self.write(rank=0)
        self.assertIn("note: a.npz: 'rank' is not read", self.imported("a.npz", experts=8)[2])
        for changed, words in ((dict(step=np.arange(3)), ["did you mean 'steps'"]), (dict(topk=None), ["no topk"]),
                               (dict(nlayer=4), ["ids [3, 2, 6]"]), (dict(maxrows=2), ["[steps, 2, 2 x 2]"]),
                               (dict(ring=2), ["3 steps"]), (dict(ctr=2), ["3 steps"]), (dict(lost_to_wrap=2), ["2 lost"]),
                               (dict(steps=np.array([1, 2, 2])), ["3 different"]), (dict(topk=-1), ["topk is -1"]),
                               (dict(ids=layouts.RING["ids"] * np.float32(1)), ["float32"]),
                               (dict(ids=np.full((3, 2, 6), -1)), ["no routing"]),
                               (dict(ids=np.where(layouts.RING["ids"] == 7, -1, layouts.RING["ids"])), ["in part"]),
                               (dict(ids=np.where(layouts.RING["ids"] == 7, 8, layouts.RING["ids"])), ["out of range"])):
            with self.subTest(words):
                self.write(**changed)
                self.refused_log(words, "a.npz", experts=8)
        self.write()
        self.damaged_files_are_read_or_refused("a.npz", 8)


class Recorder(LogTest):
    """SGLang's expert distribution recorder, mode per_token."""

    def write(self, records=None, **changed):
        value = {**layouts.recorded_passes(), **changed}
        layouts.save_torch(self.folder / "a.pt", {**value, **({} if records is None else {"records": records})})

    def check_sample(self, name):
        data, _, notes = self.imported(name)
        self.assertEqual(data["expert_ids"].tolist(), [[[0, 1], [2, 3]], [[0, 3], [1, 0]], [[0, 3], [1, 0]]])
        self.assertEqual(self.counts(data["expert_ids"], 4), [[3, 1, 0, 2], [2, 2, 1, 1]])
        self.assertEqual(data["phase"].tolist(), [0, 0, 1])
        self.assertEqual(data["token_ids"].tolist(), [11, 12, 21])
        self.assertEqual(data["sequence_offsets"].tolist(), [0, 3])
        self.assertIn("no request is named", notes)

    def test_the_sample_by_its_description(self):
        self.write()
        self.check_sample("a.pt")

    @unittest.skipUnless(FIELD.is_dir(), "no shared/field beside the checkout")
    def test_the_sample(self):
        self.check_sample(FIELD / "sglang_recorder_per_token.pt")

    def a_pass(self, number, positions, mode, lengths=None, key="primary"):
        """Token id of a request at a position: 100 * position + its first expert, which every layer has."""
        tokens = [position * 100 + row for row, position in enumerate(positions)]
        ids = np.full((2, len(positions), 8), -1, np.int32)
        ids[:, :, 0], ids[:, :, 1] = 3, np.arange(len(positions)) % 3
        return dict(forward_pass_id=number, gatherer_key=key, input_ids=tokens, positions=positions,
                    extend_seq_lens=lengths, forward_mode=mode, topk_ids_of_layer=ids)

    def tokens_of(self, *records):
        self.write(records=list(records))
        data, _, _ = self.imported("a.pt")
        parts = np.split(data["token_ids"] // 100, data["sequence_offsets"][1:-1])
        return sorted(part.tolist() for part in parts), data

    def test_sequences_follow_positions_and_end_where_more_than_one_may_go_on(self):
        found, data = self.tokens_of(self.a_pass(1, [0, 1, 2, 0, 1], 1, [3, 2]), self.a_pass(2, [3, 2], 2),
                                     self.a_pass(3, [4, 3], 2))
        self.assertEqual(found, [[0, 1, 2, 3], [0, 1, 2, 3, 4]])
        self.assertEqual(sorted(data["phase"].tolist()), [0] * 5 + [1] * 4)
        found, _ = self.tokens_of(self.a_pass(1, [0, 1, 0, 1], 1, [2, 2]), self.a_pass(2, [2, 2], 2))
        self.assertEqual(found, [[0, 1], [0, 1], [2], [2]])

    def test_a_request_that_a_decoding_pass_leaves_out_has_ended(self):
        found, _ = self.tokens_of(self.a_pass(1, [0, 1, 2, 0, 1], 1, [3, 2]), self.a_pass(2, [3], 2),
                                  self.a_pass(3, [2, 3], 1, [2]))
        self.assertEqual(found, [[0, 1], [0, 1, 2, 3], [2, 3]])

    def test_chunks_of_a_prompt_and_passes_in_any_order(self):
        found, data = self.tokens_of(self.a_pass(2, [2, 3], 1, [2]), self.a_pass(1, [0, 1], 1, [2]))
        self.assertEqual(found, [[0, 1, 2, 3]])
        self.assertEqual(data["phase"].tolist(), [0] * 4)

    def test_a_mixed_pass_has_a_chunk_and_runs_of_one_token_that_decode(self):
        found, data = self.tokens_of(self.a_pass(1, [0, 1], 1, [2]), self.a_pass(2, [0, 1, 2, 2], 3, [3, 1]))
        self.assertEqual(found, [[0, 1, 2], [0, 1, 2]])
        self.assertEqual(sorted(data["phase"].tolist()), [0] * 5 + [1])

    def test_micro_batches_of_one_pass_are_judged_together(self):
        found, _ = self.tokens_of(self.a_pass(1, [0, 1, 0, 1, 2], 1, [2, 3]), self.a_pass(2, [2], 2, key="child_a"),
                                  self.a_pass(2, [3], 2, key="child_b"))
        self.assertEqual(found, [[0, 1, 2], [0, 1, 2, 3]])

    def test_dense_layers_are_left_out(self):
        value = layouts.recorded_passes()
        for record in value["records"]:
            record["topk_ids_of_layer"][0] = -1
        self.write(records=value["records"])
        data, _, notes = self.imported("a.pt")
        self.assertIn("layers 0 left out", notes)
        self.assertEqual(data["expert_ids"].tolist(), [[[2, 3]], [[1, 0]], [[1, 0]]])

    def test_unknown_misspelt_and_contradictory_keys(self):
        first, second = layouts.recorded_passes()["records"]
        self.write(records=[dict(first, server=1), second])
        self.assertIn("note: a.pt: 'server' is not read", self.imported("a.pt")[2])
        five = first["topk_ids_of_layer"].copy()
        five[0, 0, 0] = 5
        for change, words in (
            (dict(position=[0, 1]), ["did you mean 'positions'"]), (dict(positions=[0]), ["positions [1]", "shape [2]"]),
            (dict(positions=[0, 2]), ["do not ascend by 1"]), (dict(input_ids="ab"), ["input_ids"]),
            (dict(extend_seq_lens=[3]), ["extend_seq_lens of 3 tokens (expected 2)"]),
            (dict(extend_seq_lens=None), ["forward_mode 1", "with extend_seq_lens"]),
            (dict(forward_mode=5), ["forward_mode 5"]),
            (dict(topk_ids_of_layer=five), ["a physical expert out of range"]),
            (dict(topk_ids_of_layer=first["topk_ids_of_layer"][:1]), ["topk_ids_of_layer [1, 2, 8]"]),
            (dict(global_physical_count=np.zeros((2, 5), np.int32)),
             ["topk_ids_of_layer and global_physical_count differ"]),
            (dict(forward_pass_id=8), ["pass 8 (primary) comes twice"]),
            (dict(forward_pass_id="a"), ["no forward_pass_id"]),
            (dict(rank=3), ["several ranks"]),
        ):
            with self.subTest(words):
                self.write(records=[{**first, **change}, second])
                self.refused_log(words, "a.pt")
        self.write(last_physical_to_logical_maps=1)
        self.refused_log(["did you mean 'last_physical_to_logical_map'"], "a.pt")
        self.write()
        self.damaged_files_are_read_or_refused("a.pt", 4)


if __name__ == "__main__":
    unittest.main()
