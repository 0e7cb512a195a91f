"""What is captured is what the models did: routing token for token in every family, drafts, acceptance, rounds."""

import unittest
import warnings

import numpy as np

import common  # noqa: F401, the scripts on the path
from routertrace.refusal import Refusal

import torch  # noqa: E402
import transformers  # noqa: E402

import families  # noqa: E402
from routertrace import acceptance, bit_slices, elastic_draft, generation, rollouts, routers, rules, selection  # noqa: E402
from routertrace.branches import Chains, Text  # noqa: E402

warnings.filterwarnings("ignore", category=FutureWarning)  # of names that older versions do not know otherwise
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)
PROMPTS = [[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5], [8, 9, 7, 9, 3, 2]]


# The rule of every family that is known by its paper or its code: scoring, renormalised, groups kept of, selection bias.
RULES = {
    "mixtral": ("softmax", True, (1, 1), False), "qwen3_moe": ("softmax", True, (1, 1), False),
    "qwen2_moe": ("softmax", False, (1, 1), False), "olmoe": ("softmax", False, (1, 1), False),
    "deepseek_v2": ("softmax", False, (2, 4), False), "deepseek_v3": ("sigmoid", True, (2, 4), True),
    "glm4_moe": ("sigmoid", True, (1, 1), True), "gpt_oss": ("topk_softmax", True, (1, 1), False),
    "granitemoe": ("topk_softmax", True, (1, 1), False), "minimax_m2": ("sigmoid", True, (1, 1), True),
    "ernie4_5_moe": ("softmax", True, (1, 1), True), "llama4_text": ("sigmoid", False, (1, 1), False),
    "dots1": ("sigmoid", False, (2, 4), True),
}
SHARED = {"qwen2_moe": 1, "deepseek_v3": 1, "glm4_moe": 1, "ernie4_5_moe": 1, "llama4_text": 1, "mixtral": 0, "gpt_oss": 0}
KNOWN = [family for family in RULES if family in families.moe_families() and family != "llama4_text"]


