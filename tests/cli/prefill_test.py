"""Prefills, nested capacities and siblings from a study to its outputs."""

import csv

import h5py
import numpy as np

import elastic
import program

CHUNK, LENGTH, PROMPT = 8, 40, 21


class Counted(elastic.Elastic):
    def setUp(self):
        super().setUp()
        self.elastic_trace()

    def output(self):
        return self.folder / f"run-{self.runs}"

    def rows(self, name):
        with open(self.output() / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def mark_prompts(self):
        """The first tokens of every sequence are its prompt."""
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            trace["phase"] = (np.arange(len(trace["token_ids"])) % LENGTH >= PROMPT).astype(np.uint8)

    def chosen(self):
        """[tokens][layers] sets of experts."""
        with h5py.File(self.folder / "trace.h5") as trace:
            order = np.argsort(-trace["router_logits"][:], axis=2, kind="stable")[:, :, :2]
        return [[set(experts) for experts in token] for token in order]

    def chunks(self, first, length):
        chosen = self.chosen()
        for start in range(0, len(chosen), LENGTH):
            for at in range(first, first + length, CHUNK):
                yield chosen[start + at:start + min(at + CHUNK, first + length)]

    def test_channels_of_prompts_are_those_of_prompts(self):
        """Inputs of prompts are large and those of decoding are nothing, of which there are more."""
        self.mark_prompts()
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            phase = trace["phase"][:]
            trace["phase"][:] = phase = (np.arange(len(phase)) % LENGTH >= 9).astype(np.uint8)
            values = np.where(phase[:, None, None] == 0, 255, 0) * np.ones((1, elastic.LAYERS, 8))
            trace["channel_magnitude"] = values.astype(np.uint8)
            trace["channel_magnitude"].attrs["scale"] = np.full(elastic.LAYERS, 1, np.float32)
        found = self.results(demand={"rule": ["all"], "channels": [0.001]}, prefill={"chunk": CHUNK})
        prompts, decoded = (found[part][0]["metrics"] for part in ("prefill", "points"))
        self.assertEqual(prompts["expert_equivalents"]["value"], prompts["distinct_experts"]["value"])
        self.assertEqual(decoded["expert_equivalents"]["value"], 0)

    def test_chunks_of_a_trace_without_phases_are_of_all_its_tokens(self):
        points = self.results(grid={"policy": ["static", "lru"], "capacity": [5]}, prefill={"chunk": CHUNK})["prefill"]
        means = [np.mean([len(set().union(*(token[layer] for token in chunk))) for chunk in self.chunks(0, LENGTH)])
                 for layer in range(elastic.LAYERS)]
        self.assertEqual([(p["policy"], p["batch"], p["depth"]) for p in points], [("static", 1, 0), ("lru", 1, 0)])
        for point in points:
            distinct = point["metrics"]["distinct_experts"]
            np.testing.assert_allclose(distinct["per_layer"], means)
            self.assertEqual(distinct["mc_half_width"], 0)
            self.assertGreater(distinct["trace_half_width"], 0)
            self.assertNotIn("tokens_per_round", point["metrics"])
            self.assertNotIn("psum_spills", point["metrics"])

    def test_prompts_alone_are_prefilled_where_phases_are_marked(self):
        plain = self.results()["points"]
        self.mark_prompts()
        decoded = self.results()["points"]
        results = self.results(prefill={"chunk": CHUNK, "psum_slots": 3})
        self.assertEqual(results["points"], decoded)
        self.assertNotEqual(plain, decoded)
        metrics = results["prefill"][0]["metrics"]
        chunks = list(self.chunks(0, PROMPT))
        means = [np.mean([len(set().union(*(token[layer] for token in chunk))) for chunk in chunks])
                 for layer in range(elastic.LAYERS)]
        np.testing.assert_allclose(metrics["distinct_experts"]["per_layer"], means)
        self.assertGreater(metrics["psum_high_water"]["value"], 3)
        self.assertGreater(metrics["psum_spills"]["value"], 0)
        # Without a slot a token's sum goes out and comes back between any two of its experts.
        none = self.results(prefill={"chunk": CHUNK, "psum_slots": 0})["prefill"][0]["metrics"]
        self.assertAlmostEqual(none["psum_spills"]["value"], np.mean([len(chunk) for chunk in chunks]), 12)  # of two each
        forced = self.results(prefill={"chunk": CHUNK, "psum_slots": 3, "psum_forced": True})["prefill"][0]["metrics"]
        self.assertGreater(forced["psum_spills"]["value"], metrics["psum_spills"]["value"])
        rows = {row["metric"]: float(row["value"]) for row in self.rows("prefill.csv")}
        self.assertEqual(rows["psum_spills"], forced["psum_spills"]["value"])
        report = (self.output() / "report.md").read_text(encoding="utf-8")
        self.assertIn("open partial sums", report)
        self.done("report", self.output())
        self.assertEqual(program.summary(self.output())["prefill"][0]["metrics"], forced)

    def test_shards_count_prefills_once(self):
        self.results(prefill={"chunk": CHUNK})
        for i in range(2):
            self.simulate(self.folder / "study.toml", self.folder / "parts", "--shard", f"{i}/2")
        self.done("merge", *sorted((self.folder / "parts").iterdir()), "-o", self.folder / "merged")
        self.assertEqual((self.folder / "merged/tallies.h5").read_bytes(), (self.output() / "tallies.h5").read_bytes())

    def test_rules_act_on_prefills_as_on_passes(self):
        demand = {"rule": ["all", "half"], "unimportant": [1]}
        self.mark_prompts()
        every, half = self.results(prefill={"chunk": CHUNK}, demand=demand)["prefill"]
        self.assertEqual((every["demand"], half["demand"]), ("all", "half(unimportant 1)"))
        # All decode tokens that calibrate are unimportant, and so nearly all others.
        kept = half["metrics"]["demands_kept"]["value"] / every["metrics"]["demands"]["value"]
        self.assertAlmostEqual(kept, 0.5, delta=0.02)
        self.assertLess(half["metrics"]["distinct_experts"]["value"], every["metrics"]["distinct_experts"]["value"])

    def test_what_cannot_be_prefilled_is_refused(self):
        for tables, says in [({"grid": {"policy": "hotness"}}, "a prefill has none"),
                             ({"grid": {"policy": "random"}}, "a prefill is walked once"),
                             ({"study": {"mode": "perturbed"}}, "another mode than perturbed"),
                             ({"prefill": {"psum_forced": True}}, "prefill.psum_slots is missing"),
                             ({"prefill": {"psum_forced": True, "psum_slots": 0}}, "prefill.psum_slots is missing")]:
            tables = {"prefill": {"chunk": CHUNK}, **tables}
            self.study(**tables)
            self.refused(program.USAGE, "simulate", self.folder / "study.toml", "-o", self.folder / "none", says=says)

    def test_a_tier_within_a_tier(self):
        points = self.results(grid={"policy": ["static", "lru"], "capacity": [5], "nested": [[3, 7]]})["points"]
        self.assertEqual(sorted({point["capacity"] for point in points}), [3, 5, 7])
        hits = {(p["policy"], p["capacity"]): p["metrics"]["hits"]["value"] for p in points}
        for point in points:
            value = {name: figure["value"] for name, figure in point["metrics"].items()}
            if point["capacity"] != 7:
                self.assertNotIn("near_hits", value)
                continue
            self.assertAlmostEqual(value["near_hits"], hits[point["policy"], 3], 12)
            all_of_them = value["near_hits"] + value["far_hits"] + value["misses"]
            self.assertAlmostEqual(all_of_them, value["distinct_experts"], 12)
            self.assertGreater(point["metrics"]["far_hits"]["mc_half_width"], 0)

    def test_depths_and_siblings_of_a_tree(self):
        asked = {"histograms": ["distinct_by_depth", "siblings_shared"]}
        point = self.results(study=asked, draft={"width": 3, "sibling_routing": 0.5})["points"][0]
        shared, depths = point["histograms"]["siblings_shared"], point["histograms"]["distinct_by_depth"]
        self.assertAlmostEqual(sum(shared["all"]), 1, 12)
        mean = np.dot(shared["all"], range(len(shared["all"])))
        self.assertAlmostEqual(mean, point["metrics"]["siblings_shared"]["value"], 12)
        self.assertEqual(sum(shared["all"][3:]), 0)  # of two
        self.assertEqual([point["metrics"][f"distinct_by_depth.{depth}"]["value"] for depth in range(4)], depths["all"])
        self.assertEqual(depths["all"][0], 2)
        self.assertTrue(all(2 < mean <= 6 for mean in depths["all"][1:]))
        self.assertIn("columns of one depth", (self.output() / "report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    program.main()
