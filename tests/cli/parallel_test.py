"""`moecarlo parallel`: experts over devices, by the cases of the papers that can be followed by hand."""

import os
import json

import numpy as np

import program

FOUR = "12,4,2,2,1,1,1,1\n"


class Parallel(program.ProgramTest):
    def points(self, loads, *options):
        (self.folder / "loads.csv").write_text(loads)
        return json.loads(self.done("parallel", "--loads", self.folder / "loads.csv", *options, "--json").stdout)["points"]

    def point(self, loads, *options):
        points = self.points(loads, *options)
        self.assertEqual(len(points), 1)
        return points[0]

    def test_plain_expert_parallelism_has_the_load_that_the_experts_bring(self):
        one, two = self.points(FOUR, "--devices", "4,8")
        self.assertEqual((one["devices"], one["device_loads"]), (4, [16, 4, 2, 2]))
        self.assertAlmostEqual(one["device_max_over_mean"]["mean"], 16 / 6)
        self.assertEqual(two["device_loads"], [12, 4, 2, 2, 1, 1, 1, 1])
        self.assertEqual(two["expert_max_over_mean"]["mean"], 4)
        self.assertEqual((one["transfers"], one["hop_bytes"], one["link_loads"]), (0, None, []))

    def test_the_least_loaded_devices_take_what_is_over(self):
        llep = ["--devices", 4, "--balancer", "llep", "--lambda", 1]
        point = self.point(FOUR, *llep, "--min-chunk", 1)
        self.assertEqual((point["device_loads"], point["transfers"], point["spilled"]), ([6, 6, 6, 6], 3, 10))
        point = self.point(FOUR, *llep, "--min-chunk", 1, "--alpha", 1.5)
        self.assertEqual((point["device_loads"], point["transfers"]), ([9, 4, 9, 2], 1))
        point = self.point(FOUR, *llep, "--min-chunk", 5)
        self.assertEqual((point["device_loads"], point["transfers"], point["forced"]), ([6, 4, 10, 4], 3, 1))
        point = self.point("10,6,3,1\n", "--devices", 2, "--balancer", "llep", "--min-chunk", 1, "--lambda", 1)
        self.assertEqual((point["device_loads"], point["transfers"]), ([10, 10], 1))

    def test_copies_of_experts_share_their_load(self):
        point = self.point(FOUR, "--devices", 4, "--placement", "replicated:12")
        self.assertEqual((point["device_loads"], point["replicas"]), ([6, 6, 6, 6], 4))
        self.assertEqual(self.point(FOUR, "--devices", 4, "--balancer", "eplb", "--slots", 12)["device_loads"], [6, 6, 6, 6])
        point = self.point(FOUR, "--topology", "nodes:2x2", "--placement", "replicated:12:hierarchical", "--groups", 4)
        self.assertEqual(point["device_loads"], [9, 9, 3, 3])

    def test_copies_over_idle_links_go_near_or_where_least_is(self):
        line = ["--topology", "mesh:4x1", "--balancer", "ni", "--slots", 1]
        near = self.point("12,4,2,6\n", *line, "--ni-alpha", 1.5)
        self.assertEqual((near["device_loads"], near["migrations"], near["migration_hops"]), ([4, 8, 6, 6], 2, 2))
        least = self.point("12,4,2,6\n", *line, "--ni-alpha", 1.5, "--ni-rule", "least-loaded")
        self.assertEqual((least["device_loads"], least["migrations"], least["migration_hops"]), ([6, 4, 8, 6], 1, 2))
        for rule in ("nearest", "least-loaded"):
            self.assertEqual(self.point("12,4,2,6\n", *line, "--ni-rule", rule)["device_loads"], [6, 6, 6, 6])

    def mesh(self, mapping, *options):
        """Top-k 1, one token for each of 16 devices from each of four groups, of one byte."""
        return self.point(",".join(["4"] * 16) + "\n", "--topology", "mesh:4x4", "--mapping", mapping, "--tp", 4,
                          "--top-k", 1, "--hidden", 1, "--bytes", 1, *options)

    def test_entwined_rings_halve_the_busiest_link_of_a_mesh(self):
        loads = {}
        for mapping in ("row", "block", "entwined"):
            point = self.mesh(mapping)
            found = {}
            for link in point["link_loads"]:
                if link["bytes"]:
                    found[link["bytes"]] = found.get(link["bytes"], 0) + 1
            loads[mapping] = (point["hop_bytes"], found)
        self.assertEqual(loads["row"], (80, {3: 16, 4: 8}))
        self.assertEqual(loads["block"], (128, {2: 32, 4: 16}))
        self.assertEqual(loads["entwined"], (64, {2: 32}))
        self.assertEqual(self.mesh("row", "--no-domains")["hop_bytes"], 160)

    def test_bytes_that_are_sent_are_what_devices_do_not_hold(self):
        point = self.mesh("entwined")
        self.assertEqual((point["dispatch_bytes"], point["combine_bytes"]), (48, 48))  # 64, a quarter of them at home
        self.assertEqual(point["all_reduce_bytes"], 6 / 4 * 16 * 16)  # 6 steps of a quarter of 16 bytes, 16 devices

    def test_rows_are_layers_and_importers_name_them(self):
        point = self.point("layer,0,1,2,3\n0,4,0,0,0\n1,1,1,1,1\n", "--devices", 2)
        self.assertEqual(point["device_loads"], [[4, 0], [2, 2]])
        over = point["device_max_over_mean"]
        self.assertEqual((over["mean"], over["p50"], over["p99"]), (1.5, 1, 2))

    def test_memory_counts_weights_and_activations(self):
        point = self.point(",".join(["8"] * 32) + "\n", "--devices", 8, "--model", "gpt-oss-20b", "--memory", "1GB")
        model = json.loads(self.done("model", "gpt-oss-20b", "--json").stdout)
        expert = model["expert_bytes"]
        self.assertAlmostEqual(point["peak_memory_bytes"], 4 * (expert + 8 * (2880 + 2880) * 2))
        self.assertEqual(point["over_memory_probability"], 0)

    def drawn(self, *options):
        trace = self.trace(layers=2, experts=16, top_k=2)
        return json.loads(self.done("--quiet", "parallel", trace, *options, "--json").stdout)

    def test_batches_of_every_token_have_the_load_of_the_whole_trace(self):
        """Loads that are drawn are, in the mean, what the evaluation sequences choose; their maximum is above the mean."""
        found = self.drawn("--devices", "4", "--tokens", 64, "--batches", 4096)
        (point,) = found["points"]
        self.assertEqual(found["batches"], 4096)
        loads = np.array(point["device_loads"])
        self.assertEqual(loads.shape, (2, 4))
        np.testing.assert_allclose(loads.sum(1), 64 * 2)
        over = point["device_max_over_mean"]
        self.assertGreater(over["mean"], (loads.max(1) / loads.mean(1)).mean())
        self.assertLessEqual(over["p50"], over["p99"])
        self.assertGreater(over["mc_half_width"], 0)
        self.assertGreater(over["trace_half_width"], 0)

    def test_a_device_that_is_not_there_is_a_failing_machine(self):
        self.refused(program.MACHINE, "parallel", self.trace(), "--devices", 4, "--backend", "cuda", "--device", 1023,
                     says="backend cuda: ")

    def test_large_batches_come_near_the_mean_load(self):
        (small,), (large,) = (self.drawn("--devices", 4, "--tokens", tokens, "--batches", 256)["points"]
                              for tokens in (16, 4096))
        mean = np.array(large["device_loads"])
        expected = (mean.max(1) / mean.mean(1)).mean()
        self.assertLess(large["device_max_over_mean"]["mean"] / expected - 1, 0.02)
        self.assertGreater(small["device_max_over_mean"]["mean"], large["device_max_over_mean"]["mean"])

    def test_the_mean_maximum_is_that_of_a_simulation_in_numpy(self):
        parts = program.trace_parts(layers=2, experts=16, top_k=2, lengths=[50] * 40)
        program.write_trace(self.folder / "trace.h5", *parts)
        study = self.study(study={"calibration": "all"}, grid={"depth": [1], "policy": ["static"], "capacity": [2]})
        found = json.loads(self.done("--quiet", "parallel", self.folder / "trace.h5", "--devices", 4, "--tokens", 32,
                                     "--study", study, "--batches", 8192, "--json").stdout)["points"][0]
        ids = parts[1]["expert_ids"].reshape(40, 50, 2, 2)
        rng, means = np.random.default_rng(1), []
        for _ in range(8192):
            sequence, start = rng.integers(40, size=16), rng.integers(49, size=16)
            batch = np.concatenate([ids[sequence, start], ids[sequence, start + 1]])
            for layer in range(2):
                means.append(np.bincount(batch[:, layer].ravel() // 4, minlength=4).max() / 16)
        over = found["device_max_over_mean"]
        self.assertAlmostEqual(over["mean"], np.mean(means), delta=3 * over["mc_half_width"])
        self.assertLess(over["mc_half_width"], 0.01)
        self.assertAlmostEqual(over["p50"], np.quantile(means, 0.5), delta=1 / 16)
        self.assertAlmostEqual(over["p99"], np.quantile(means, 0.99), delta=1 / 16)

    def test_threads_and_seeds(self):
        one = self.drawn("--devices", 2, "--threads", 1, "--batches", 300, "--balancer", "llep", "--min-chunk", 1)
        two = self.drawn("--devices", 2, "--threads", 2, "--batches", 300, "--balancer", "llep", "--min-chunk", 1)
        self.assertEqual(one, two)
        other = self.drawn("--devices", 2, "--batches", 300, "--balancer", "llep", "--min-chunk", 1, "--seed", 2)
        self.assertNotEqual(one, other)

    def test_the_least_loaded_take_less_than_the_most(self):
        plain = self.drawn("--devices", 4, "--batches", 512)["points"][0]
        llep = self.drawn("--devices", 4, "--batches", 512, "--balancer", "llep", "--min-chunk", 1,
                          "--lambda", 1)["points"][0]
        self.assertEqual((plain["transfers"], plain["spilled"]), (0, 0))
        self.assertGreater(llep["transfers"], 0)
        self.assertAlmostEqual(llep["device_max_over_mean"]["mean"], 1, 6)
        self.assertEqual(plain["expert_max_over_mean"], llep["expert_max_over_mean"])

    def test_copies_by_the_calibration_split_lower_the_maximum(self):
        plain, copied = (self.drawn("--devices", 4, "--batches", 512, "--placement", placement)["points"][0]
                         for placement in ("contiguous", "replicated:32"))
        self.assertEqual(copied["replicas"], 16)
        self.assertLess(copied["device_max_over_mean"]["mean"], plain["device_max_over_mean"]["mean"])

    def test_a_study_makes_batches_of_drafts(self):
        self.trace(layers=2, experts=16, top_k=2)
        study = self.study(grid={"depth": [3], "policy": ["static"], "capacity": [2]}, acceptance={"alpha": 0.5},
                           stop={"relative_half_width": 0.05})
        found = self.drawn("--devices", 4, "--tokens", 64, "--study", study, "--batches", 100_000)
        self.assertLess(found["batches"], 100_000)  # the stop of the study
        kept = 1 + 0.5 + 0.25 + 0.125
        self.assertAlmostEqual(found["points"][0]["rejected_share"], 1 - kept / 4)
        self.refused(program.USAGE, "parallel", self.folder / "trace.h5", "--devices", 4, "--study", study, "--tokens", 66,
                     says="multiple of 4")

    def test_what_a_trace_does_not_answer_is_refused(self):
        trace = self.trace(layers=2, experts=16, top_k=2)
        self.refused(program.USAGE, "parallel", says="no loads")
        self.refused(program.USAGE, "parallel", trace, "--loads", "x.csv", says="a trace and --loads")
        self.refused(program.USAGE, "parallel", trace, "--devices", 4, "--balancer", "eplb", "--slots", 18,
                     says="18 slots")
        self.refused(program.USAGE, "parallel", trace, "--devices", 3, says="16 experts over 3 devices")

    def test_processes_of_a_job_do_not_all_do_the_same(self):
        environment = {**os.environ, "PMI_RANK": "0", "PMI_SIZE": "2"}
        (self.folder / "loads.csv").write_text(FOUR)
        trace = self.trace(layers=2, experts=16, top_k=2)
        for asked, says in (([trace], "2 processes of one job know nothing of each other"),
                            (["--loads", self.folder / "loads.csv"], "each of 2 processes of a job would do all of it")):
            result = program.run("parallel", *asked, "--devices", 4, env=environment)
            self.assertEqual(result.returncode, program.USAGE, result.stderr)
            self.assertIn(says, result.stderr)

    def test_what_does_not_fit_is_refused(self):
        (self.folder / "loads.csv").write_text(FOUR)
        loads = ["parallel", "--loads", self.folder / "loads.csv"]
        for options, says in (
                (["--devices", 3], "8 experts over 3 devices"), (["--topology", "ring:4"], "topology ring:4"),
                (["--devices", 4, "--topology", "mesh:2x4"], "8 devices"),
                (["--devices", 4, "--placement", "replicated:10"], "10 slots"),
                (["--devices", 4, "--placement", "scattered"], "expected contiguous"),
                (["--devices", 4, "--balancer", "eplb"], "--slots"),
                (["--topology", "mesh:2x2", "--mapping", "diagonal"], "mapping diagonal"),
                (["--devices", 4, "--memory", "1GB"], "--model")):
            self.refused(program.USAGE, *loads, *options, says=says)
        for text, says in (("1,2\n3\n", "line 2"), ("1,x\n", "expert 1"), ("", "no loads"), ("0,0\n", "no tokens")):
            (self.folder / "loads.csv").write_text(text)
            self.refused(program.INPUT, *loads, "--devices", 1, says=says)


if __name__ == "__main__":
    program.main()
