"""`moecarlo parallel` over batches that follow each other: experts that move, chunks of prompts, time on a machine."""

import json
import os
import subprocess
import unittest

import h5py
import numpy as np

import program

HBM, OPERATIONS, LINK, LATENCY = 4.8e12 * 0.85, 989.4e12 * 0.5, 450e9 * 0.7, 2e-6  # of h200-x8


def replicated(loads, slots, devices):
    """EPLB's rule, over all experts: [experts] lists of devices."""
    copies = np.ones(len(loads), int)
    for _ in range(slots - len(loads)):
        copies[np.argmax(loads / copies)] += 1
    order = np.argsort(-np.repeat(loads / copies, copies), kind="stable")
    expert_of = np.repeat(np.arange(len(loads)), copies)[order]
    weight, free, placed = np.zeros(devices), np.full(devices, slots // devices), [[] for _ in loads]
    for expert in expert_of:
        device = min((d for d in range(devices) if free[d]), key=lambda d: (weight[d], d))
        weight[device] += loads[expert] / copies[expert]
        free[device] -= 1
        placed[expert].append(device)
    return placed


class Series(program.ProgramTest):
    def drawn(self, *options):
        return json.loads(self.done("--quiet", "parallel", self.folder / "trace.h5", *options, "--json").stdout)

    def even_sequences(self):
        parts = program.trace_parts(layers=2, experts=16, top_k=2, lengths=[50] * 40)
        program.write_trace(self.folder / "trace.h5", *parts)
        return parts[1]["expert_ids"].reshape(40, 50, 2, 2)

    def all_sequences(self):
        return ["--study", self.study(study={"calibration": "all"}, grid={"depth": [0]})]

    def test_replicas_that_follow_loads_are_those_of_a_simulation_in_numpy(self):
        ids = self.even_sequences()
        found = self.drawn("--devices", 4, "--tokens", 32, "--balancer", "eplb", "--slots", 20, "--every", 2, "--window",
                           3, "--batches", 4096, *self.all_sequences())
        point = found["points"][0]
        self.assertEqual(found["batches"], 4096)
        rng, maxima, moves = np.random.default_rng(1), [], []
        for _ in range(512):
            sequence, place = rng.integers(40, size=32), rng.integers(50, size=32)
            seen, placed = [[], []], [[[e // 4] for e in range(16)] for _ in range(2)]
            for batch in range(5 + 8):
                if batch > 0:
                    place += 1
                    ended = place == 50
                    sequence = np.where(ended, rng.integers(40, size=32), sequence)
                    place = np.where(ended, 0, place)
                for layer in range(2):
                    loads = np.bincount(ids[sequence, place, layer].ravel(), minlength=16)
                    moved = 0
                    if batch >= 3 and (batch - 3) % 2 == 0:
                        new = replicated(np.sum(seen[layer][-3:], 0), 20, 4)
                        moved = sum(len(set(new[e]) - set(placed[layer][e])) for e in range(16))
                        placed[layer] = new
                    seen[layer].append(loads)
                    if batch < 5:
                        continue
                    on = np.zeros(4)
                    for expert, devices in enumerate(placed[layer]):
                        for device in devices:
                            on[device] += loads[expert] / len(devices)
                    maxima.append(on.max() / 16)
                    moves.append(moved)
        over = point["device_max_over_mean"]
        noise = np.array(maxima).reshape(512, -1).mean(1).std() / 512 ** 0.5
        self.assertAlmostEqual(over["mean"], np.mean(maxima), delta=4 * np.hypot(noise, over["mc_half_width"] / 2))
        noise = np.array(moves).reshape(512, -1).mean(1).std() / 512 ** 0.5
        self.assertAlmostEqual(point["migrations"], np.mean(moves), delta=8 * noise)
        self.assertEqual(point["replicas"], 4)

    def test_copies_lower_the_maximum_and_wait_for_idle_links(self):
        self.even_sequences()
        options = ["--devices", 4, "--tokens", 256, "--every", 4, "--window", 4, "--batches", 4096, *self.all_sequences()]
        ni = [*options, "--balancer", "ni", "--slots", 1]
        plain, at_once = self.drawn(*options)["points"][0], self.drawn(*ni)["points"][0]
        self.assertEqual((plain["migrations"], plain["replicas"]), (0, 0))
        self.assertGreater(at_once["migrations"], 0)
        self.assertLess(at_once["device_max_over_mean"]["mean"], plain["device_max_over_mean"]["mean"])
        # With a model copies have bytes, and those of gpt-oss-20b are more than a batch's links leave idle.
        slow = self.drawn(*ni, "--model", "gpt-oss-20b")["points"][0]
        self.assertGreater(slow["migrations"], 0)
        self.assertLess(slow["migrations"], at_once["migrations"] / 10)
        self.assertLess(at_once["device_max_over_mean"]["mean"], slow["device_max_over_mean"]["mean"])
        self.assertEqual(self.drawn(*ni, "--threads", 1), self.drawn(*ni, "--threads", 2))

    def test_prompts_come_in_whole_chunks(self):
        ids = self.even_sequences()
        found = self.drawn("--devices", 4, "--tokens", 64, "--phase", "prefill", "--chunk", 16, *self.all_sequences())
        point = found["points"][0]
        chunks = ids[:, :48].reshape(40 * 3, 16, 2, 2)  # the last two tokens of a sequence are in none
        for layer in range(2):
            expected = 64 * np.bincount(chunks[:, :, layer].ravel() // 4, minlength=4) / chunks[:, :, layer].size * 2
            np.testing.assert_allclose(point["device_loads"][layer], expected, rtol=0.02)
        rng = np.random.default_rng(2)
        maxima = [np.bincount(chunks[rng.integers(120, size=4), :, layer].ravel() // 4, minlength=4).max() / 32
                  for _ in range(4096) for layer in range(2)]
        over = point["device_max_over_mean"]
        self.assertAlmostEqual(over["mean"], np.mean(maxima), delta=4 * over["mc_half_width"])
        self.assertIsNone(point["rejected_share"])
        self.refused(program.USAGE, "parallel", self.folder / "trace.h5", "--chunk", 16, says="go together")
        self.refused(program.USAGE, "parallel", self.folder / "trace.h5", "--devices", 4, "--phase", "prefill", "--chunk",
                     64, "--tokens", 64, says="no evaluation sequence has 64 tokens")

    @unittest.skipIf(program.SANITIZED, "memory of a sanitized program")
    def test_memory_does_not_grow_with_the_number_of_batches(self):
        self.even_sequences()

        def most_memory(batches):
            process = subprocess.Popen([program.MOECARLO, "--quiet", "parallel", self.folder / "trace.h5", "--devices", "4",
                                        "--tokens", "64", "--threads", "1", "--batches", str(batches)],
                                       stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            return usage.ru_maxrss

        self.assertLess(most_memory(32768), 1.05 * most_memory(512))

    def test_a_placement_may_be_a_file(self):
        (self.folder / "loads.csv").write_text("12,4,2,2\n")
        loads = ["parallel", "--loads", self.folder / "loads.csv", "--devices", 2]
        (self.folder / "placement.csv").write_text("expert,device\n0,0\n0,1\n1,1\n2,0\n3,0\n")
        done = self.done(*loads, "--placement", self.folder / "placement.csv", "--json")
        self.assertEqual(json.loads(done.stdout)["points"][0]["device_loads"], [10, 10])
        self.refused(program.INPUT, *loads, "--placement", self.folder / "none.csv", says="none.csv")


class Jobs(program.ProgramTest):
    """Runs that are cut in parts, or stopped, count what one run counts."""

    def setUp(self):
        super().setUp()
        self.command = ["--quiet", "parallel", self.trace(layers=2, experts=32, top_k=4), "--devices", "2,4", "--tokens", 64,
                        "--model", "gpt-oss-20b", "--memory", "120MB"]
        self.whole = json.loads(self.done(*self.command, "--batches", 3000, "--json").stdout)

    def test_shards_add_up_to_the_whole(self):
        command, shards = [*self.command, "--batches", 3000], self.folder / "shards"
        for index in range(3):
            self.done(*command, "-o", shards, "--shard", f"{index}/3")
        merged, folders = self.folder / "merged", [shards / f"shard-{index}-of-3" for index in (2, 0, 1)]
        self.refused(program.INPUT, "merge", *folders[:2], "-o", self.folder / "two", says="shards are missing")
        self.done("merge", *folders, "-o", merged)
        found = json.loads(self.done(*command, "-o", merged, "--resume", "--json").stdout)
        self.assertEqual(found, self.whole)
        self.assertEqual(json.loads((merged / "parallel.json").read_text()), self.whole)
        self.refused(program.USAGE, *command, "-o", merged, says="holds batches already")
        self.refused(program.USAGE, *command, "-o", merged, "--resume", "--seed", 2, says="another question")

    def test_a_run_that_was_stopped_goes_on(self):
        command = [*self.command, "--batches", 3000, "-o", self.folder / "stopped"]
        stopped = program.run(*command, "--time-limit", "0.001s")
        self.assertEqual(stopped.returncode, program.INTERRUPTED, stopped.stderr)
        self.assertIn("--resume", stopped.stderr)
        found = json.loads(self.done(*command, "--resume", "--json").stdout)
        self.assertEqual(found, self.whole)
        self.assertIn("report.html", self.files(self.folder / "stopped"))
        figures = [name for name in self.files(self.folder / "stopped") if name.endswith(".svg")]
        self.assertEqual(figures, ["figures/loads_2.svg", "figures/loads_4.svg", "figures/tail.svg"])

    def test_parts_need_a_folder_and_a_trace(self):
        self.refused(program.USAGE, *self.command, "--shard", "0/2", says="-o")
        self.refused(program.USAGE, *self.command, "--resume", says="-o")
        self.refused(program.USAGE, *self.command, "-o", self.folder / "x", "--shard", "2/2", says="--shard")

    def test_a_report_shows_links_and_times(self):
        (self.folder / "loads.csv").write_text(",".join(["8"] * 32) + "\n")
        self.done("parallel", "--loads", self.folder / "loads.csv", "--topology", "mesh:4x2", "--hardware", "h200-x8",
                  "--model", "gpt-oss-20b", "--tp", 2, "-o", self.folder / "report")
        text = (self.folder / "report/report.md").read_text()
        for part in ("What links of the mesh carry", "Time of a layer on h200-x8", "Mean load of 8 devices"):
            self.assertIn(part, text)


class Machine(program.ProgramTest):
    def point(self, loads, *options):
        (self.folder / "loads.csv").write_text(loads)
        done = self.done("parallel", "--loads", self.folder / "loads.csv", "--hardware", "h200-x8", *options, "--json")
        return json.loads(done.stdout)["points"][0]

    def test_a_layer_takes_what_its_busiest_device_and_port_take(self):
        point = self.point(",".join(["64"] * 32) + "\n", "--model", "gpt-oss-20b")
        self.assertEqual(point["devices"], 8)  # of the machine
        expert = 3 * 2880 * 2880
        read, compute = expert * 4.25 / 8 / HBM, (2 * 64 + 4) * expert / OPERATIONS  # MXFP4 is unpacked: 4 operations
        self.assertAlmostEqual(point["expert_seconds"] / (4 * max(read, compute)), 1, 12)
        bytes_ = 4 * 64 * 2880 * 2
        links = 2 * max(7 / 8 * bytes_ / LINK + LATENCY, 0)
        self.assertAlmostEqual(point["busiest_link_seconds"] / links, 1, 12)
        self.assertAlmostEqual(point["seconds"] / (point["expert_seconds"] + links), 1, 12)
        self.assertEqual(point["seconds_mc_half_width"], 0)
        half = self.point(",".join(["64"] * 32) + "\n", "--model", "gpt-oss-20b", "--overlap", "halves")
        self.assertAlmostEqual(half["seconds"], max(half["expert_seconds"], half["busiest_link_seconds"]), 15)

    def test_tokens_a_second_count_all_layers_and_attention(self):
        slow, fast = (self.point(",".join([str(each)] * 32) + "\n", "--model", "gpt-oss-20b", "--tp", 8)
                      for each in (1, 2048))
        tokens, model = 32 / 4, json.loads(self.done("model", "gpt-oss-20b", "--json").stdout)
        group = 8 * HBM  # all eight share what is no expert
        rest = (model["dense_bytes"] + tokens * 1024 * model["kv_bytes_per_token"]) / group + 24 * 15e-6
        expected = tokens / (24 * slow["seconds"] + rest) / 8
        self.assertAlmostEqual(slow["tokens_per_second_per_device"] / expected, 1, delta=0.01)
        self.assertGreater(fast["tokens_per_second_per_device"], 10 * slow["tokens_per_second_per_device"])

    def test_seconds_of_drawn_batches_have_intervals(self):
        self.trace(layers=2, experts=32, top_k=4)
        done = self.done("--quiet", "parallel", self.folder / "trace.h5", "--model", "gpt-oss-20b", "--hardware", "h200-x8",
                         "--tokens", 64, "--batches", 512, "--json")
        point = json.loads(done.stdout)["points"][0]
        for name in ("seconds", "expert_seconds", "busiest_link_seconds", "tokens_per_second_per_device"):
            self.assertGreater(point[name], 0, name)
            self.assertGreater(point[f"{name}_mc_half_width"], 0, name)
        self.assertAlmostEqual(point["seconds"], point["expert_seconds"] + point["busiest_link_seconds"], 11)

    def test_wafers_have_far_links(self):
        loads = ",".join(["8"] * 256) + "\n"
        (self.folder / "loads.csv").write_text(loads)
        points = {}
        for mapping in ("row", "entwined", "hierarchical"):
            done = self.done("parallel", "--loads", self.folder / "loads.csv", "--hardware", "wafers-4x8x8", "--model",
                             "deepseek-v3", "--tp", 4, "--mapping", mapping, "--json")
            points[mapping] = json.loads(done.stdout)["points"][0]
            self.assertEqual(points[mapping]["devices"], 256)
        far = [link for link in points["hierarchical"]["link_loads"] if link["from"] % 32 // 8 != link["to"] % 32 // 8]
        self.assertTrue(far)
        self.assertEqual({link["bytes"] for link in far}, {0})  # tokens are gathered before they are dispatched
        self.assertLess(points["hierarchical"]["hop_bytes"], points["entwined"]["hop_bytes"])

    def test_what_has_no_time_is_refused(self):
        (self.folder / "loads.csv").write_text(",".join(["8"] * 32) + "\n")
        loads = ["parallel", "--loads", self.folder / "loads.csv"]
        for options, says in ((["--hardware", "h200-x8"], "--model"),
                              (["--hardware", "h200-x8", "--model", "deepseek-v3"], "256 experts (expected 32"),
                              (["--hardware", "h100-pcie", "--model", "gpt-oss-20b", "--devices", 8], "one device"),
                              (["--hardware", "wafers-4x8x8", "--model", "gpt-oss-20b", "--devices", 8], "256 devices")):
            self.refused(program.USAGE, *loads, *options, says=says)


class RealRouting(program.ProgramTest):
    TRACE = program.RECORDED_TRACES / "gptoss20b.h5"

    def test_one_sequence_is_as_uneven_as_published_and_a_mixture_is_not(self):
        """Published of gpt-oss-20b on 8 devices, maths alone: 30 to 35 % on a device, up to 20 % on an expert."""
        if not self.TRACE.exists():
            self.skipTest(f"{self.TRACE} is not there")
        with h5py.File(self.TRACE) as trace:
            ids, ends = trace["expert_ids"][()], trace["sequence_offsets"][()]

        def most(tokens):
            loads = np.stack([np.bincount(layer.ravel(), minlength=32) for layer in tokens.swapaxes(0, 1)])
            share = loads / loads.sum(1, keepdims=True)
            return share.max(), share.reshape(len(share), 8, 4).sum(2).max()

        expert, device = most(ids)
        self.assertAlmostEqual(expert, 0.133, 3)
        self.assertAlmostEqual(device, 0.232, 3)
        alone = [most(ids[a:b]) for a, b in zip(ends, ends[1:]) if b - a >= 200]
        experts, devices = np.array(alone).T
        self.assertEqual(len(alone), 110)
        self.assertAlmostEqual(np.median(experts), 0.22, 2)
        self.assertAlmostEqual(np.median(devices), 0.34, 2)
        point = json.loads(self.done("--quiet", "parallel", self.TRACE, "--devices", 8, "--tokens", 256, "--batches", 1024,
                                     "--json").stdout)["points"][0]
        self.assertAlmostEqual(point["device_max_over_mean"]["mean"], 1.5, delta=0.02)


if __name__ == "__main__":
    program.main()
