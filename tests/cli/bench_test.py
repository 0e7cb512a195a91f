"""`moecarlo bench` measures what it is asked for, and its JSON says of what."""

import json

import program
from program import MACHINE, USAGE


def has_gpu():
    return "cuda not available" not in program.run("--version").stdout


class Bench(program.ProgramTest):
    def bench(self, *arguments, seconds="0.001"):
        return json.loads(self.done("bench", "--seconds", seconds, "--json", *arguments).stdout)

    def test_rates_of_everything_stand_beside_their_limits(self):
        result = self.bench("--backend", "cpu")
        self.assertEqual(list(result),
                         ["workload", "unit", "ingest", "projection", "batches", "plain_loop", "cpu", "bit_slices"])
        self.assertEqual([rate["name"] for rate in result["ingest"]], ["file to table, all threads"])
        self.assertGreater(result["ingest"][0]["bytes_per_second"], 0)  # of logits
        self.assertIsNone(result["ingest"][0]["share_of_limit"])
        names = [rate["name"] for rate in result["cpu"]["rates"]]
        self.assertEqual(names[0], "lru, baseline")
        for name in ("static", "hotness", "lru, routing drawn by alias", "lru, 16 capacities"):
            self.assertIn(name, names)
        limit = result["cpu"]["limit"]["steps_per_second"]
        for rate in result["cpu"]["rates"]:
            self.assertGreater(rate["steps_per_second"], 0)
            self.assertAlmostEqual(rate["share_of_limit"] * limit / rate["steps_per_second"], 1)
            if "threads" in rate["name"]:
                self.assertIsNone(rate["cycles_per_step"])
            else:  # of a clock of some gigahertz, of which other programs may have taken most
                self.assertGreater(rate["cycles_per_step"] * rate["steps_per_second"], 1e8)
                self.assertLess(rate["cycles_per_step"] * rate["steps_per_second"], 1e10)

        batches = result["batches"]
        self.assertEqual((batches["tokens"], batches["layers"], batches["experts"], batches["top_k"]),
                         (1_000_000, 61, 256, 8))
        self.assertGreater(batches["choices_per_second"], 1e6)  # some 250 M on one quiet core
        self.assertGreater(result["projection"]["rows"], 1000)
        self.assertGreater(result["projection"]["rows_per_second"], 0)
        self.assertGreater(result["projection"]["seconds_per_10000_rows"], 0)

    def test_the_plain_loop_counts_what_is_simulated(self):
        loop = self.bench("--backend", "cpu", "--only", "plain loop", seconds="0.1")["plain_loop"]
        self.assertGreater(loop["steps_per_second"], 0)
        self.done("synth", "-o", self.folder / "trace.h5", "--layers", 48, "--experts", 128, "--top-k", 8, "--sequences", 1,
                  "--tokens-per-sequence", 4096, "--zipf", 0.8, "--stickiness", 0.35)
        study = self.study(study={"trajectories": 2000, "rounds": 8, "start": "cold", "calibration": "all"},
                           grid={"depth": [4], "policy": ["lru"], "capacity": [32]},
                           acceptance={"model": "constant", "alpha": 0.7})
        self.simulate(study, self.folder / "out")
        points = program.summary(self.folder / "out")["points"]
        point = next(p for p in points if p["policy"] == "lru" and p["depth"] == 4)
        for metric in ("hit_rate", "distinct_experts"):
            self.assertAlmostEqual(loop[metric] / point["metrics"][metric]["value"], 1, delta=0.02)

    def test_only_chooses_workloads_by_their_names(self):
        result = self.bench("--backend", "cpu", "--only", "belady")
        self.assertNotIn("ingest", result)
        names = [rate["name"] for rate in result["cpu"]["rates"]]
        self.assertEqual(names[0], "belady, baseline")
        self.assertEqual(names[-1], "belady-bypass")
        self.refused(USAGE, "bench", "--backend", "cpu", "--only", "mru", says='no workload has "mru" in its name')

    def test_bit_slices_are_counted_in_bytes(self):
        result = self.bench("--backend", "cpu", "--only", "bit slices")
        self.assertEqual(list(result), ["workload", "unit", "bit_slices"])
        slices = result["bit_slices"]["cpu"]
        self.assertGreater(slices["bytes_per_second"], 0)
        self.assertGreater(slices["limit"]["bytes_per_second"], slices["bytes_per_second"])

    def test_a_device_that_is_not_there_is_a_failing_machine(self):
        says = "expected a number from 0 to" if has_gpu() else "backend cuda: "
        self.refused(MACHINE, "bench", "--backend", "cuda", "--device", "1023", says=says)


if __name__ == "__main__":
    program.main()
