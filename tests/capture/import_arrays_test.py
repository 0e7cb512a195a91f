"""Arrays of routing are in the trace as they are, whatever wrote them; what stands for no routing is not."""

import json
import unittest

import h5py
import numpy as np

import common
from common import INPUT, USAGE
from importer import IDS, MODEL, RNG, WEIGHTS, ImporterTest, save_safetensors

FIELD = common.ROOT.parent / "shared/field"


class ImportArrays(ImporterTest):
    def test_routed_experts_of_several_requests(self):
        np.save(self.folder / "a.npy", IDS[:20].astype(np.int16))
        np.savez(
            self.folder / "b.npz", routed_experts=IDS[20:].astype(np.int16), token_ids=np.arange(10), prompt_tokens=4
        )
        with self.assertRaises(AssertionError):  # one has token ids, the other has none
            self.done("import_trace.py", "a.npy", "b.npz", "-o", "trace.h5", *MODEL)
        np.savez(
            self.folder / "a.npz", routed_experts=IDS[:20].astype(np.int16), token_ids=np.arange(20), prompt_tokens=5
        )
        self.done("import_trace.py", "a.npz", "b.npz", "-o", "trace.h5", *MODEL)
        data, attributes = self.read()
        np.testing.assert_array_equal(data["expert_ids"], IDS)
        np.testing.assert_array_equal(data["sequence_offsets"], [0, 20, 30])
        np.testing.assert_array_equal(data["phase"], [0] * 5 + [1] * 15 + [0] * 4 + [1] * 6)
        self.assertEqual((attributes["num_experts"], attributes["top_k"]), (16, 4))
        if common.MOECARLO:
            self.assertEqual(self.inspected("trace.h5")["tokens"], 30)

    def test_rows_that_were_never_routed_are_dropped(self):
        ids = IDS.astype(np.int16)
        ids[-1] = -1
        np.save(self.folder / "a.npy", ids)
        self.done("import_trace.py", "a.npy", "-o", "trace.h5", *MODEL)
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS[:-1])

    def test_logits_in_one_array_or_one_a_layer(self):
        logits = RNG.normal(size=(30, 3, 16)).astype(np.float32)
        np.savez(self.folder / "a.npz", router_logits=logits, sequence_offsets=[0, 12, 30])
        np.savez(self.folder / "b.npz", **{f"router_logits.{layer}": logits[:, layer] for layer in range(3)})
        for name, sequences in (("a.npz", 2), ("b.npz", 1)):
            self.done("import_trace.py", name, "-o", f"{name}.h5", "--model", "tiny", "--top-k", 4)
            data, _ = self.read(f"{name}.h5")
            np.testing.assert_array_equal(data["router_logits"], logits)
            self.assertEqual(len(data["sequence_offsets"]), sequences + 1)

    def test_safetensors_with_bfloat16(self):
        logits = RNG.normal(size=(30, 3, 16)).astype(np.float32)
        upper = (logits.view(np.uint32) >> 16).astype(np.uint16)
        save_safetensors(self.folder / "a.safetensors", {"router_logits": ("BF16", upper)})
        self.done("import_trace.py", "a.safetensors", "-o", "trace.h5", "--model", "tiny", "--top-k", 4)
        np.testing.assert_array_equal(self.read()[0]["router_logits"], (upper.astype(np.uint32) << 16).view(np.float32))

    def test_a_file_that_is_there_is_replaced_only_with_force(self):
        np.save(self.folder / "a.npy", IDS)
        self.done("import_trace.py", "a.npy", "-o", "trace.h5", *MODEL)
        (self.folder / "trace.h5").write_text("precious")
        arguments = ["import_trace.py", "a.npy", "-o", "trace.h5", *MODEL]
        result = self.run_script(*arguments, force=False)
        self.assertEqual((result.returncode, result.stdout), (common.USAGE, ""))
        self.assertEqual(result.stderr, "import_trace.py: trace.h5: is there already (-o FILE writes another, --force this "
                                        "one)\n")
        self.assertEqual((self.folder / "trace.h5").read_text(), "precious")
        self.done(*arguments, "--force")
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS)

    def test_refusals_name_the_file(self):
        bad = IDS.copy()
        bad[3, 1, 2] = 16
        np.save(self.folder / "range.npy", bad)
        bad[3, 1, 2] = bad[3, 1, 1]
        np.save(self.folder / "twice.npy", bad)
        np.save(self.folder / "flat.npy", IDS[:, 0])
        np.savez(self.folder / "other.npz", something=IDS)
        np.save(self.folder / "nan.npy", np.full((2, 3, 16), np.nan))
        (self.folder / "text.npy").write_text("no array")
        save_safetensors(self.folder / "cut.safetensors", {"expert_ids": ("I32", IDS.astype(np.int32))})
        (self.folder / "cut.safetensors").write_bytes((self.folder / "cut.safetensors").read_bytes()[:-4])
        for name, words in (("range.npy", ["out of range", "found 16"]), ("twice.npy", ["twice at token 3, layer 1"]),
                            ("flat.npy", ["counts of 30 layers and 4 experts", "no trace", "--map"]),
                            ("other.npz", ["no routing"]),
                            ("text.npy", ["no layout that is known"]), ("absent.npy", ["absent.npy: No such file"]),
                            ("cut.safetensors", ["truncated at tensor expert_ids"])):
            self.refused(INPUT, words, "import_trace.py", name, "-o", "trace.h5", *MODEL)
        self.refused(INPUT, ["NaN"], "import_trace.py", "nan.npy", "-o", "t.h5", "--model", "m", "--top-k", 4)
        np.save(self.folder / "good.npy", IDS)
        self.refused(USAGE, ["--experts"], "import_trace.py", "good.npy", "-o", "trace.h5", "--model", "m")
        self.assertFalse((self.folder / "trace.h5").exists())

    def test_headers_of_safetensors_that_lie_are_refused_in_one_line(self):
        whole = {"dtype": "I32", "shape": [30, 3, 4], "data_offsets": [0, 1440]}
        for header in ([], {"expert_ids": []}, {"expert_ids": {}}, {"expert_ids": {**whole, "dtype": ["I32"]}},
                       {"expert_ids": {**whole, "shape": [30, 3, 5]}}, {"expert_ids": {**whole, "shape": [1 << 70]}},
                       {"expert_ids": {**whole, "data_offsets": [1440, 0]}},
                       {"expert_ids": {**whole, "data_offsets": 1}}, {"a\x1b[2J\u202e" + "b" * 5000: {}}):
            text = json.dumps(header).encode()
            (self.folder / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(1440))
            result = self.run_script("import_trace.py", "a.safetensors", "-o", "trace.h5", *MODEL)
            self.assertEqual(result.returncode, INPUT, result.stderr)
            self.assertRegex(result.stderr, r"\Aimport_trace.py: a.safetensors: [^\n]{1,1000}\n\Z")
            self.assertTrue(result.stderr[:-1].isprintable(), ascii(result.stderr))


