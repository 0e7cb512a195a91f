"""Zero-computation experts cost no fetch: every command counts what is left of a token's choices, as sets in Python do."""

import itertools
import json

import h5py
import numpy as np

import program

EXPERTS, ZERO, TOP_K, LAYERS = 8, 2, 3, 2


class ZeroExperts(program.ProgramTest):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(11)
        attributes, datasets = program.trace_parts(layers=LAYERS, experts=EXPERTS + ZERO, top_k=TOP_K)
        ids = datasets["expert_ids"].astype(np.int16)
        ids[rng.random(ids.shape) < 0.1] = -1
        ids[3, 0], ids[4] = -1, [8, 9, -1]  # nothing to fetch
        self.ids, self.parts = ids, ({**attributes, "num_experts": EXPERTS, "zero_computation_experts": ZERO},
                                     {**datasets, "expert_ids": ids})
        program.write_trace(self.folder / "trace.h5", *self.parts)
        self.chosen = [[[e for e in layer if 0 <= e < EXPERTS] for layer in token] for token in ids.tolist()]
        offsets = datasets["sequence_offsets"]
        self.sequences = [self.chosen[a:b] for a, b in itertools.pairwise(offsets)]

    def runs(self):
        """Each layer of each sequence: a list of choices a token."""
        return [[token[layer] for token in sequence] for layer in range(LAYERS) for sequence in self.sequences]

    def test_inspect_counts_them(self):
        told = json.loads(self.done("inspect", "--json", self.folder / "trace.h5").stdout)
        self.assertEqual((told["experts"], told["zero_computation_experts"]), (EXPERTS, ZERO))
        self.assertEqual(told["zero_computation_choices"], int(((self.ids < 0) | (self.ids >= EXPERTS)).sum()))
        self.assertIn("2 that compute nothing", self.done("inspect", self.folder / "trace.h5").stdout)

    @staticmethod
    def lru_hits(run, capacity):
        """Of one run from an empty cache: all look-ups of a token are judged, then touched in their order."""
        cache, hits = [], 0
        for chosen in run:
            hits += len(set(chosen) & set(cache[:capacity]))
            for expert in chosen:
                cache = [expert, *(other for other in cache if other != expert)]
        return hits

    def test_locality(self):
        told = json.loads(self.done("locality", self.folder / "trace.h5", "--json", "--windows", "1,2,5", "--capacities",
                                    "3,5", "--segments", "2").stdout)
        runs = self.runs()
        kept = sum(len(set(a) & set(b)) for run in runs for a, b in itertools.pairwise(run))
        self.assertAlmostEqual(told["adjacent_overlap"]["mean"], kept / sum(len(b) for run in runs for b in run[1:]), 12)
        for n in (1, 2, 5):
            unions = [len(set().union(*run[t:t + n])) for run in runs for t in range(len(run) - n + 1)]
            self.assertAlmostEqual(told["distinct_experts"][str(n)], np.mean(unions), 12)
        lookups = sum(len(chosen) for run in runs for chosen in run)
        for capacity in (3, 5):
            hits = sum(self.lru_hits(run, capacity) for run in runs)
            self.assertAlmostEqual(told["lru_hit_rate"][str(capacity)], hits / lookups, 12)

    def test_cache(self):
        layers = [[token[layer] for token in self.chosen] for layer in range(LAYERS)]
        for order in ("event", "sequential"):
            told = json.loads(self.done("cache", self.folder / "trace.h5", "--json", "--policy", "lru", "--capacity", "4",
                                        "--order", order).stdout)
            cut = [[[e] for chosen in layer for e in chosen] if order == "sequential" else layer for layer in layers]
            self.assertEqual(told["hits"], sum(self.lru_hits(layer, 4) for layer in cut))
            self.assertEqual(told["lookups"], sum(len(chosen) for layer in layers for chosen in layer))

    def simulated(self, name, **tables):
        self.simulate(self.study(f"{name}.toml", **tables), self.folder / name)
        return program.summary(self.folder / name)

    def test_a_replay_touches_what_is_left(self):
        """Depth 0 token by token, depth 2 in passes of three; residents are the most popular experts."""
        summary = self.simulated("replay", study={"mode": "replay", "calibration": "all"},
                                 grid={"depth": [0, 2], "policy": "static", "capacity": [3]}, acceptance={"alpha": 1})
        popular = [np.argsort(-np.bincount([e for token in self.chosen for e in token[layer]], minlength=EXPERTS),
                              kind="stable")[:3] for layer in range(LAYERS)]
        for point, columns in zip(summary["points"], (1, 3)):
            unions = [(layer, set().union(*(token[layer] for token in sequence[t:t + columns])))
                      for layer in range(LAYERS) for sequence in self.sequences
                      for t in range(0, len(sequence) - columns + 1, columns)]
            metrics = point["metrics"]
            self.assertAlmostEqual(metrics["distinct_experts"]["value"], np.mean([len(u) for _, u in unions]), 12)
            self.assertAlmostEqual(metrics["hits"]["value"], np.mean([len(u & set(popular[n])) for n, u in unions]), 12)
            self.assertNotIn("draft_coverage", metrics)
        self.assertTrue(any("No draft coverage" in note for note in summary["notes"]))

    def test_random_walks_agree_with_every_case_enumerated(self):
        """Fresh starts of static residents, episodes of other policies: how many experts a pass has is not certain."""
        grid = {"batch": [1], "depth": [0, 2], "policy": "static", "capacity": [3]}
        every = self.simulated("every", study={"mode": "exhaustive", "calibration": "all"}, grid=grid)
        walks = self.simulated("walks", study={"trajectories": 8192, "calibration": "all"},
                               grid={**grid, "policy": ["static", "lru"]})
        for exact in every["points"]:
            for point in walks["points"]:
                if point["depth"] != exact["depth"]:
                    continue
                drawn, expected = point["metrics"]["distinct_experts"], exact["metrics"]["distinct_experts"]["value"]
                self.assertGreater(drawn["mc_half_width"], 0)
                self.assertAlmostEqual(drawn["value"], expected, delta=3 * drawn["mc_half_width"] + 0.02)
                if point["policy"] == "static":
                    hits = point["metrics"]["hits"]
                    self.assertAlmostEqual(hits["value"], exact["metrics"]["hits"]["value"],
                                           delta=3 * hits["mc_half_width"] + 0.02)

    def test_recorded_rounds_may_hold_them(self):
        columns = np.full((2, 2, LAYERS, TOP_K), -1, np.int16)
        columns[0, 0], columns[0, 1], columns[1, 0] = [0, 8, -1], [9, 1, 2], [-1, -1, -1]
        with h5py.File(self.folder / "trace.h5", "a") as trace:
            trace["rounds/position"], trace["rounds/drafted"], trace["rounds/accepted"] = [0, 2], [1, 0], [1, 0]
            trace["rounds/verify_expert_ids"] = columns
        summary = self.simulated("rounds", study={"mode": "replay", "calibration": "all"},
                                 grid={"depth": [1], "policy": "static", "capacity": [3]},
                                 acceptance={"model": "rounds", "rejected_routing": "captured"})
        self.assertEqual(summary["points"][-1]["metrics"]["distinct_experts"]["value"], 1.5)  # {0, 1, 2} and none

    def test_what_counts_top_k_of_every_token_is_refused(self):
        for tables, says in (({"acceptance": {"model": "coverage", "b0": 0.0, "b1": 1.0}}, "coverage"),
                             ({"grid": {"depth": [2], "policy": "hotness", "capacity": [3]}}, "hotness"),
                             ({"hardware": {"model": "gpt-oss-20b", "systems": ["xpu"]}}, "[hardware]")):
            self.refused(program.USAGE, "simulate", self.study(**tables), "-o", self.folder / "out",
                         says=[says, "zero-computation"] if says != "[hardware]" else [])

    def test_only_what_the_attribute_says_is_one(self):
        attributes, datasets = self.parts
        for name, changed, ids, says in (
                ("none.h5", {"zero_computation_experts": 0}, self.ids, "expected 0 to 7"),
                ("one.h5", {"zero_computation_experts": 1}, self.ids, "found 9"),
                ("below.h5", {}, np.where(self.ids == -1, -2, self.ids), "found -2"),
                ("many.h5", {"zero_computation_experts": -1}, self.ids, "zero_computation_experts"),
                ("twice.h5", {}, np.full_like(self.ids, 5), "twice")):
            program.write_trace(self.folder / name, {**attributes, **changed}, {**datasets, "expert_ids": ids})
            self.refused(program.INPUT, "inspect", self.folder / name, says=[says])
        logits = program.trace_parts(layers=LAYERS, experts=EXPERTS, top_k=TOP_K, form="router_logits")
        program.write_trace(self.folder / "logits.h5", {**logits[0], "zero_computation_experts": 2}, logits[1])
        self.refused(program.INPUT, "inspect", self.folder / "logits.h5", says=["router_logits", "expert_ids"])


if __name__ == "__main__":
    program.main()
