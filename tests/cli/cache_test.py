"""`cache` replays a recorded log look-up by look-up, agrees with `locality`, and lets every option do something."""

import json

import h5py
import numpy as np

import program

HY3 = program.RECORDED_TRACES / "hy3_chatprose_k2.h5"
POLICIES = ["static", "lru", "fifo", "lfu", "lfu-kept", "slru", "random", "belady", "belady-bypass"]


def lru(events, capacity, atomic):
    """Hits of each look-up of one cache, by a list."""
    residents, hits = [], []
    for event in events:
        if atomic:
            hits += [object_ in residents for object_ in event]
        for object_ in event:
            if not atomic:
                hits.append(object_ in residents)
            residents = ([object_] + [other for other in residents if other != object_])[:capacity]
    return hits


class Cache(program.ProgramTest):
    def figures(self, trace, policy, capacity, *options):
        result = self.done("--quiet", "cache", trace, "--json", "--policy", policy, "--capacity", capacity, *options)
        return json.loads(result.stdout)

    def log_trace(self, name="log.h5", lookups=2000, objects=16, seed=3):
        """A trace with a log of look-ups in 3 layers and the drafter's own, found as an LRU pool of 20 slots would."""
        attributes, datasets = program.trace_parts()
        rng = np.random.default_rng(seed)
        layer, expert, part = rng.integers(0, 4, lookups), rng.zipf(1.4, lookups) % objects, rng.integers(0, 2, lookups)
        hit = lru([[pair] for pair in zip(layer.tolist(), expert.tolist(), part.tolist())], 20, False)
        program.write_trace(self.folder / name, attributes, datasets)
        with h5py.File(self.folder / name, "r+") as trace:
            for member, values in dict(layer=layer, expert=expert, part=part, hit=np.array(hit, np.uint8)).items():
                trace[f"lookups/{member}"] = values
        return self.folder / name

    def ids(self, trace):
        with h5py.File(trace) as file:
            return file["expert_ids"][:].tolist()

    def test_what_a_policy_name_leaves_open_is_said(self):
        trace = self.log_trace()
        for policy, words, order in (("lfu", "a count is forgotten when its object is evicted", "event"),
                                     ("lfu-kept", "count goes on when it is evicted", "event"),
                                     ("fifo", "an expert of the token at hand may be evicted", "event"),
                                     ("fifo", "one of the token at hand too", "sequential"),
                                     ("belady", "only the last expert is sure to stay", "event")):
            options = ["cache", trace, "--policy", policy, "--capacity", 5, "--order", order]
            self.assertIn(f"note: {policy}", self.done(*options).stdout)
            self.assertIn(words, json.loads(self.done(*options, "--json").stdout)["policy_note"])
        self.assertNotIn("policy_note", self.figures(trace, "lru", 5))
        usage = " ".join(self.done("cache", "--help").stdout.split())
        self.assertIn("count is forgotten when it is evicted", usage)
        self.assertIn("an expert of the token at hand may be evicted", usage)

    def test_under_fifo_and_belady_an_expert_of_the_token_at_hand_may_be_evicted(self):
        """Three slots hold 0 1 2, oldest first; the token takes 0, a hit, and 3, which takes the slot of 0. So 0 misses
        next. Belady keeps the last object, 3, and of 0 1 2 the two that come next, 1 and 2."""
        attributes, datasets = program.trace_parts(layers=1, experts=8, top_k=2)
        tokens = [[0, 1], [1, 2], [0, 3], [1, 2], [0, 3]]
        datasets = {"expert_ids": np.array(tokens, np.uint8)[:, None], "sequence_offsets": np.array([0, 5])}
        program.write_trace(self.folder / "t.h5", attributes, datasets)
        self.assertEqual(self.figures(self.folder / "t.h5", "fifo", 3)["hits"], 1 + 1 + 2 + 1)
        self.assertEqual(self.figures(self.folder / "t.h5", "lru", 3)["hits"], 1 + 1 + 1 + 1)
        self.assertEqual(self.figures(self.folder / "t.h5", "belady", 3)["hits"], 1 + 1 + 2 + 1)

    def test_a_recorded_cache_is_replayed_lookup_by_lookup(self):
        if not HY3.exists():
            self.skipTest(f"{HY3.name} is not in {program.RECORDED_TRACES}")

        def agreement(capacity):
            return self.figures(HY3, "slru", capacity, "--lookups", "recorded", "--protected", 5187,
                                "--scope", "global")["agreement"]

        self.assertEqual(agreement(6484), {"matching": 931_080, "of": 931_080})
        # Experts come and go in three parts, so that one slot more or less than 3 x 2161 is never used in time.
        self.assertEqual(agreement(6483)["matching"], 931_080)
        self.assertLess(agreement(6482)["matching"], 931_080)
        self.assertLess(agreement(6486)["matching"], 931_080)

    def test_a_small_log_is_replayed_as_recorded(self):
        trace = self.log_trace()
        figures = self.figures(trace, "lru", 20, "--lookups", "recorded", "--scope", "global")
        self.assertEqual(figures["agreement"], {"matching": 2000, "of": 2000})
        with h5py.File(trace) as file:
            layer, hit = file["lookups/layer"][:], file["lookups/hit"][:]
        self.assertEqual(figures["hits"], hit.sum())
        self.assertEqual(figures["misses"], 2000 - hit.sum())
        self.assertAlmostEqual(figures["hit_rate"], hit.mean(), 12)
        self.assertEqual(figures["per_layer"]["lookups"], np.bincount(layer).tolist())
        np.testing.assert_allclose(figures["per_layer"]["hit_rate"], [hit[layer == i].mean() for i in range(4)])
        for capacity in (19, 21):
            other = self.figures(trace, "lru", capacity, "--lookups", "recorded", "--scope", "global")
            self.assertLess(other["agreement"]["matching"], 2000)

    def test_lru_of_one_sequence_is_that_of_locality(self):
        # `locality` empties its caches at each sequence start and `cache` does not: one sequence, no difference.
        one, many = self.trace("one.h5", lengths=[200]), self.trace()
        for capacity in (2, 5, 8):
            local = json.loads(self.done("locality", one, "--json", "--capacities", capacity).stdout)
            figures = self.figures(one, "lru", capacity)
            self.assertAlmostEqual(figures["hit_rate"], local["lru_hit_rate"][str(capacity)], 12)
            np.testing.assert_allclose(figures["per_layer"]["hit_rate"],
                                       local["per_layer"]["lru_hit_rate"][str(capacity)])
            emptied = json.loads(self.done("locality", many, "--json", "--capacities", capacity).stdout)
            self.assertGreater(self.figures(many, "lru", capacity)["hit_rate"], emptied["lru_hit_rate"][str(capacity)])

    def test_lookups_of_a_trace_are_those_of_lists(self):
        trace = self.trace()
        ids = self.ids(trace)
        for order, atomic in (("event", True), ("sequential", False)):
            hits = sum(sum(lru([token[layer] for token in ids], 5, atomic)) for layer in range(3))
            self.assertEqual(self.figures(trace, "lru", 5, "--order", order)["hits"], hits)
            pool = [[(layer, expert) for expert in token[layer]] for token in ids for layer in range(3)]
            figures = self.figures(trace, "lru", 15, "--order", order, "--scope", "global")
            self.assertEqual(figures["hits"], sum(lru(pool, 15, atomic)))

    def test_only_decode_tokens_count_where_the_file_marks_any(self):
        attributes, datasets = program.trace_parts()
        tokens = len(datasets["expert_ids"])
        datasets["phase"] = (np.arange(tokens) % 3 != 0).astype(np.uint8)
        program.write_trace(self.folder / "phases.h5", attributes, datasets)
        kept = [token for i, token in enumerate(datasets["expert_ids"].tolist()) if i % 3]
        hits = sum(sum(lru([token[layer] for token in kept], 5, True)) for layer in range(3))
        figures = self.figures(self.folder / "phases.h5", "lru", 5)
        self.assertEqual((figures["hits"], figures["lookups"]), (hits, len(kept) * 3 * 2))

    def test_no_policy_beats_the_optimum(self):
        trace, log = self.trace(), self.log_trace()
        for options in ([trace, 5], [trace, 12, "--scope", "global"], [log, 6, "--lookups", "recorded"]):
            rates = {}
            for policy in POLICIES:
                figures = self.figures(options[0], policy, *options[1:])
                rates[policy] = figures["hit_rate"]
                self.assertLessEqual(figures["hit_rate"], figures["oracle"]["hit_rate"], policy)
            self.assertEqual(rates["belady-bypass"], figures["oracle"]["hit_rate"])
            self.assertTrue(all(rates[p] <= rates["belady"] for p in POLICIES[1:7]), rates)
            self.assertEqual(len(set(rates.values())), len(rates), rates)

    def test_every_option_changes_the_hits(self):
        trace, log = self.trace(lengths=[40]), self.log_trace(lookups=300)
        changes = [
            ([trace, "lru", 4], [trace, "fifo", 4]),
            ([trace, "lru", 4], [trace, "lru", 5]),
            ([trace, "slru", 6], [trace, "slru", 6, "--protected", 1]),
            ([trace, "lru", 6], [trace, "lru", 6, "--scope", "global"]),
            ([trace, "lru", 3], [trace, "lru", 3, "--order", "sequential"]),
            ([trace, "lru", 6], [trace, "lru", 6, "--start", "warm"]),
            ([trace, "random", 6], [trace, "random", 6, "--seed", 2]),
            ([log, "lru", 6], [log, "lru", 6, "--lookups", "recorded"]),
        ]
        for base, change in changes:
            with self.subTest(change=change[1:]):
                self.assertNotEqual(self.figures(*base)["per_layer"], self.figures(*change)["per_layer"])

    def test_the_protected_segment_is_four_fifths_by_default(self):
        trace = self.trace()
        self.assertEqual(self.figures(trace, "slru", 8)["protected"], 6)
        self.assertEqual(self.figures(trace, "slru", 8), self.figures(trace, "slru", 8, "--protected", 6))

    def test_the_table_names_the_same_figures(self):
        log = self.log_trace()
        table = self.done("cache", log, "--policy", "slru", "--capacity", 12, "--lookups", "recorded").stdout
        figures = self.figures(log, "slru", 12, "--lookups", "recorded")
        for text in (str(figures["hits"]), f"{figures['hit_rate']:.5f}", f"{figures['oracle']['hit_rate']:.5f}",
                     f"{figures['agreement']['matching']} of 2000", "10 of them protected"):
            self.assertIn(text, table)

    def test_what_cannot_be_replayed_is_refused(self):
        trace, log = self.trace(), self.log_trace()

        def refused(*options, says):
            self.refused(program.USAGE, "cache", *options, says=says)

        for policy in ("hotness", "window"):
            refused(trace, "--policy", policy, "--capacity", 4, says="needs rounds")
        refused(trace, "--policy", "mru", "--capacity", 4, says="--policy")
        refused(trace, "--policy", "lru", says="--capacity")
        refused(trace, "--policy", "lru", "--capacity", 0, says=["--capacity", "1 .. 16"])
        refused(trace, "--policy", "lru", "--capacity", 17, says=["--capacity", "1 .. 16", "17"])
        refused(trace, "--policy", "lru", "--capacity", 49, "--scope", "global", says="1 .. 48")
        refused(trace, "--policy", "lru", "--capacity", 4, "--protected", 2, says="--protected")
        refused(trace, "--policy", "slru", "--capacity", 4, "--protected", 5, says=["--protected", "0 .. 4"])
        refused(trace, "--policy", "lru", "--capacity", 4, "--seed", 2, says="--seed")
        refused(trace, "--policy", "static", "--capacity", 4, "--start", "cold", says="--start")
        refused(trace, "--policy", "lru", "--capacity", 4, "--lookups", "recorded", says="lookups")
        refused(log, "--policy", "lru", "--capacity", 4, "--lookups", "recorded", "--order", "event", says="one by one")
        refused(trace, "--policy", "lru", "--capacity", 4, "--order", "backwards", says="--order")
        with h5py.File(log, "r+") as file:
            file["lookups/expert"][7] = 16
        self.refused(program.INPUT, "cache", log, "--policy", "lru", "--capacity", 4, "--lookups", "recorded",
                     says=["/lookups/expert", "[7]"])


if __name__ == "__main__":
    program.main()