class Routing(unittest.TestCase):
    def captured(self, family, prompts, decode=4):
        model = families.model(family)
        taps = routers.attach(model)
        own = families.OwnChoices(model)
        with own:
            sequences = generation.capture(model, taps, prompts, decode, 1.0, 1)
        return model, taps, own, sequences

    def expect_own_choices(self, sequence, own, taps):
        """ids are, token for token, the experts that computed something."""
        found = [[set(row.tolist()) for row in token] for token in sequence.ids]
        self.assertEqual(found, [list(token) for token in own.result()])
        self.assertEqual(sequence.ids.shape, (12, len(taps), taps[0].top_k))

    def expect_exact_logits(self, model, taps, sequence):
        routers.probe(model, taps)
        rule, bias = rules.identify(model, taps)
        exact = bias is not None or rule.num_groups > 1
        stored, wrong = selection.store_logits(rule, sequence.logits, sequence.ids,
                                               np.float32 if exact else np.float16, bias)
        self.assertEqual(wrong, 0)
        np.testing.assert_array_equal(np.sort(selection.select(rule, stored, bias)), np.sort(sequence.ids))
        return rule, bias

    def test_recorded_routing_is_what_the_experts_computed(self):
        for family, (scoring, renormalize, groups, biased) in RULES.items():
            if family not in families.moe_families():
                continue
            with self.subTest(family):
                model, taps, own, (sequence,) = self.captured(family, [PROMPTS[0]])
                self.expect_own_choices(sequence, own, taps)
                self.assertEqual(sequence.phase, [0] * 8 + [1] * 4)
                rule, bias = self.expect_exact_logits(model, taps, sequence)
                self.assertEqual((rule.scoring, rule.renormalize, (rule.top_k_groups, rule.num_groups), bias is not None),
                                 (scoring, renormalize, groups, biased))
                if biased:
                    self.assertGreater(np.abs(bias).max(), 0.2)
                    unbiased = selection.select(selection.Rule(scoring, renormalize, 8, 2, *groups[::-1]),
                                                sequence.logits)
                    self.assertGreater((np.sort(unbiased) != np.sort(sequence.ids)).mean(), 0.05)
                if family in SHARED:
                    self.assertEqual(routers.shared_experts(model, taps), SHARED[family])

    def test_every_family_of_transformers_is_recorded_as_it_computes_or_refused(self):
        recorded = []
        for family in families.moe_families():
            try:
                model = families.model(family)
                model(input_ids=torch.randint(61, (2, 8)))
            except Exception:  # no model of these sizes
                continue
            with self.subTest(family):
                try:
                    model, taps, own, (sequence,) = self.captured(family, [PROMPTS[0]])
                except Refusal:
                    continue
                self.expect_own_choices(sequence, own, taps)
                try:
                    self.expect_exact_logits(model, taps, sequence)
                except Refusal as refusal:
                    self.assertIn("--routing ids", str(refusal))
                    continue
                recorded.append(family)
        self.assertGreaterEqual(len(recorded), 50, recorded)

    def test_a_router_whose_rule_is_not_recognised_is_refused(self):
        model, taps, own, (sequence,) = self.captured("phimoe", [PROMPTS[0]])  # weights by a softmax with a threshold
        self.expect_own_choices(sequence, own, taps)
        routers.probe(model, taps)
        with self.assertRaisesRegex(Refusal, "no rule that a trace can state.*gate weights"):
            rules.identify(model, taps)
        model = families.model("qwen3_moe")
        for block in model.model.layers:  # scores that no trace knows: experts far from a point are chosen
            block.mlp.gate.forward = lambda x, gate=block.mlp.gate: self.strange(x, gate)
        taps = routers.attach(model)
        with self.assertRaisesRegex(Refusal, "the nearest one differs in"):
            rules.identify(model, taps)

    @staticmethod
    def strange(x, gate):
        logits = torch.nn.functional.linear(x.reshape(-1, x.shape[-1]), gate.weight)
        weights, ids = torch.softmax(logits.abs(), -1).topk(2)
        return logits, weights, ids

    def test_experts_that_are_called_otherwise_are_refused(self):
        for family in ("jetmoe", "longcat_flash"):
            if family in families.moe_families():
                with self.subTest(family), self.assertRaises(Refusal):
                    routers.attach(families.model(family))

    def test_padded_batch_routes_like_each_prompt_alone(self):
        for family in ("qwen3_moe", "deepseek_v2", "gpt_oss"):
            with self.subTest(family):
                model, taps, _, together = self.captured(family, PROMPTS, decode=0)
                for prompt, sequence in zip(PROMPTS, together):
                    alone = generation.capture(model, taps, [prompt], 0, 0, 1)[0]
                    np.testing.assert_allclose(sequence.logits, alone.logits, atol=2e-4)

    def test_decode_routes_like_one_pass_over_the_text(self):
        model, taps, _, sequences = self.captured("qwen3_moe", PROMPTS, decode=6)
        for sequence in sequences:
            once = generation.capture(model, taps, [sequence.token_ids], 0, 0, 1)[0]
            np.testing.assert_allclose(sequence.logits, once.logits, atol=2e-4)

    def test_gate_weights_of_every_rule(self):
        for family in KNOWN:
            model = families.model(family)
            taps = routers.attach(model)
            rule, _ = rules.identify(model, taps)
            factor = getattr(model.config, "routed_scaling_factor", None) or 1
            for tap in taps:
                expected = factor * selection.gate_weights(rule, tap.logits.numpy(), tap.ids.numpy())
                np.testing.assert_allclose(tap.weights.float().numpy(), expected, rtol=2e-3, err_msg=family)

    def test_a_router_by_another_name(self):
        class Experts(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.stack = torch.nn.Parameter(torch.randn(6, 16, 16))

            def forward(self, x, chosen, weights):
                return torch.einsum("nk,nkij,nj->ni", weights, self.stack[chosen], x)

        class Block(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.experts = Experts()
                self.chooser = torch.nn.Linear(16, 6, bias=False)

            def forward(self, x):
                weights, self.chosen = self.chooser(x).softmax(-1).topk(2)
                return self.experts(x, self.chosen, weights / weights.sum(-1, keepdim=True))

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.embedding = torch.nn.Embedding(31, 16)
                self.layers = torch.nn.ModuleList([Block(), Block()])
                self.config, self.device = transformers.PretrainedConfig(), torch.device("cpu")

            def get_input_embeddings(self):
                return self.embedding

            def forward(self, input_ids, use_cache=False):
                x = self.embedding(input_ids).flatten(0, 1)
                for layer in self.layers:
                    x = x + layer(x)

        model = Model()
        taps = routers.attach(model)
        rule, bias = rules.identify(model, taps)
        self.assertEqual((rule, bias), (selection.Rule("softmax", True, 6, 2), None))
        for layer, tap in enumerate(taps):
            np.testing.assert_array_equal(tap.ids, model.layers[layer].chosen)
            ids = selection.select(rule, tap.logits.numpy())
            np.testing.assert_array_equal(np.sort(ids), model.layers[layer].chosen.sort().values.numpy())

    def test_a_dense_model_is_refused(self):
        config = transformers.LlamaConfig(vocab_size=31, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                          num_attention_heads=2)
        with self.assertRaisesRegex(Refusal, "no MoE router"):
            routers.attach(transformers.AutoModelForCausalLM.from_config(config))


class Draft(unittest.TestCase):
    def draft(self, family="qwen3_moe"):
        model = families.model(family)
        taps = routers.attach(model)
        return model, taps, elastic_draft.ElasticDraft(model, taps)

    def test_tensors_are_quantised_like_arrays(self):
        weights = torch.randn(5, 70)
        weights[2, 32:64] = 0
        q, scale = elastic_draft.quantise(weights)
        expected, expected_scale = bit_slices.quantise(weights.numpy())
        np.testing.assert_array_equal(q.flatten(-2)[:, :70].numpy(), expected)
        np.testing.assert_array_equal(scale.numpy(), expected_scale)
        for bits in range(1, 9):
            for augmented in (True, False):
                np.testing.assert_array_equal(elastic_draft.keep_bits(q, bits, augmented).flatten(-2)[:, :70].numpy(),
                                              bit_slices.keep_bits(expected, bits, augmented))

    def test_only_residents_are_chosen(self):
        for family in KNOWN:
            with self.subTest(family):
                model, taps, draft = self.draft(family)
                residents = np.zeros((len(taps), 8), bool)
                residents[:, [1, 2, 5, 6]] = True  # two a group, where there are groups of two experts or four
                draft.become_draft(4, residents)
                for tap in taps:
                    tap.record = True
                model(input_ids=torch.tensor([PROMPTS[0]]))
                for tap in taps:
                    used = tap.weights > 0
                    self.assertTrue(set(tap.ids[used].unique().tolist()) <= {1, 2, 5, 6})
                    self.assertTrue(used.any(-1).all())

    def test_the_target_comes_back_whole(self):
        for family in ("qwen3_moe", "deepseek_v3", "gpt_oss"):
            model, taps, draft = self.draft(family)
            ids = torch.tensor([PROMPTS[0]])
            before = model(input_ids=ids).logits
            residents = elastic_draft.most_popular(torch.arange(8).repeat(len(taps), 1).numpy(), 0.5, 2)
            draft.become_draft(3, residents)
            self.assertGreater(float((model(input_ids=ids).logits - before).abs().max()), 1e-3)
            draft.become_target()
            self.assertEqual(float((model(input_ids=ids).logits - before).abs().max()), 0)

    def test_routers_norms_and_embeddings_stay(self):
        model = families.model("qwen3_moe")
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        draft = elastic_draft.ElasticDraft(model, routers.attach(model))
        draft.become_draft(2)
        changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
        self.assertFalse([n for n in changed if "norm" in n or "embed" in n or n.endswith("gate.weight")])
        self.assertTrue([n for n in changed if "experts" in n] and [n for n in changed if "q_proj" in n]
                        and "lm_head.weight" in changed)

    def test_most_popular(self):
        popularity = np.array([[5, 9, 9, 0], [1, 1, 1, 1]])
        self.assertEqual(elastic_draft.most_popular(popularity, 0.5, 1).tolist(),
                         [[False, True, True, False], [True, True, False, False]])
        self.assertEqual(elastic_draft.most_popular(popularity, 0.0, 2).sum(1).tolist(), [2, 2])


class Branches(unittest.TestCase):
    def test_a_chain_sees_the_text_before_it_and_itself(self):
        """Chains that repeat the text give the text's own logits, in every kind of attention."""
        for family in ("qwen3_moe", "mixtral", "gpt_oss", "deepseek_v2", "glm4_moe"):
            with self.subTest(family), torch.inference_mode():
                model = families.model(family)
                if family == "mixtral":
                    model.config.sliding_window = 5
                ids = torch.randint(61, (2, 16))
                text = Text(model, ids)
                plain = model(input_ids=ids).logits
                torch.testing.assert_close(text.logits, plain, atol=1e-4, rtol=1e-4)
                starts = torch.arange(12).expand(2, -1)
                chains = Chains(text, starts)
                for step in range(4):
                    logits = chains.step(ids.gather(1, starts + step))
                    torch.testing.assert_close(logits, plain[:, step:12 + step], atol=2e-4, rtol=1e-3)

    def test_a_chain_of_other_tokens_equals_the_model_on_that_text(self):
        with torch.inference_mode():
            model = families.model("qwen3_moe")
            ids, other = torch.randint(61, (1, 10)), torch.randint(61, (1, 3, 2))
            chains = Chains(Text(model, ids), torch.tensor([[2, 5, 9]]))
            for step in range(2):
                logits = chains.step(other[..., step])
            for i, start in enumerate((2, 5, 9)):
                alone = model(input_ids=torch.cat([ids[:, :start], other[:, i]], 1)).logits[0, -1]
                torch.testing.assert_close(logits[0, i], alone, atol=2e-4, rtol=1e-3)


class Measured(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = families.model("qwen3_moe")
        cls.taps = routers.attach(cls.model)
        cls.draft = elastic_draft.ElasticDraft(cls.model, cls.taps)
        captured = generation.capture(cls.model, cls.taps, [p + p for p in PROMPTS] * 8, 40, 1.0, 5)
        cls.sequences = [list(s.token_ids) for s in captured]
        cls.firsts = [s.phase.index(1) for s in captured]
        cls.popularity = np.stack([np.bincount(np.concatenate([s.ids[:, layer].ravel() for s in captured]), minlength=8)
                                   for layer in range(3)])

    def measured(self, *configurations):
        return acceptance.measure(self.model, self.draft, self.sequences, self.popularity, configurations, 1.0)

    def test_the_whole_model_at_8_bits_is_always_accepted(self):
        accept, agree, _ = self.measured((1.0, 8, True))
        self.assertGreater(accept.min(), 1 - 1e-3)
        self.assertGreater(agree.mean(), 0.999)

    def test_acceptance_rises_with_bits_and_residents_and_augmentation_helps(self):
        bits = [(1.0, b, True) for b in (2, 3, 4, 6, 8)]
        self.assertTrue((np.diff(self.measured(*bits)[0].mean(1)) > 0).all())
        fractions = [(f, 8, True) for f in (0.25, 0.5, 0.75, 1.0)]
        self.assertTrue((np.diff(self.measured(*fractions)[0].mean(1)) > 0).all())
        for b in (2, 3, 4):
            augmented, truncated = self.measured((1.0, b, True), (1.0, b, False))[0].mean(1)
            self.assertGreaterEqual(augmented, truncated)

    def test_acceptance_is_the_overlap_of_the_two_models(self):
        accept, _, _ = self.measured((0.5, 3, True))
        sequence, residents = self.sequences[1], elastic_draft.most_popular(self.popularity, 0.5, 2)
        begin = len(self.sequences[0])
        with torch.inference_mode():
            for position in (1, 7, 20):  # the draft's own keys and values at its one position, the target's before
                self.draft.become_target()
                output = self.model(input_ids=torch.tensor([sequence[:position - 1]])) if position > 1 else None
                p = self.model(input_ids=torch.tensor([sequence[:position]])).logits[0, -1].softmax(-1)
                self.draft.become_draft(3, residents)
                cache = None if output is None else output.past_key_values
                q = self.model(input_ids=torch.tensor([[sequence[position - 1]]]), past_key_values=cache).logits[0, -1]
                overlap = torch.minimum(p, q.softmax(-1)).sum()
                self.assertAlmostEqual(float(accept[0, begin + position]), float(overlap), delta=2e-3)

    def rounds(self, temperature=1.0, bits=4, fraction=0.75, sequences=None):
        residents = elastic_draft.most_popular(self.popularity, fraction, 2)
        return rollouts.record(self.model, self.draft, sequences or self.sequences, self.firsts, residents, bits, 4,
                               temperature, 3)

    def test_rounds_follow_one_another_to_the_end_of_the_text(self):
        for found, sequence, first in zip(self.rounds(), self.sequences, self.firsts):
            position = first
            for r in found:
                self.assertEqual(r.position, position)
                self.assertEqual(r.drafted, min(4, len(sequence) - 1 - position))
                self.assertLessEqual(r.accepted, r.drafted)
                self.assertEqual(r.ids.shape, (r.drafted + 1, 3, 2))
                position += r.accepted + 1
            self.assertGreaterEqual(position, len(sequence) - 1)

    def test_accepted_columns_route_as_the_text_does(self):
        wrong = of = 0
        for found, sequence in zip(self.rounds(), self.sequences):
            whole = generation.capture(self.model, self.taps, [sequence], 0, 0, 1)[0].ids
            for r in found:
                ours = np.sort(r.ids[: r.accepted + 1], -1)
                theirs = np.sort(whole[r.position:r.position + r.accepted + 1], -1)
                wrong, of = wrong + (ours != theirs).any(-1).sum(), of + ours[..., 0].size
        self.assertLess(wrong, 0.002 * of)

    def test_first_drafts_are_accepted_as_often_as_measured(self):
        """The coupling of recorded rounds has the law of speculative sampling: at the positions where rounds begin, the
        first draft token is accepted with the measured probability."""
        accept, _, _ = self.measured((0.75, 4, True))
        starts = np.cumsum([0] + [len(s) for s in self.sequences])
        hits, expected = [], []
        for s, found in enumerate(self.rounds()):
            for r in found:
                hits.append(r.accepted > 0)
                expected.append(accept[0, starts[s] + r.position + 1])
        spread = np.sqrt(np.sum(np.multiply(expected, np.subtract(1, expected))))
        self.assertLess(abs(np.sum(hits) - np.sum(expected)), 4 * spread)

    def test_a_draft_equal_to_its_target_is_always_accepted(self):
        self.assertTrue(all(r.accepted == r.drafted for found in self.rounds(bits=8, fraction=1.0) for r in found))

    def test_greedy_rounds_accept_where_the_best_tokens_agree(self):
        greedy = generation.capture(self.model, self.taps, [p + p for p in PROMPTS] * 8, 40, 0.0, 5)
        found = self.rounds(0.0, 8, 1.0, [list(s.token_ids) for s in greedy])
        wrong = sum(r.accepted != r.drafted for rounds in found for r in rounds)
        self.assertLess(wrong, 2)


if __name__ == "__main__":
    unittest.main()
