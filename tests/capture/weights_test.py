"""Bit slices have the errors that arithmetic gives them; exported weights are those of the model, in every layout."""

import json
import unittest

import h5py
import numpy as np

import common
from common import INPUT, USAGE
from importer import save_safetensors
from routertrace import bit_slices
from routertrace.trace_file import Description, TraceWriter
from routertrace.selection import Rule, disagreements, gate_weights, select, store_logits

RNG = np.random.default_rng(3)


class BitSlices(unittest.TestCase):
    def test_mean_squared_errors_over_all_values(self):
        q = np.arange(-127, 128).astype(np.int8)
        for bits, truncated, augmented in ((2, 1338.7, 338.8), (3, 326.8, 84.8), (4, 77.8, 21.3), (5, 17.6, 5.5)):
            for expected, augment in ((truncated, False), (augmented, True)):
                error = bit_slices.keep_bits(q, bits, augment).astype(float) - q
                self.assertAlmostEqual((error**2).mean(), expected, delta=0.06)

    def test_examples(self):
        q = np.array([93, -37, 0, -1, 127], np.int8)
        np.testing.assert_array_equal(bit_slices.keep_bits(q, 4), [88, -40, 8, -8, 120])
        np.testing.assert_array_equal(bit_slices.keep_bits(q, 8), q)

    def test_quantised_weights_are_within_half_a_step(self):
        weights = RNG.normal(size=(5, 70)).astype(np.float32)
        weights[2, 32:64] = 0
        q, scale = bit_slices.quantise(weights)
        self.assertEqual((q.dtype, q.shape, scale.dtype, scale.shape), (np.int8, (5, 70), np.float16, (5, 3)))
        self.assertEqual(float(scale[2, 1]), 0)
        self.assertTrue((q[2, 32:64] == 0).all())
        step = np.repeat(scale.astype(np.float32), 32, -1)[:, :70]
        back = bit_slices.dequantise(q, scale, 70)
        self.assertLess(np.abs(back - weights).max(), (0.57 * step).max())
        self.assertGreaterEqual(q.min(), -127)


class StoredLogits(unittest.TestCase):
    def test_rounding_never_changes_a_choice(self):
        rule = Rule("softmax", True, 16, 4)
        logits = (RNG.normal(size=(4000, 3, 16)) * 1e-3 + 5).astype(np.float32)  # float16 rounds most of these alike
        ids = select(rule, logits)
        self.assertGreater(disagreements(rule, logits.astype(np.float16), ids).sum(), 1000)
        stored, wrong = store_logits(rule, logits, ids, np.float16)
        self.assertEqual((wrong, stored.dtype), (0, np.float16))
        self.assertFalse(disagreements(rule, stored, ids).any())
        self.assertLess(np.abs(stored - logits).max(), 0.008)

    def test_a_tie_goes_to_the_expert_the_model_took(self):
        rule = Rule("softmax", True, 4, 1)
        stored, wrong = store_logits(rule, np.float32([[1, 1, 1, 0]]), np.array([[2]]), np.float16)
        self.assertEqual((select(rule, stored).tolist(), wrong), ([[2]], 0))

    def test_a_wrong_rule_is_not_papered_over(self):
        rule = Rule("softmax", True, 4, 1)
        stored, wrong = store_logits(rule, np.float32([[1, 2, 3, 0]]), np.array([[0]]), np.float16)
        self.assertEqual((select(rule, stored).tolist(), wrong), ([[2]], 1))

    def test_groups_and_bias(self):
        logits = np.float32([[5, 0, 4, 3.9, 1, 1, 0, 0]])
        self.assertEqual(select(Rule("softmax", False, 8, 2, 4, 1), logits).tolist(), [[0, 1]])
        bias = np.float32([0, 0, 0, 0, 9, 9, 0, 0])
        self.assertEqual(select(Rule("sigmoid", False, 8, 2, 4, 1), logits, bias).tolist(), [[4, 5]])

    def test_gate_weights(self):
        logits, ids = np.float32([[2, 1, 0, -1]]), np.array([[0, 1]])
        e = np.exp([2, 1, 0, -1])
        np.testing.assert_allclose(
            gate_weights(Rule("softmax", False, 4, 2), logits, ids), [e[:2] / e.sum()], rtol=1e-6
        )
        np.testing.assert_allclose(gate_weights(Rule("topk_softmax", True, 4, 2), logits, ids), [e[:2] / e[:2].sum()],
                                   rtol=1e-6)


