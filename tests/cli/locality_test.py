"""`locality` gives the reference figures of the recorded traces, and what sets in Python give on a small one."""

import json

import h5py
import numpy as np

import program

# Adjacent overlap, LRU hit rate at k, 2k, 3k and E/2 experts per layer, and entropy, measured elsewhere.
REFERENCE = {
    "gptoss20b.h5": (0.42976, {"4": 0.42834, "8": 0.63916, "12": 0.79246, "16": 0.88840}, 0.91027),
    "flame290m.h5": (0.21761, {"6": 0.21676, "12": 0.31950, "18": 0.41201, "32": 0.61222}, None),
}


class Locality(program.ProgramTest):
    def figures(self, trace, *options):
        return json.loads(self.done("locality", trace, "--json", "--segments", 4, *options).stdout)

    def test_recorded_traces_have_their_reference_figures(self):
        for name, (overlap, hit_rates, entropy) in REFERENCE.items():
            with self.subTest(name):
                if not (program.RECORDED_TRACES / name).exists():
                    self.skipTest(f"{name} is not in {program.RECORDED_TRACES}")
                figures = self.figures(program.RECORDED_TRACES / name)
                self.assertAlmostEqual(figures["adjacent_overlap"]["mean"], overlap, delta=5.1e-6)
                self.assertEqual(figures["lru_hit_rate"].keys(), hit_rates.keys())
                for capacity, rate in hit_rates.items():
                    self.assertAlmostEqual(figures["lru_hit_rate"][capacity], rate, delta=5.1e-6)
                if entropy:
                    self.assertAlmostEqual(figures["entropy"], entropy, delta=5.1e-6)

    def test_a_small_trace_has_the_figures_that_sets_give(self):
        figures = self.figures(self.trace(), "--windows", "2,5")
        with h5py.File(self.folder / "trace.h5") as trace:
            ids, offsets = trace["expert_ids"][:], trace["sequence_offsets"][:]
        sets = [[set(chosen) for chosen in token] for token in ids.tolist()]
        sequences, layers = [sets[a:b] for a, b in zip(offsets, offsets[1:])], range(ids.shape[1])
        overlaps = [len(s[t][layer] & s[t - 1][layer]) / 2
                    for layer in layers for s in sequences for t in range(1, len(s))]
        self.assertAlmostEqual(figures["adjacent_overlap"]["mean"], np.mean(overlaps), 12)
        for window in (2, 5):
            distinct = [len(set().union(*(s[t + i][layer] for i in range(window))))
                        for layer in layers for s in sequences for t in range(len(s) - window + 1)]
            self.assertAlmostEqual(figures["distinct_experts"][str(window)], np.mean(distinct), 12)

    def test_specialization_is_what_comparing_all_pairs_of_tokens_gives(self):
        path = self.trace()
        rng = np.random.default_rng(5)
        with h5py.File(path, "r+") as trace:
            ids, offsets = trace["expert_ids"][:].astype(int), trace["sequence_offsets"][:]
            sequences = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
            labels = [f"domain {number % 3}" for number in range(len(offsets) - 1)]
            trace.create_dataset("sequence_label", data=labels, dtype=h5py.string_dtype())
            if "token_ids" in trace:
                del trace["token_ids"]
            words = rng.integers(0, len(ids) // 4, len(ids)).astype(np.int32)
            trace["token_ids"] = words
        found = self.figures(path)["specialization"]
        domains = np.array([number % 3 for number in range(len(offsets) - 1)])[sequences]
        taken = np.zeros((len(ids), ids.shape[1], 1 + ids.max()), bool)
        np.put_along_axis(taken, ids, True, axis=2)
        for name, alike in (("domain", (domains[:, None] == domains) & (sequences[:, None] != sequences)),
                            ("vocabulary", (words[:, None] == words) & ~np.eye(len(ids), dtype=bool))):
            partners = alike.sum(axis=1)
            for layer in range(ids.shape[1]):
                for expert in range(taken.shape[2]):
                    users = np.flatnonzero(taken[:, layer, expert] & (partners > 0))
                    value = found[name]["per_expert"][layer][expert]
                    if len(users) == 0:
                        self.assertIsNone(value)
                        continue
                    chances = [taken[alike[user], layer, expert].mean() for user in users]
                    self.assertAlmostEqual(value, np.mean(chances), 12)

    def test_the_bend_of_sch_is_farthest_from_its_chord(self):
        path = self.trace()
        experts = self.figures(path)["trace"]["experts"]
        figures = self.figures(path, "--capacities", ",".join(str(size) for size in range(1, experts + 1)))
        rates = list(figures["sch"]["4"].values())
        above = [rate - rates[-1] * (1 + place) / experts for place, rate in enumerate(rates)]
        knee = figures["sch_knee"]["4"]
        self.assertEqual(knee["capacity"], 1 + int(np.argmax(above)))
        self.assertEqual(knee["token_cycles"], knee["capacity"] / figures["trace"]["top_k"])

    def test_capacities_default_to_multiples_of_k(self):
        self.assertEqual(list(self.figures(self.trace())["lru_hit_rate"]), ["2", "4", "6", "8"])


if __name__ == "__main__":
    program.main()
