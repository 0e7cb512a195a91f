"""Demand rules in a model's forward pass: what they keep by hand, and what a model loses by them."""

import json
import math
import unittest
import warnings

import common
from routertrace.refusal import Refusal

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

import families  # noqa: E402
from routertrace import elastic_draft, routers  # noqa: E402
from routertrace.demands import ONE, Choices, Demand, gates_of  # noqa: E402
from routertrace.channels import Channels, loaded  # noqa: E402
from routertrace.loss import DemandTap, LossMeter, Passes, expected_length  # noqa: E402
from routertrace.siblings import Siblings, channel_recall  # noqa: E402

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


class EveryChoiceFromUpperSlices:
    upper_alone = True

    def __call__(self, ids, weights):
        return weights


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

    def test_siblings_keep_what_the_one_that_decides_chose(self):
        of = choices([[(A, .6), (B, .4)], [(A, .5), (C, .5)]], [.6, .4])
        of.decided = torch.tensor([[True, True, False] + [False] * 5] * 2)
        self.assertEqual(kept("salient(width 2)", of), [{A, B}, {A}])  # 3 experts become 2
        self.assertAlmostEqual(dropped("salient(width 2)", of), .25, 4)

    def test_small_gates_take_the_upper_slice_alone(self):
        of = choices([[(0, .55), (1, .30), (2, .08), (3, .07)]], [1])
        self.assertEqual(Demand("slices(0.1)").keep_upper_alone(of).tolist(), [[False, False, True, True]])
        self.assertEqual(kept("slices(0.1)", of), [{0, 1, 2, 3}])
        self.assertFalse(Demand("slices(0)").keep_upper_alone(of).any())

    def test_channels_are_loaded_where_a_token_of_the_pass_reaches_them(self):
        """SMoLPU's example: A {0, 2} and {1}, B {0}, D {1, 2}; C is dropped: six channels of twelve."""
        of = self.SMOLPU
        inputs = torch.tensor([[4., 1, 2, 0], [1, 3, 0, 1], [0, 2, 2, 1]])
        used = Demand("threshold(0.29, channels 1)").keep(of)
        mask = loaded(inputs, of.gates, used, of.ids, of.passes, 8, 1)
        self.assertEqual([[[j for j in range(4) if mask[i, k, j]] for k in range(2)] for i in range(3)],
                         [[[0, 1, 2], [0]], [[0, 1, 2], []], [[1, 2], [0]]])
        self.assertEqual(Demand("threshold(0.29, channels 1)").channels, 1)
        apart = loaded(inputs, of.gates, used, of.ids, torch.tensor([0, 1, -1]), 8, 1)
        self.assertEqual(apart.sum(-1).tolist(), [[2, 1], [1, 0], [4, 4]])

    def test_other_words_are_refused(self):
        for label in ("treshold(0.1)", "threshold", "threshold(2)", "threshold(0.1, pass2)", "budget(0)", "budget(1.5)",
                      "half(0.1, token)", "all(1)", "threshold(unimportant 0.1)", "threshold(0.1e)", "salient",
                      "salient(width 1)", "slices"):
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

    def test_slices_of_all_choices_are_experts_of_so_many_bits(self):
        model = families.model("qwen3_moe")
        draft = elastic_draft.ElasticDraft(model, routers.attach(model))
        ids = torch.tensor([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])

        def run(label):
            meter = LossMeter(model, draft, ids, Passes([1, 1], 1, 2), 1.0, None, 4)
            return meter.measure(Demand(label))
        plain, _ = run("all")
        whole, none = run("slices(0)")
        self.assertEqual((whole["bits"].tolist(), none), (plain["bits"].tolist(), 0))
        upper, all_of_it = run("slices(1)")
        self.assertAlmostEqual(all_of_it, 1, 4)
        draft.become_target()
        for weight in draft.weights:
            if ".experts" in weight.module:
                weight.write(4, True)
        cut = model(input_ids=ids).logits
        draft.written = None
        draft.become_target()
        with elastic_draft.Slices(draft, 4):
            for tap in draft.taps:
                tap.record, tap.between = True, EveryChoiceFromUpperSlices()
            torch.testing.assert_close(model(input_ids=ids).logits, cut)
        for tap in draft.taps:
            tap.record, tap.between = False, None
        self.assertNotEqual(upper["bits"].tolist(), plain["bits"].tolist())
        self.assertEqual(run("all")[0]["bits"].tolist(), plain["bits"].tolist())  # nothing is left behind

    def test_channels_that_are_not_loaded_are_not_computed_on(self):
        model = families.model("qwen3_moe")
        draft = elastic_draft.ElasticDraft(model, routers.attach(model))
        ids = torch.tensor([[3, 1, 4, 1, 5, 9], [9, 2, 6, 5, 3, 5]])

        def run(label):
            meter = LossMeter(model, draft, ids, Passes([1, 1], 2, 2), 1.0, None, 4)
            return meter.measure(Demand(label))
        plain, _ = run("all")
        every, nothing = run("threshold(0, channels 0.000000001)")
        np.testing.assert_allclose(every["bits"], plain["bits"], atol=1e-5)
        self.assertLess(nothing, 1e-6)
        none, everything = run("all(channels 1000000)")
        self.assertAlmostEqual(everything, 1, 4)
        some, share = run("all(channels 0.3)")
        self.assertTrue(0 < share < 1)
        # Slowly: token by token and expert by expert, one layer's experts on what is loaded.
        tap = draft.taps[0]
        draft.become_target()
        seen = {}
        hook = tap.served.register_forward_hook(lambda module, inputs, output: seen.update(inputs=inputs, output=output))
        between = DemandTap(tap, *Passes([1, 1], 2, 2).of(2, 6))
        between.demand = Demand("all(channels 0.3)")
        tap.record, tap.between = True, between
        with Channels([tap], 0.3):
            model(input_ids=ids)
        hook.remove()
        tap.record, tap.between = False, None
        hidden, chosen, weights = (value.reshape(12, -1) for value in seen["inputs"])
        gates, passes = gates_of(weights) / ONE, between.passes.tolist()
        for i in range(12):
            total = torch.zeros(hidden.shape[1])
            for k, expert in enumerate(chosen[i].tolist()):
                x = hidden[i].clone()
                for j in range(len(x) if passes[i] >= 0 else 0):
                    users = [(t, q) for t in range(12) for q in range(chosen.shape[1])
                             if passes[t] == passes[i] and int(chosen[t, q]) == expert]
                    if not any(float(gates[t, q] * hidden[t, j].abs()) >= 0.3 for t, q in users):
                        x[j] = 0
                one = torch.tensor([[expert]])
                total += type(tap.served).forward(tap.served, x[None], one, weights[i, k].view(1, 1))[0]
            torch.testing.assert_close(seen["output"].reshape(12, -1)[i], total)
        self.assertNotEqual(none["bits"].tolist(), some["bits"].tolist())

    def test_siblings_choose_as_in_runs_of_each_candidate_from_the_start(self):
        model = families.model("qwen3_moe")
        taps = routers.attach(model)
        draft = elastic_draft.ElasticDraft(model, taps)
        width, prompt = 3, 2
        ids = torch.randint(model.config.vocab_size, (2, 9), generator=torch.Generator().manual_seed(2))
        likeliest = model(input_ids=ids).logits[:, 3].topk(width, -1).indices
        ids[0, 4], ids[1, 4] = likeliest[0, 0], likeliest[1, 1]  # the one that decides; one that does not
        found = Siblings.of(model, draft, ids, Passes([1] * 4, prompt, 2), width, None, 8)
        decided = [one.view(2, 9, -1) for one in found.decided]

        def chosen(prefix, token):
            for tap in taps:
                tap.record = True
            model(input_ids=torch.cat([prefix, token[None]])[None])
            sets = [(set(tap.ids[-1].tolist()), dict(zip(tap.ids[-1].tolist(), gates_of(tap.weights)[-1].tolist())))
                    for tap in taps]
            for tap in taps:
                tap.record = False
                tap.forget()
            return sets
        mass, dropped, followers = [0] * len(taps), [0] * len(taps), 0
        for row in range(2):
            for position in range(9):
                free = position < prompt or (position - prompt) % 4 == 0
                if free:
                    mass = [m + (ONE if position >= prompt else 0) for m in mass]
                if not free:
                    prefix = ids[row, :position]
                    tokens = model(input_ids=prefix[None]).logits[0, -1].topk(width).indices
                    of = [chosen(prefix, token) for token in tokens]
                    free = int(ids[row, position]) not in tokens[1:].tolist()
                    followers += not free
                for layer in range(len(taps)):
                    may = set(torch.nonzero(decided[layer][row, position]).flatten().tolist())
                    self.assertEqual(may, set(range(taps[0].experts)) if free else of[0][layer][0])
                if position >= prompt and (position - prompt) % 4:
                    for layer in range(len(taps)):
                        for one in of:
                            mass[layer] += sum(one[layer][1].values())
                            dropped[layer] += sum(g for e, g in one[layer][1].items() if e not in of[0][layer][0])
        self.assertGreater(followers, 0)
        self.assertEqual((found.mass, found.dropped), (mass, dropped))

    def test_channels_of_siblings_are_recalled_as_token_by_token(self):
        model = families.model("qwen3_moe")
        taps = routers.attach(model)
        draft = elastic_draft.ElasticDraft(model, taps)
        ids = torch.randint(model.config.vocab_size, (1, 8), generator=torch.Generator().manual_seed(4))
        theta, width, prompt = 0.3, 3, 2
        found = channel_recall(model, draft, ids, Passes([1] * 3, prompt, 1), width, None, 8, [theta, 1e9])

        def wants(prefix, token):
            """Of each tap {expert: channels} of a token at the end of a run from the start."""
            for tap in taps:
                tap.record = tap.record_channels = True
            model(input_ids=torch.cat([prefix, token[None]])[None])
            sets = [{int(e): {j for j, x in enumerate(tap.channels[-1]) if float(g) * float(x) >= theta * ONE}
                     for e, g in zip(tap.ids[-1], gates_of(tap.weights)[-1])} for tap in taps]
            for tap in taps:
                tap.record = tap.record_channels = False
                tap.forget()
            return sets
        loaded, siblings = {}, []
        for position in range(prompt, 8):
            prefix, of_pass = ids[0, :position], (position - prompt) // 3
            first = [ids[0, position]]
            if (position - prompt) % 3:
                tokens = model(input_ids=prefix[None]).logits[0, -1].topk(width).indices
                first = [tokens[0]]
                for token in tokens[1:]:
                    siblings.append((of_pass, wants(prefix, token), wants(prefix, tokens[0])))
            for layer, of in enumerate(wants(prefix, first[0])):
                for expert, channels in of.items():
                    loaded.setdefault((layer, of_pass, expert), set()).update(channels)
        wanted = covered = 0
        for of_pass, own, deciding in siblings:
            for layer, of in enumerate(own):
                for expert, channels in of.items():
                    if expert in deciding[layer]:
                        wanted += len(channels)
                        covered += len(channels & loaded[layer, of_pass, expert])
        self.assertTrue(0 < covered < wanted)
        channels = model.config.hidden_size
        self.assertEqual(found[theta], (wanted, covered, sum(map(len, loaded.values())), channels * len(loaded)))
        self.assertEqual(found[1e9], (0, 0, 0, channels * len(loaded)))

    def test_the_file_has_a_row_a_rule_and_says_what_it_costs(self):
        model = families.model("qwen3_moe")
        model.save_pretrained(self.folder / "model")
        generator = torch.Generator().manual_seed(1)
        texts = torch.randint(model.config.vocab_size, (6, 20), generator=generator).tolist()
        (self.folder / "texts.jsonl").write_text("".join(f'{{"token_ids": {text}}}\n' for text in texts))
        done = self.run_script("measure_loss.py", "model", "texts.jsonl", "-o", "loss.json", "--prompt-tokens", "4",
                               "--tokens", "20", "--batch", "2", "--demand", "threshold(0)", "--demand", "threshold(0.4)",
                               "--demand", "half(unimportant 0.5)", "--demand", "half(unimportant 0)",
                               "--demand", "slices(0)", "--demand", "slices(0.6)", "--demand", "salient(width 4)")
        self.assertEqual(done.returncode, 0, done.stderr)
        measured = json.loads((self.folder / "loss.json").read_text())
        rows = {row["demand"]: row for row in measured["rules"]}
        every = rows["all"]
        self.assertEqual([measured[key] for key in ("schema", "schema_version", "model", "texts", "tokens", "depth",
                                                    "batch")], ["moecarlo-loss", 1, "model", 6, 96, 4, 2])
        self.assertEqual(every["dropped_mass"], 0)
        for identity in ("threshold(0)", "half(unimportant 0)", "slices(0)"):
            self.assertEqual({**rows[identity], "demand": "all"}, every)
        self.assertGreater(rows["threshold(0.4)"]["dropped_mass"], 0)
        self.assertNotEqual(rows["threshold(0.4)"]["perplexity"], every["perplexity"])
        self.assertGreater(rows["half(unimportant 0.5)"]["dropped_mass"], 0)
        self.assertGreater(rows["slices(0.6)"]["dropped_mass"], 0)
        self.assertGreater(rows["salient(width 4)"]["dropped_mass"], 0)
        self.assertAlmostEqual(every["perplexity"], 2 ** every["bits_per_token"], 1)
        self.assertAlmostEqual(math.log2(every["perplexity_ratio"]), 0)


if __name__ == "__main__":
    unittest.main()