class SameRule(common.ScriptTest):
    def test_the_program_chooses_what_the_scripts_choose(self):
        """Exact locality of stored logits is that of the choices that selection.py makes of them."""
        rng = np.random.default_rng(11)
        logits = rng.normal(size=(300, 3, 16)).round(1).astype(np.float16)  # with many ties
        bias = rng.normal(size=(3, 16)).astype(np.float32) / 4
        for number, (rule, has_bias) in enumerate((
                (Rule("softmax", True, 16, 4), False), (Rule("topk_softmax", True, 16, 4), False),
                (Rule("softmax", False, 16, 4, 4, 2), False), (Rule("sigmoid", True, 16, 4), True),
                (Rule("sigmoid", True, 16, 4, 4, 2), True))):
            used = bias if has_bias else None
            ids = select(rule, logits, used)
            for name, routing in (("logits", {"router_logits": logits}), ("ids", {"expert_ids": ids.astype(np.uint8)})):
                description = Description("m", rule, selection_bias=used if name == "logits" else None)
                with TraceWriter(self.folder / f"{name}{number}.h5", description) as trace:
                    for begin in range(0, 300, 100):
                        trace.append(**{key: values[begin:begin + 100] for key, values in routing.items()})
            found = [json.loads(self.moecarlo("locality", f"{name}{number}.h5", "--capacities", "4,8", "--json"))
                     for name in ("logits", "ids")]
            for key in ("adjacent_overlap", "distinct_experts", "lru_hit_rate", "entropy", "sch"):
                self.assertEqual(found[0][key], found[1][key], (rule, key))


