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
                         ["workload", "unit", "ingest", "projection", "batches", "plain_loops", "cpu", "bit_slices"])
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

    def test_plain_loops_count_what_is_simulated(self):
        reference, cells = self.bench("--backend", "cpu", "--only", "plain loop", seconds="0.1")["plain_loops"]
        self.assertEqual(reference["points"], 1)
        self.assertEqual(cells["points"], 4)
        self.compare(reference, ["--layers", 48, "--experts", 128, "--top-k", 8, "--sequences", 1,
                                 "--tokens-per-sequence", 4096, "--zipf", 0.8, "--stickiness", 0.35],
                     8, {"depth": [4], "capacity": [32]})
        self.compare(cells, ["--layers", 6, "--experts", 32, "--top-k", 4, "--sequences", 16, "--tokens-per-sequence", 256],
                     16, {"batch": [1, 8], "depth": [0, 2, 4], "capacity": [8]})

    def compare(self, loop, trace, rounds, grid):
        self.assertGreater(loop["steps_per_second"], 0)
        self.assertGreater(loop["engine_steps_per_second"], 0)
        self.done("synth", "--force", "-o", self.folder / "trace.h5", *trace)
        study = self.study(study={"trajectories": 2000, "rounds": rounds, "start": "cold", "calibration": "all"},
                           grid={"policy": ["lru"], **grid}, acceptance={"model": "constant", "alpha": 0.7})
        self.simulate(study, self.folder / "out", "--force")
        points = [point for point in program.summary(self.folder / "out")["points"]
                  if point["policy"] == "lru" and point["capacity"] == grid["capacity"][0]]
        self.assertEqual(len(points), len(grid.get("batch", [1])) * len(grid["depth"]))
        hits, distinct = (sum(point["metrics"][metric]["value"] for point in points) / len(points)
                          for metric in ("hits", "distinct_experts"))
        self.assertAlmostEqual(loop["distinct_experts"] / distinct, 1, delta=0.02)
        self.assertAlmostEqual(loop["hit_rate"] / (hits / distinct), 1, delta=0.02)

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
