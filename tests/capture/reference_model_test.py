"""The corpus is plain text, split by name; the card's figures are what their definitions say."""

import json
import unittest

import h5py
import numpy as np

import common

import card  # noqa: E402
import corpus  # noqa: E402
import figures  # noqa: E402


class Corpus(unittest.TestCase):
    def test_markup_goes_and_text_stays(self):
        page = '.\\" comment\n.TH LS 1\n.SH NAME\nls \\- list\n.B bold\n\\fIname\\fR \\(em x\n'
        self.assertEqual(corpus.strip_man(page), "\nNAME\n\nls - list\nbold\nname - x\n")
        self.assertEqual(corpus.strip_html("<head><title>t</title></head><p>a &amp; b</p>").strip(), "a & b")

    def test_tables_are_no_text(self):
        self.assertTrue(corpus.is_generated("BOOST_TYPEOF_ID(3)\n" * 200))
        self.assertFalse(corpus.is_generated(card.__doc__))

    def test_one_document_in_twenty_is_held_out_whatever_the_order(self):
        names = [f"package/file{i}#0" for i in range(4000)]
        share = np.mean([corpus.held_out(name) for name in names])
        self.assertAlmostEqual(share, 0.05, delta=0.01)


class Figures(common.ScriptTest):
    def test_locality_of_a_known_trace(self):
        masks = np.zeros((10, 1, 4), bool)
        masks[np.arange(10), 0, [0, 0, 0, 0, 0, 1, 2, 3, 1, 2]] = True  # constant, then ever another
        found = figures.locality(masks, np.array([0, 5, 10]))
        self.assertEqual(found["adjacent_overlap"], 0.5)
        self.assertEqual(found["distinct_experts_of_2"], 1.5)
        self.assertEqual(found["distinct_experts_of_5"], 2.0)
        self.assertAlmostEqual(figures.domain_distance(masks, np.array([0, 5, 10]), np.array(["a", "b"])), 1.0)
        self.assertAlmostEqual(figures.popularity(masks)["heaviest_over_mean"], 2.0)

    def test_card_of_a_trace(self):
        rng = np.random.default_rng(1)
        with h5py.File(self.folder / "t.h5", "w") as trace:
            trace.attrs.update(schema="moecarlo-trace", schema_version=1, model="small", num_shared_experts=0)
            trace.attrs.update(scoring="softmax", renormalize=True, num_experts=4, top_k=2)
            trace["router_logits"] = rng.normal(size=(20, 2, 4)).astype(np.float16)
            trace["sequence_offsets"], trace["phase"] = [0, 10, 20], np.uint8([0, 0] + [1] * 8 + [0, 0] + [1] * 8)
            trace.create_dataset("sequence_label", data=["a", "b"], dtype=h5py.string_dtype())
            group = trace.create_group("acceptance")
            group["weight_bits"], group["cache_fraction"] = np.uint8([4, 4, 8, 8]), np.float32([0.5, 1, 0.5, 1])
            group["accept_probability"] = np.repeat(np.float16([[0.25], [0.5], [0.75], [1]]), 20, 1)
            group["greedy_agreement"] = np.ones((4, 20), np.uint8)
            group = trace.create_group("rounds")
            group.attrs.update(cache_fraction=0.5, weight_bits=4)
            verified = np.broadcast_to(np.int16([0, 1]), (3, 3, 2, 2)).copy()
            verified[2, 2] = -1  # the last round drafted one token less
            group["position"], group["drafted"], group["accepted"] = [2, 5, 12], [2, 2, 1], [2, 0, 1]
            group["verify_expert_ids"] = verified
        training = dict(
            parameters=1e6,
            options=dict(layers=2, experts=4, expert_hidden=8, top_k=2, hidden=16, rate=0.01, length=8, batch=2),
            training_tokens=1000,
            seconds=1,
            device="CPU",
            heldout_perplexity=4,
            curve={"rows": [[1, 1, 100, 9.0, 1.0]]},
            heldout_bits_per_token={"a": 2.0, "mean": 2.0},
            unigram_bits_per_token={"a": 3.0, "mean": 3.0},
            heldout_bits_per_byte={"a": 1.0, "mean": 1.0},
            corpus={"domains": {}, "packages": {}},
        )
        (self.folder / "training.json").write_text(json.dumps(training))
        for script, arguments in (
            ("figures.py", ("t.h5", "training.json", "-o", "f.json")),
            ("card.py", ("f.json", "-o", "f.md")),
        ):
            self.done(f"../reference_model/{script}", *arguments)
        made = json.loads((self.folder / "f.json").read_text())
        self.assertEqual(made["acceptance"]["acceptance"][0], [4, 0.5, 0.25, 1.0])
        self.assertEqual(made["rounds"]["conditional_acceptance"], [0.5, 1.0])
        self.assertIn("| 4 | 0.250 | 0.500 |", (self.folder / "f.md").read_text())


if __name__ == "__main__":
    unittest.main()