class ExportWeights(common.ScriptTest):
    """Two layers of three experts with 8 rows and 40 columns."""

    gate, up, down = (RNG.normal(size=(2, 3, *shape)).astype(np.float32) for shape in ((8, 40), (8, 40), (40, 8)))

    def exported(self, *options):
        self.done("export_weights.py", "model", "-o", "weights.h5", *options)
        found = {}
        with h5py.File(self.folder / "weights.h5") as file:
            self.assertEqual((file.attrs["schema"], file.attrs["schema_version"]), ("moecarlo-weights", 1))
            for group in file["matrices"].values():
                key = int(group.attrs["layer"]), int(group.attrs["expert"]), group.attrs["projection"]
                q, scale = group["int8"][:], group["scale"][:]
                self.assertEqual((q.dtype, scale.dtype), (np.int8, np.float16))
                self.assertEqual(scale.shape, (q.shape[0], -(-q.shape[1] // 32)))
                found[key] = bit_slices.dequantise(q, scale, q.shape[1])
                if "original" in group:
                    expected = bit_slices.quantise(group["original"][:])
                    self.assertLessEqual(np.abs(expected[0].astype(int) - q).max(), 1)
        return found

    def expect_model(self, found):
        for (layer, expert, projection), matrix in found.items():
            expected = getattr(self, projection)[layer, expert]
            self.assertEqual(matrix.shape, expected.shape)
            self.assertLess(np.abs(matrix - expected).max(), 0.02)
        self.assertEqual(len(found), 18)

    def save(self, tensors):
        (self.folder / "model").mkdir(exist_ok=True)
        save_safetensors(self.folder / "model/model.safetensors", {n: ("F32", np.ascontiguousarray(a))
                                                                   for n, a in tensors.items()})

    def test_experts_stored_one_by_one(self):
        for names in (
            ("mlp.experts.{}.gate_proj", "mlp.experts.{}.up_proj", "mlp.experts.{}.down_proj"),
            ("block_sparse_moe.experts.{}.w1", "block_sparse_moe.experts.{}.w3", "block_sparse_moe.experts.{}.w2"),
        ):
            self.save({f"model.layers.{layer}.{name.format(e)}.weight": part[layer, e] for layer in range(2)
                       for e in range(3) for name, part in zip(names, (self.gate, self.up, self.down))})
            self.expect_model(self.exported())

    def test_stacked_experts(self):
        self.save({f"model.layers.{layer}.mlp.experts.{name}": part for layer in range(2) for name, part in
                   (("gate_up_proj", np.concatenate([self.gate[layer], self.up[layer]], 1)),
                    ("down_proj", self.down[layer]))})
        self.expect_model(self.exported())

    def test_interleaved_and_transposed_experts(self):
        def fused(layer):
            return np.stack([self.gate[layer], self.up[layer]], 2).reshape(3, 16, 40)
        self.save(
            {
                f"model.layers.{layer}.mlp.experts.{name}": part
                for layer in range(2)
                for name, part in (
                    ("gate_up_proj", fused(layer).transpose(0, 2, 1)),
                    ("gate_up_proj_bias", np.zeros((3, 16), np.float32)),
                    ("down_proj", self.down[layer].transpose(0, 2, 1)),
                    ("down_proj_bias", np.zeros((3, 40), np.float32)),
                )
            }
        )
        self.expect_model(self.exported())

    def test_mxfp4_blocks(self):
        blocks, scales = RNG.integers(0, 256, (1, 4, 2, 16)).astype(np.uint8), RNG.integers(120, 130, (1, 4, 2)).astype(
            np.uint8
        )
        (self.folder / "model").mkdir()
        save_safetensors(self.folder / "model/a.safetensors", {
            "model.layers.0.mlp.experts.down_proj_blocks": ("U8", blocks),
            "model.layers.0.mlp.experts.down_proj_scales": ("U8", scales),
            "model.layers.0.mlp.experts.down_proj_bias": ("F32", np.zeros((1, 4), np.float32))})
        matrix = self.exported()[0, 0, "down"]
        table = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
        for row, column in ((0, 0), (1, 33), (3, 63)):
            byte = int(blocks[0, row, column // 32, column % 32 // 2])
            nibble = byte & 15 if column % 2 == 0 else byte >> 4
            value = (-1 if nibble & 8 else 1) * table[nibble & 7] * 2.0 ** (int(scales[0, row, column // 32]) - 127)
            self.assertAlmostEqual(matrix[row, column], value, delta=0.03 * 2.0 ** 3)

    def test_a_sample_of_layers_and_experts(self):
        self.test_stacked_experts()
        found = self.exported("--layers", "1", "--experts", "0,2", "--no-original")
        self.assertEqual(sorted(found), sorted((1, e, p) for e in (0, 2) for p in ("gate", "up", "down")))

    def test_refusals(self):
        self.test_stacked_experts()
        result = self.run_script("export_weights.py", "model", "-o", "weights.h5", force=False)
        self.assertEqual(result.returncode, USAGE, result.stderr)
        self.assertIn("--force", result.stderr)
        self.refused(INPUT, ["no layer 5"], "export_weights.py", "model", "-o", "w.h5", "--layers", "5")
        self.save({"model.embed_tokens.weight": self.gate[0, 0]})
        self.refused(INPUT, ["no expert weights"], "export_weights.py", "model", "-o", "w.h5")
        save_safetensors(self.folder / "model/model.safetensors",
                         {"model.layers.0.mlp.experts.0.up_proj.weight": ("F8_E4M3", np.zeros((8, 40), np.uint8))})
        self.refused(INPUT, ["F8_E4M3"], "export_weights.py", "model", "-o", "w.h5")
        (self.folder / "model/model.safetensors").write_bytes(b"x" * 40)
        self.refused(INPUT, ["not a safetensors file"], "export_weights.py", "model", "-o", "w.h5")
        self.refused(INPUT, ["absent"], "export_weights.py", "absent.safetensors", "-o", "w.h5")


if __name__ == "__main__":
    unittest.main()
