"""Demand rules in a model's forward pass: what they keep by hand, and what a model loses by them."""

import json
import math
import unittest
import warnings

import common
from routertrace.refusal import Refusal

import torch  # noqa: E402
import transformers  # noqa: E402

import families  # noqa: E402
from routertrace import routers  # noqa: E402
from routertrace.demands import ONE, Choices, Demand  # noqa: E402
from routertrace.loss import Passes, expected_length  # noqa: E402

warnings.filterwarnings("ignore", category=FutureWarning)
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)
A, B, C, D = range(4)


def choices(tokens, path, passes=None):
    """tokens: [(expert, gate), ...] each."""
    ids = torch.tensor([[expert for expert, _ in token] for token in tokens])
    gates = torch.tensor([[round(gate * ONE) for _, gate in token] for token in tokens])
    confidence = torch.tensor([round(c * ONE) for c in path])
    return Choices(ids, gates, confidence, torch.tensor(passes or [0] * len(tokens)), 8)


def kept(label, of):
    mask = Demand(label).keep(of)
    return [{int(e) for e, k in zip(row, keep) if k} for row, keep in zip(of.ids, mask)]


def dropped(label, of):
    return float((of.gates * ~Demand(label).keep(of)).sum() / of.gates.sum())


class Rules(unittest.TestCase):
    SMOLPU = choices([[(A, .7), (B, .3)], [(A, .6), (C, .4)], [(D, .9), (B, .1)]], [1, .6, .3])

    def test_a_threshold_over_a_pass_leaves_three_of_four(self):
        self.assertEqual(kept("threshold(0.29)", self.SMOLPU), [{A, B}, {A}, {D, B}])
        self.assertAlmostEqual(dropped("threshold(0.29)", self.SMOLPU), .4 / 3, 4)

    def test_a_threshold_of_a_token_drops_what_another_keeps(self):
        self.assertEqual(kept("threshold(0.29, token)", self.SMOLPU), [{A, B}, {A}, {D}])
        self.assertAlmostEqual(dropped("threshold(0.29, token)", self.SMOLPU), .5 / 3, 4)

    def test_passes_do_not_see_each_other(self):
        apart = choices([[(A, .7), (B, .3)], [(D, .9), (B, .1)]], [1, 1], [0, 1])
        self.assertEqual(kept("threshold(0.2)", apart), [{A, B}, {D}])

    def test_a_budget_keeps_first_choices_and_then_the_largest_sums(self):
        self.assertEqual(kept("budget(3)", self.SMOLPU), [{A, B}, {A}, {D, B}])
        self.assertEqual(kept("budget(1)", self.SMOLPU), [{A}, {A}, {D}])
        self.assertEqual(dropped("budget(8)", self.SMOLPU), 0)

    def test_half_of_the_choices_where_they_hold_enough(self):
        mobile = choices([[(0, .5), (1, .3), (2, .15), (3, .05)], [(4, .3), (5, .28), (6, .22), (7, .2)]], [1, 1])
        self.assertEqual([len(row) for row in kept("half(0.75)", mobile)], [2, 4])
        self.assertEqual([len(row) for row in kept("half(0.9, entropy)", mobile)], [2, 4])
        sure = choices([[(0, .5), (1, .5)]] * 2, [1, .2])
        self.assertEqual(kept("half(0.5, acceptance)", sure), [{0, 1}, {0}])

    def test_the_largest_choices_until_they_hold_the_mass(self):
        two = choices([[(A, .5), (B, .3), (C, .15), (D, .05)], [(D, .2), (C, .22), (B, .28), (A, .3)]], [1, 1])
        self.assertEqual(kept("top_p(0.75)", two), [{A, B}, {A, B, C}])
        self.assertEqual(kept("top_p(0)", two), [{A}, {A}])
        self.assertEqual(dropped("top_p(1)", two), 0)

    def test_a_share_of_unimportant_tokens_is_calibrated(self):
        for label, least in (("half(unimportant 0.5)", [.1, .4]), ("half(unimportant 0.5, entropy)", [.1, .4])):
            demand = Demand(label)
            demand.calibrate([.9, .1, .8, .4])
            unimportant = [m for m in (.1, .4, .8, .9)
                           if (m >= demand.number if demand.word is None else m < demand.number)]
            self.assertEqual(unimportant, least if demand.word else [.8, .9])

    def test_other_words_are_refused(self):
        for label in ("treshold(0.1)", "threshold", "threshold(2)", "threshold(0.1, pass2)", "budget(0)", "budget(1.5)",
                      "half(0.1, token)", "all(1)", "threshold(unimportant 0.1)", "threshold(0.1e)"):
            with self.subTest(label), self.assertRaises(Refusal):
                Demand(label)


