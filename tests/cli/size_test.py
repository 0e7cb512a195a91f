"""`moecarlo size`: inverse questions, against sweeps by `simulate` and `evaluate`."""

import json
import math

import program

MODEL = "gpt-oss-20b"


class Size(program.ProgramTest):
    def sized(self, *arguments):
        return json.loads(self.done("size", *arguments, "--json").stdout)

    def sweep(self, depth, capacities, batch=1, **hardware):
        """The same question by a study of every capacity."""
        study = self.study(study={"trajectories": 512, "calibration": "all"}, acceptance={"model": "ratio", "alpha": 0.7},
                           grid={"batch": [batch], "depth": [depth], "policy": ["lru"], "capacity": capacities}, **hardware)
        self.simulate(study, self.folder / "swept")
        return program.summary(self.folder / "swept")

    def test_the_smallest_capacity_is_that_of_an_exhaustive_sweep(self):
        trace = self.trace()
        points = [point for point in self.sweep(2, list(range(0, 17)), 2)["points"] if point["depth"] == 2]
        rates = {int(p["capacity"]): p["metrics"]["hit_rate"] for p in points}
        self.assertEqual(sorted(rates), list(range(0, 17)))
        self.assertEqual(rates[0]["value"], 0)
        self.assertEqual(rates[16]["value"], 1)
        for target in (0.2, 0.5, 0.8, 0.95):
            found = self.sized(trace, "--hit-rate", target, "--batch", 2, "--depth", 2, "--trajectories", 512)

            def half(rate):
                return math.hypot(rate["mc_half_width"] or 0, rate["trace_half_width"] or 0)

            first = [min(c for c, rate in rates.items() if rate["value"] + sign * half(rate) >= target)
                     for sign in (0, 1, -1)]
            self.assertEqual([found["capacity"], found["low"], found["high"]], first)
            self.assertAlmostEqual(found["hit_rate"], rates[first[0]]["value"], 12)
            self.assertEqual(found["token_cycles"], first[0] / 2)
            for layer, slots in enumerate(found["per_layer"]):
                own = [rates[c]["per_layer"][layer] for c in range(0, 17)]
                self.assertEqual(slots, min(c for c in range(0, 17) if own[c] >= target))

    def test_a_target_that_nothing_meets_is_told(self):
        trace = self.trace()
        study = ["--batch", 1, "--trajectories", 64]
        self.assertEqual(self.sized(trace, "--hit-rate", 1, *study)["capacity"], 16)
        told = self.done("size", trace, "--hit-rate", 1, *study).stdout.splitlines()
        self.assertLessEqual(len(told), 5)
        self.refused(program.USAGE, "size", trace, says="nothing is asked")
        self.refused(program.USAGE, "size", "--hit-rate", 0.5, says="no trace")

    def test_a_speed_needs_the_capacity_at_which_the_machine_reaches_it(self):
        trace = self.trace(layers=24, experts=32, top_k=4)
        ask = ["--hardware", "elmoe3d-4gb", "--model", MODEL, "--trajectories", 256]
        none = self.sized(trace, "--tokens-per-second", 1, *ask)
        self.assertEqual((none["capacity"], none["bytes"]), (0, 0))
        slowest = none["tokens_per_second"]
        full = self.sized(trace, "--tokens-per-second", 1e9, *ask)
        self.assertIsNone(full["capacity"])
        target = (slowest + full["tokens_per_second"]) / 2
        found = self.sized(trace, "--tokens-per-second", target, *ask)
        self.assertGreaterEqual(found["tokens_per_second"], target)
        self.assertAlmostEqual(found["bytes"] / (found["capacity"] * 24 * 13.22e6), 1, 2)
        # Where the machine's own memory decides the capacity, evaluate says the same.
        study = self.study(study={"trajectories": 256, "calibration": "all"}, acceptance={"model": "ratio", "alpha": 0.7},
                           grid={"depth": [0], "policy": ["lru"], "capacity": [4]},
                           hardware={"model": MODEL, "systems": ["elmoe3d-4gb"], "schemes": ["ar"]})
        self.simulate(study, self.folder / "own")
        (row,) = program.summary(self.folder / "own")["hardware"]
        below = self.sized(trace, "--tokens-per-second", row["tokens_per_second"]["value"], *ask)["capacity"]
        self.assertTrue(-0.1 < below - row["capacity"] < 1, (below, row["capacity"]))

    def test_smaller_weights_free_context(self):
        """By hand: what is left of the memory over the cache of a token, keys and values as they are."""
        model = json.loads(self.done("model", "llama-3.1-8b", "--json").stdout)
        weights, token = 2 * model["total_parameters"], model["kv_bytes_per_token"]
        found = self.sized("--memory", "24GB", "--context", "max", "--hardware", "a100", "--model", "llama-3.1-8b")
        self.assertEqual([one["format"] for one in found["formats"]], ["dfloat11", "8 bits", "4 bits"])
        bits = 8 + 2.6 * (1 + 5 / 64 + 32 / 32768)
        for context, of in [(found["context"], 16)] + [(one["context"], by) for one, by in
                                                       zip(found["formats"], (bits, 8.5, 4.5))]:
            self.assertAlmostEqual(context, (24e9 - weights * of / 16) / token, delta=2)
        self.assertAlmostEqual(found["formats"][0]["bits"], bits, 12)
        coded = self.sized("--memory", "24GB", "--context", "max", "--hardware", "a100", "--model", "llama-3.1-8b",
                           "--scheme", "ar+dfloat11")
        self.assertEqual(coded["context"], found["formats"][0]["context"])

    def test_the_longest_context_fits_and_the_next_does_not(self):
        ask = ["--hardware", "gb10", "--model", MODEL]
        found = self.sized("--memory", "20GB", "--context", "max", *ask)["context"]
        less = self.sized("--memory", "18GB", "--context", "max", *ask)["context"]
        a_token = json.loads(self.done("model", MODEL, "--json").stdout)["kv_bytes_per_token"]
        self.assertLessEqual(abs((found - less) * a_token - 2e9), a_token)
        twice = self.sized("--memory", "20GB", "--context", "max", "--batch", 2, *ask)["context"]
        self.assertEqual(twice, found // 2)
        self.refused(program.USAGE, "size", "--memory", "2GB", "--context", "max", *ask, says="does not fit in")
        self.refused(program.USAGE, "size", "--memory", "2GHz", "--context", "max", *ask, says="no amount of memory")

    def test_an_error_falls_as_the_root_of_the_samples(self):
        trace = self.trace()
        few = self.sized(trace, "--capacity", 5, "--half-width", 0.02, "--trajectories", 512)
        half = self.sized(trace, "--capacity", 5, "--half-width", 0.01, "--trajectories", 512)
        expected = 512 * (few["mc_half_width"] / (0.02 * few["hit_rate"])) ** 2
        self.assertEqual(few["trajectories"], math.ceil(expected))
        self.assertAlmostEqual(half["trajectories"] / few["trajectories"], 4, 1)


if __name__ == "__main__":
    program.main()
