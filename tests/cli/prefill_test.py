"""Prefills, nested capacities and siblings from a study to its outputs."""

import csv
import json

import h5py
import numpy as np

import elastic
import program

CHUNK, LENGTH, PROMPT = 8, 40, 21
CONFIG = {"model_type": "qwen3_moe", "hidden_size": 512, "num_hidden_layers": 3, "vocab_size": 1000,
          "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "num_experts": 16,
          "num_experts_per_tok": 2, "moe_intermediate_size": 256, "intermediate_size": 1024}


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

    def test_time_to_the_first_token_is_that_of_all_chunks(self):
        """On one memory beside which nothing takes time: all that the chunks read, over its rate."""
        self.mark_prompts()
        (self.folder / "config.json").write_text(json.dumps(CONFIG))
        hardware = {"model": "config.json", "systems": ["xpu", "elmoe3d-8gb"], "schemes": ["ar", "elastic"],
                    "set": {"logic.clock": "1e9GHz"}}
        results = self.results(grid={"batch": [1, 4], "depth": [0, 3]}, prefill={"chunk": CHUNK}, hardware=hardware)
        sizes = json.loads(self.done("model", self.folder / "config.json", "--json").stdout)
        head, sequences = sizes["embedding_bytes"], 8
        chunks = list(self.chunks(0, PROMPT))
        experts = sum(len(set().union(*(token[layer] for token in chunk))) for chunk in chunks
                      for layer in range(elastic.LAYERS))
        positions = sum(first + min(CHUNK, PROMPT - first) // 2 for first in range(0, PROMPT, CHUNK))
        moved = (len(chunks) / sequences * (sizes["dense_bytes"] - head) + head + experts / sequences * sizes["expert_bytes"]
                 + positions * sizes["kv_bytes_per_token"])
        for row in results["hardware"]:
            first, each = row["time_to_first_token"], row["time_per_output_token"]
            self.assertAlmostEqual(each["value"], row["batch"] / row["tokens_per_second"]["value"], 15)
            self.assertEqual(first["mc_half_width"], 0)
            self.assertGreater(first["trace_half_width"], 0)
            if row["system"] == "xpu":
                self.assertAlmostEqual(first["value"] * 102.4e9 * 0.99 / moved, 1, 9)
            else:
                self.assertLess(first["value"], moved / (102.4e9 * 0.99))
            self.assertGreater(row["energy_mj_per_prompt"]["value"], 0)
        folder = self.output()
        rows = [row for row in self.rows("hardware.csv") if row["metric"] == "time_to_first_token"]
        self.assertEqual([float(row["value"]) for row in rows],
                         [row["time_to_first_token"]["value"] for row in results["hardware"]])
        self.assertIn("s to first token", (folder / "report.md").read_text(encoding="utf-8"))
        self.done("evaluate", folder, "--schemes", "ar", "-o", self.folder / "again")
        again = program.summary(self.folder / "again")["hardware"]
        self.assertEqual([row["time_to_first_token"] for row in again],
                         [row["time_to_first_token"] for row in results["hardware"] if row["scheme"] == "ar"])

    def test_a_share_of_the_rounds_takes_a_chunk_along(self):
        self.mark_prompts()
        (self.folder / "config.json").write_text(json.dumps(CONFIG))
        asked = {"grid": {"batch": [1, 4], "depth": [0, 2], "policy": ["static", "lru"]},
                 "hardware": {"model": "config.json", "systems": ["xpu", "elmoe3d-8gb", "rtx4090-ddr5-ssd"],
                              "schemes": ["ar", "elastic", "quant"]}}
        alone = self.results(prefill={"chunk": CHUNK}, **asked)
        mixed = self.results(prefill={"chunk": CHUNK, "mixed": 0.25}, **asked)
        self.assertEqual(mixed["points"], alone["points"])
        keys = ("system", "scheme", "batch", "depth", "policy", "capacity", "bits")
        plain = {tuple(row[key] for key in keys): row for row in alone["hardware"]}
        self.assertEqual(set(plain), {tuple(row[key] for key in keys) for row in mixed["hardware"]})
        chunks = -(-PROMPT // CHUNK)
        for row in mixed["hardware"]:
            before = plain[tuple(row[key] for key in keys)]
            round_seconds = row["breakdown"]["seconds"]
            self.assertGreater(round_seconds, before["breakdown"]["seconds"] * 0.97)
            self.assertGreater(row["time_per_output_token"]["mc_half_width"], 0)
            self.assertIsNone(row["time_per_output_token"]["trace_half_width"])
            self.assertAlmostEqual(row["time_to_first_token"]["value"] / (chunks / 0.25 * round_seconds), 1, 9)
            self.assertIsNone(row["energy_mj_per_prompt"])
            layers, = row["operations_per_byte_by_layer"]
            self.assertEqual((layers["first"], layers["layers"]), (0, elastic.LAYERS))
            self.assertLessEqual(layers["p5"], layers["p50"])
            self.assertLess(layers["p50"], layers["p95"])
            if row["depth"] > 0:  # drafts are accepted as ever
                tokens = row["breakdown"]["tokens"] / row["batch"]
                self.assertAlmostEqual(tokens, before["breakdown"]["tokens"] / before["batch"], delta=0.1)
        reference = {row["speedup"]["value"] for row in mixed["hardware"]
                     if (row["system"], row["scheme"], row["policy"]) == ("xpu", "ar", "static")}
        self.assertEqual(reference, {1})
        self.done("evaluate", self.output(), "--band", "--schemes", "ar", "-o", self.folder / "again")
        again = program.summary(self.folder / "again")["hardware"]
        self.assertEqual([row["tokens_per_second"] for row in again],
                         [row["tokens_per_second"] for row in mixed["hardware"] if row["scheme"] == "ar"])

    def test_contexts_are_drawn(self):
        (self.folder / "config.json").write_text(json.dumps(CONFIG))
        speeds = []
        for context in (8192, [1, 16383], 16383):
            hardware = {"model": "config.json", "systems": ["xpu"], "schemes": ["ar"], "context": context}
            results = self.results(grid={"depth": [0], "batch": [2]}, hardware=hardware)
            self.assertEqual(results["study"]["hardware"]["context"], context)
            speeds.append(results["hardware"][0]["tokens_per_second"]["value"])
        self.assertAlmostEqual(speeds[1] / speeds[0], 1, 2)
        self.assertLess(speeds[2], 0.9 * speeds[1])

    def test_without_prefills_there_is_no_first_token(self):
        (self.folder / "config.json").write_text(json.dumps(CONFIG))
        rows = self.results(hardware={"model": "config.json", "systems": ["xpu"], "schemes": ["ar"]})["hardware"]
        self.assertEqual({row["time_to_first_token"] for row in rows}, {None})
        self.assertGreater(rows[0]["time_per_output_token"]["value"], 0)

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
                             ({"prefill": {"psum_forced": True, "psum_slots": 0}}, "prefill.psum_slots is missing"),
                             ({"prefill": {"mixed": 1}}, "a share between 0 and 1"),
                             ({"prefill": {"mixed": 0.5}}, "changes the rounds of hardware rows")]:
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