class Measuring(common.ScriptTest):
    def test_passes_begin_after_the_prompt(self):
        numbers, confidence = Passes([1, .5], 1, 2).of(3, 5)
        self.assertEqual(numbers.view(3, 5).tolist(), [[-1, 0, 0, 1, 1]] * 2 + [[-1, 3, 3, 4, 4]])
        self.assertEqual(confidence.view(3, 5)[0, 1:].tolist(), [ONE, ONE // 2 + 1] * 2)

    def test_an_expected_length_multiplies_acceptances(self):
        accepted = torch.tensor([[.5, .5, 1.]]).numpy()
        self.assertAlmostEqual(float(expected_length(accepted, 2)[0]), (.5 + .25 + .5 + .5) / 2)

    def test_experts_that_are_dropped_do_not_compute(self):
        model = families.model("qwen3_moe")
        taps = routers.attach(model)
        ids = torch.tensor([[3, 1, 4, 1, 5]])
        for tap in taps:
            tap.record = True
        plain = model(input_ids=ids).logits
        for tap in taps:
            tap.between = lambda ids, weights: weights
        self.assertTrue(torch.equal(model(input_ids=ids).logits, plain))
        for tap in taps:
            tap.between = lambda ids, weights: torch.zeros_like(weights)
        without = model(input_ids=ids).logits
        for layer in model.model.layers:
            layer.mlp.forward = lambda hidden: torch.zeros_like(hidden)
        torch.testing.assert_close(model(input_ids=ids).logits, without)

    def test_the_file_has_a_row_a_rule_and_says_what_it_costs(self):
        model = families.model("qwen3_moe")
        model.save_pretrained(self.folder / "model")
        generator = torch.Generator().manual_seed(1)
        texts = torch.randint(model.config.vocab_size, (6, 20), generator=generator).tolist()
        (self.folder / "texts.jsonl").write_text("".join(f'{{"token_ids": {text}}}\n' for text in texts))
        done = self.run_script("measure_loss.py", "model", "texts.jsonl", "-o", "loss.json", "--prompt-tokens", "4",
                               "--tokens", "20", "--batch", "2", "--demand", "threshold(0)", "--demand", "threshold(0.4)",
                               "--demand", "half(unimportant 0.5)", "--demand", "half(unimportant 0)")
        self.assertEqual(done.returncode, 0, done.stderr)
        measured = json.loads((self.folder / "loss.json").read_text())
        rows = {row["demand"]: row for row in measured["rules"]}
        every = rows["all"]
        self.assertEqual([measured[key] for key in ("schema", "schema_version", "model", "texts", "tokens", "depth",
                                                    "batch")], ["moecarlo-loss", 1, "model", 6, 96, 4, 2])
        self.assertEqual(every["dropped_mass"], 0)
        for identity in ("threshold(0)", "half(unimportant 0)"):
            self.assertEqual({**rows[identity], "demand": "all"}, every)
        self.assertGreater(rows["threshold(0.4)"]["dropped_mass"], 0)
        self.assertNotEqual(rows["threshold(0.4)"]["perplexity"], every["perplexity"])
        self.assertGreater(rows["half(unimportant 0.5)"]["dropped_mass"], 0)
        self.assertAlmostEqual(every["perplexity"], 2 ** every["bits_per_token"], 1)
        self.assertAlmostEqual(math.log2(every["perplexity_ratio"]), 0)


if __name__ == "__main__":
    unittest.main()