def sorted_ids(rule, logits, bias=None):
    """What a rule chooses, expert by expert: score, bias, groups, as the papers state them. [tokens, layers, k]."""
    scoring, experts, top_k, groups, kept = rule
    chosen = np.zeros((*logits.shape[:2], top_k), int)
    for token in range(logits.shape[0]):
        for layer in range(logits.shape[1]):
            x = logits[token, layer].astype(float)
            score = 1 / (1 + np.exp(-x)) if scoring == "sigmoid" else np.exp(x) / np.exp(x).sum()
            if bias is not None:
                score = score + bias[layer]
            size = experts // groups
            best = [sorted(score[g * size:(g + 1) * size])[-2 if bias is not None else -1:] for g in range(groups)]
            open_groups = sorted(range(groups), key=lambda g: -sum(best[g]))[:kept]
            open_experts = [e for e in range(experts) if e // size in open_groups]
            chosen[token, layer] = sorted(open_experts, key=lambda e: -score[e])[:top_k]
    return chosen


class RulesOfModels(ImporterTest):
    """Logits whose experts follow from groups and a selection bias, as in DeepSeek-V3 and GLM."""

    LOGITS = RNG.normal(size=(40, 3, 16)).astype(np.float32)
    BIAS = RNG.normal(size=(3, 16)).astype(np.float32)
    OPTIONS = ["--model", "m", "--scoring", "sigmoid", "--renormalize"]

    def test_group_limits_and_selection_bias_are_options(self):
        np.save(self.folder / "bias.npy", self.BIAS)
        save_safetensors(self.folder / "model.safetensors", {
            f"model.layers.{layer}.mlp.gate.e_score_correction_bias": ("F32", self.BIAS[layer]) for layer in range(3)})
        expected = sorted_ids(("sigmoid", 16, 4, 4, 2), self.LOGITS, self.BIAS)
        np.savez(self.folder / "a.npz", router_logits=self.LOGITS, expert_ids=expected)
        for bias in ("bias.npy", "model.safetensors"):
            self.done("import_trace.py", "a.npz", "-o", f"{bias}.h5", *self.OPTIONS, "--groups", 4, "--top-k-groups",
                      2, "--selection-bias", bias)
            data, attributes = self.read(f"{bias}.h5")
            np.testing.assert_array_equal(data["router_logits"], self.LOGITS)
            np.testing.assert_array_equal(data["selection_bias"], self.BIAS)
            self.assertEqual((attributes["num_groups"], attributes["top_k_groups"], attributes["scoring"]),
                             (4, 2, "sigmoid"))
        if common.MOECARLO:
            self.assertTrue(self.inspected("bias.npy.h5")["scoring"]["selection_bias"])

    def test_ids_and_logits_of_one_dump_are_checked_against_each_other(self):
        np.save(self.folder / "bias.npy", self.BIAS)
        for rule, bias, options in (
            (("softmax", 16, 4, 1, 1), None, []),
            (("softmax", 16, 4, 4, 2), None, ["--groups", 4, "--top-k-groups", 2]),
            (("sigmoid", 16, 4, 1, 1), self.BIAS, ["--scoring", "sigmoid", "--selection-bias", "bias.npy"]),
        ):
            ids = sorted_ids(rule, self.LOGITS, bias)
            np.savez(self.folder / "a.npz", router_logits=self.LOGITS, routed_experts=ids)
            self.done("import_trace.py", "a.npz", "-o", "trace.h5", "--model", "m", *options)
            wrong = ids.copy()
            wrong[7, 1] = wrong[8, 2]
            np.savez(self.folder / "a.npz", router_logits=self.LOGITS, routed_experts=wrong)
            self.refused(INPUT, ["a.npz: ids and logits differ in 1 of 120 rows, first at token 7, layer 1"],
                         "import_trace.py", "a.npz", "-o", "t.h5", "--model", "m", *options)
        np.savez(self.folder / "a.npz", router_logits=self.LOGITS, routed_experts=ids)  # chosen with the bias
        self.refused(INPUT, ["ids and logits differ"], "import_trace.py", "a.npz", "-o", "t.h5", "--model", "m")

    def test_gate_weights_of_a_dump_are_checked_against_its_logits(self):
        ids = sorted_ids(("softmax", 16, 4, 1, 1), self.LOGITS)
        shares = np.exp(self.LOGITS) / np.exp(self.LOGITS).sum(-1, keepdims=True)
        weights = np.take_along_axis(shares, ids, -1)
        np.savez(self.folder / "a.npz", router_logits=self.LOGITS, expert_ids=ids, expert_weights=2.5 * weights)
        self.done("import_trace.py", "a.npz", "-o", "trace.h5", "--model", "m")
        self.refused(INPUT, ["expert_weights are not those of the logits"], "import_trace.py", "a.npz", "-o", "t.h5",
                     "--model", "m", "--renormalize")

    def test_options_that_contradict_the_file_are_refused(self):
        np.savez(self.folder / "a.npz", router_logits=self.LOGITS)
        np.save(self.folder / "ids.npy", IDS)
        np.save(self.folder / "bias.npy", self.BIAS[:, :8])
        for name, options, words in (
            ("a.npz", ["--top-k", 4, "--experts", 8], ["--experts 8 (expected 16"]),
            ("a.npz", ["--top-k", 4, "--groups", 3], ["--groups 3"]),
            ("a.npz", ["--top-k", 4, "--groups", 8, "--top-k-groups", 1], ["enough of them"]),
            ("ids.npy", ["--experts", 16, "--top-k", 3], ["--top-k 3 (expected 4"]),
            ("ids.npy", ["--experts", 16, "--groups", 4], ["--groups would change nothing"]),
            ("ids.npy", ["--experts", 16, "--selection-bias", "bias.npy"], ["would change nothing"]),
        ):
            self.refused(USAGE, words, "import_trace.py", name, "-o", "t.h5", "--model", "m", *options)
        self.refused(INPUT, ["bias.npy", "[3, 8]", "[3, 16]"], "import_trace.py", "a.npz", "-o", "t.h5", "--model",
                     "m", "--top-k", 4, "--selection-bias", "bias.npy")


class Placeholders(ImporterTest):
    """Layers and rows that stand for no routing."""

    def notes(self, *arguments):
        result = self.done("import_trace.py", *arguments, "-o", "trace.h5", *MODEL)
        return "".join(line for line in result.stderr.splitlines(True) if line.startswith("note: "))

    def test_dense_layers_are_left_out_with_a_note(self):
        for filler in (0, -1):
            ids = np.full((30, 5, 4), filler, np.int16)
            ids[:, [1, 2, 4]] = IDS
            np.save(self.folder / "a.npy", ids)
            self.assertIn("layers 0, 3 left out", self.notes("a.npy"))
            data, _ = self.read()
            np.testing.assert_array_equal(data["expert_ids"], IDS)
            np.testing.assert_array_equal(data["layer_numbers"], [1, 2, 4])

    def test_a_layer_that_is_empty_in_some_files_only_is_no_dense_one(self):
        ids = IDS.copy()
        ids[:, 1] = 0
        np.save(self.folder / "a.npy", ids)
        np.save(self.folder / "b.npy", IDS)
        self.refused(INPUT, ["a.npy: one expert twice at token 0, layer 1"], "import_trace.py", "a.npy", "b.npy", "-o",
                     "t.h5", *MODEL)

    def test_arrays_a_layer_keep_their_numbers(self):
        logits = RNG.normal(size=(30, 3, 16)).astype(np.float32)
        arrays = {f"router_logits.{layer}": logits[:, i] for i, layer in enumerate((1, 2, 10))}
        np.savez(self.folder / "a.npz", **arrays, **{"router_logits.0": np.zeros((30, 16), np.float32)})
        result = self.done("import_trace.py", "a.npz", "-o", "trace.h5", "--model", "tiny", "--top-k", 4)
        self.assertIn("layers 0 left out", result.stderr)
        data, _ = self.read()
        np.testing.assert_array_equal(data["layer_numbers"], [1, 2, 10])
        np.testing.assert_array_equal(data["router_logits"], logits)

    def test_prompt_and_answer_are_joined_with_their_phases(self):
        np.savez(self.folder / "a.npz", prompt_routed_experts=IDS[:12], routed_experts=IDS[12:])
        self.assertEqual(self.notes("a.npz"), "")
        data, _ = self.read()
        np.testing.assert_array_equal(data["expert_ids"], IDS)
        np.testing.assert_array_equal(data["phase"], [0] * 12 + [1] * 18)

    def test_cached_prefixes_are_cut_and_counted(self):
        for filler in (0, -1):
            ids = IDS.copy()
            ids[:5] = filler
            np.savez(self.folder / "a.npz", prompt_routed_experts=ids[:12], routed_experts=ids[12:],
                     token_ids=np.arange(31))
            notes = self.notes("a.npz")
            self.assertIn("5 rows without routing cut", notes)
            self.assertIn("1 tokens without a row cut", notes)
            data, _ = self.read()
            np.testing.assert_array_equal(data["expert_ids"], IDS[5:])
            np.testing.assert_array_equal(data["phase"], [0] * 7 + [1] * 18)
            np.testing.assert_array_equal(data["token_ids"], np.arange(5, 30))

    def test_missing_rows_of_a_cached_prefix_are_found_and_counted(self):
        for parts in (dict(prompt_routed_experts=IDS[5:12], routed_experts=IDS[12:29], prompt_tokens=12),
                      dict(routed_experts=IDS[5:29], prompt_tokens=12),
                      dict(routed_experts=IDS[5:29], prompt_tokens=12, routed_experts_start_len=5)):
            np.savez(self.folder / "a.npz", token_ids=np.arange(30), **parts)
            self.assertIn("6 tokens without a row cut", self.notes("a.npz"))
            data, _ = self.read()
            np.testing.assert_array_equal(data["expert_ids"], IDS[5:29])
            np.testing.assert_array_equal(data["token_ids"], np.arange(5, 29))
            np.testing.assert_array_equal(data["phase"], [0] * 7 + [1] * 17)

    def test_a_sequence_ends_where_rows_are_missing_in_its_middle(self):
        ids = IDS.copy()
        ids[10:13] = -1
        np.save(self.folder / "a.npy", ids)
        self.assertIn("1 sequences more", self.notes("a.npy"))
        data, _ = self.read()
        np.testing.assert_array_equal(data["expert_ids"], np.concatenate([IDS[:10], IDS[13:]]))
        np.testing.assert_array_equal(data["sequence_offsets"], [0, 10, 27])

    def test_unknown_misspelt_and_contradictory_arrays(self):
        def saved(**arrays):
            np.savez(self.folder / "a.npz", **arrays)

        saved(routed_experts=IDS, hidden_states=np.zeros(3))
        self.assertIn("note: a.npz: 'hidden_states' is not read", self.notes("a.npz"))
        saved(routed_experts=IDS, hidden_states=np.zeros(3), token_id=np.arange(30))
        self.refused(INPUT, ["'token_id'", "did you mean 'token_ids'"], "import_trace.py", "a.npz", "-o", "t.h5",
                     *MODEL)
        for arrays, words in (
            (dict(routed_experts=IDS, expert_ids=IDS), ["both routed_experts and expert_ids"]),
            (dict(routed_experts=IDS, prompt_tokens=5, phase=np.ones(30, int)), ["phase and the prompt's length"]),
            (dict(routed_experts=IDS, phase=np.full(30, 2)), ["phase 2"]),
            (dict(routed_experts=IDS, token_ids=np.arange(29)), ["29 token ids for 30 rows"]),
            (dict(routed_experts=IDS, token_ids=np.arange(40), routed_experts_start_len=3), ["40 token ids"]),
            (dict(routed_experts=IDS, prompt_tokens=5, prompt_token_ids=np.arange(6)), ["prompt_tokens 5"]),
            (dict(routed_experts=IDS, prompt_routed_experts=IDS[:, :2]), ["the same layers"]),
            (dict(routed_experts=IDS, layer_numbers=[1, 2]), ["layers [1, 2]"]),
            (dict(routed_experts=IDS, sequence_offsets=[0, 40]), ["sequence_offsets [0, 40]"]),
            (dict(routed_experts=IDS, sequence_offsets=[0, 9, 30], prompt_tokens=4), ["one prompt's length"]),
            (dict(routed_experts=IDS, expert_weights=WEIGHTS[:20]), ["expert_weights has shape"]),
            (dict(routed_experts=IDS, sequence_label=["a", "b"]), ["sequence_label"]),
        ):
            with self.subTest(words):
                saved(**arrays)
                self.refused(INPUT, ["a.npz", *words], "import_trace.py", "a.npz", "-o", "t.h5", *MODEL)

    def test_labels_of_sequences(self):
        np.savez(self.folder / "a.npz", routed_experts=IDS, sequence_offsets=[0, 12, 30], sequence_label=["code", ""])
        self.done("import_trace.py", "a.npz", "-o", "trace.h5", *MODEL, "--label", "prose")
        with h5py.File(self.folder / "trace.h5") as trace:
            self.assertEqual(trace["sequence_label"].asstr()[:].tolist(), ["code", "prose"])
        if common.MOECARLO:
            self.assertEqual(self.inspected("trace.h5")["labels"], {"code": 1, "prose": 1})


@unittest.skipUnless(FIELD.is_dir(), "no shared/field beside the checkout")
class Field(ImporterTest):
    def imported(self, path, experts):
        result = self.done("import_trace.py", FIELD / path, "-o", "trace.h5", "--model", "m", "--experts", experts)
        return self.read()[0], result.stderr

    def test_a_top_1_model_with_dense_layers(self):
        data, notes = self.imported("F05/llama4_dense0.npy", 16)
        self.assertIn("layers 0, 2, 4 left out", notes)
        np.testing.assert_array_equal(data["layer_numbers"], [1, 3, 5])
        np.testing.assert_array_equal(data["expert_ids"], np.load(FIELD / "F05/llama4_dense0.npy")[:, 1::2])

    def test_a_model_whose_first_layer_is_dense(self):
        data, notes = self.imported("F06/vllm_dense0.npy", 64)
        self.assertIn("layers 0 left out", notes)
        np.testing.assert_array_equal(data["layer_numbers"], [1, 2, 3, 4, 5])
        np.testing.assert_array_equal(data["expert_ids"], np.load(FIELD / "F06/vllm_dense0.npy")[:, 1:])


if __name__ == "__main__":
    unittest.main()
