"""Demand rules from a study to its outputs: numbers under a lossy rule say so."""

import csv
import json

import h5py
import numpy as np

import elastic
import program

RULES = {"rule": ["all", "threshold"], "theta": [0.2], "path": "one"}


class Asking(elastic.Elastic):
    def setUp(self):
        super().setUp()
        self.elastic_trace()

    def asked(self, **tables):
        points = self.results(demand=tables.pop("demand", RULES), **tables)["points"]
        return {point["demand"]: {name: metric["value"] for name, metric in point["metrics"].items()}
                for point in points}

    def rows(self, name):
        with open(self.folder / f"run-{self.runs}" / name, newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def test_a_threshold_drops_mass_and_loads_less(self):
        points = self.asked()
        every, some = points["all"], points["threshold(0.2)"]
        self.assertEqual((every["dropped_mass"], every["demands"]), (0, every["demands_kept"]))
        self.assertEqual(every["expert_equivalents"], every["distinct_experts"])
        self.assertEqual(every["demands"], some["demands"])
        self.assertLess(some["demands_kept"], some["demands"])
        self.assertLess(some["distinct_experts"], every["distinct_experts"])
        self.assertGreater(some["dropped_mass"], 0)
        self.assertEqual(every["tokens_per_round"], some["tokens_per_round"])

    def test_csv_and_report_say_what_is_dropped(self):
        dropped = self.asked()["threshold(0.2)"]["dropped_mass"]
        for row in self.rows("points.csv"):
            self.assertEqual(float(row["lossy"] or 0), 0 if row["demand"] == "all" else dropped)
        report = (self.folder / f"run-{self.runs}" / "report.md").read_text(encoding="utf-8")
        self.assertIn(f"threshold(0.2) is lossy: drops {100 * dropped:.3g} % of the gate mass", report)
        self.assertIn("upper bound", report)

    def test_a_study_without_rules_has_none_of_their_metrics(self):
        point = self.results()["points"][0]
        self.assertEqual(point["demand"], "all")
        self.assertNotIn("demands", point["metrics"])
        with h5py.File(self.folder / "run-1" / "tallies.h5") as tallies:
            self.assertNotIn("demand_counts", tallies.attrs)
            self.assertNotIn("demand", tallies["cell_0000"].attrs)

    def test_crossed_with_alphas_each_point_is_that_of_a_study_of_it_alone(self):
        rules = {"rule": ["all", "threshold"], "theta": [0.05, 0.2]}

        def points(alpha, demand):
            found = self.results(acceptance={"alpha": alpha}, demand=demand)["points"]
            return {(point["alpha"], point["demand"]): point["metrics"] for point in found}

        crossed = points([0.3, 0.8], rules)
        alone = {}
        for alpha in (0.3, 0.8):
            alone |= points(alpha, {"rule": ["all"]})
            for theta in rules["theta"]:
                alone |= points(alpha, {"rule": ["threshold"], "theta": [theta]})
        self.assertEqual(len(alone), 6)
        self.assertEqual(crossed, alone)

    def test_shards_give_the_same_file(self):
        study = self.folder / "study.toml"
        self.asked()
        whole = (self.folder / "run-1" / "tallies.h5").read_bytes()
        parts = [self.folder / "parts" / f"shard-{i}-of-2" for i in range(2)]
        for i in range(2):
            self.simulate(study, self.folder / "parts", "--shard", f"{i}/2")
        self.done("merge", *parts, "-o", self.folder / "merged")
        self.assertEqual((self.folder / "merged" / "tallies.h5").read_bytes(), whole)

    def test_hardware_rows_are_marked_as_upper_bounds(self):
        program.write_trace(self.folder / "trace.h5", *program.trace_parts(24, 32, 4, [40] * 8, "router_logits"))
        hardware = {"model": "gpt-oss-20b", "systems": ["elmoe3d-8gb"]}
        rows = self.results(demand=RULES, hardware=hardware)["hardware"]
        self.assertEqual({row["demand"] for row in rows}, {"all", "threshold(0.2)"})
        for row in rows:
            if row["demand"] == "all":
                self.assertIsNone(row["lossy"])
            else:
                self.assertGreater(row["lossy"]["dropped_mass"], 0)
                self.assertEqual(row["lossy"]["upper_bound"], row["depth"] > 0)

    def test_lossy_designs_stand_on_what_a_model_was_measured_to_lose(self):
        numbers = ("bits_per_token", "bits_per_token_error", "perplexity", "acceptance_error", "accepted_length",
                   "accepted_length_error")
        rules = [{"demand": demand, "dropped_mass": dropped, "perplexity_ratio": ratio, "perplexity_ratio_low": ratio,
                  "perplexity_ratio_high": ratio, "acceptance": 0.75, **{name: 1 for name in numbers}}
                 for demand, dropped, ratio in (("all", 0, 1), ("threshold(0.3)", 1, 3))]
        measured = {"schema": "moecarlo-loss", "schema_version": 1, "model": "my-model", "texts": 2, "tokens": 8,
                    "depth": 4, "batch": 1, "rules": rules}
        (self.folder / "loss.json").write_text(json.dumps(measured))
        points = self.asked(demand={**RULES, "loss": "loss.json"})
        ratio = 1 + 2 * points["threshold(0.2)"]["dropped_mass"]
        report = (self.folder / "run-1/report.md").read_text(encoding="utf-8")
        self.assertIn(f"perplexity x {ratio:.3g} on my-model", report)
        self.assertIn("What such rules cost my-model", report)
        self.assertIn(f"| {ratio:.4g} ({ratio:.4g} to {ratio:.4g}) | 0.750", report)
        self.assertTrue((self.folder / "run-1/figures/loss.svg").is_file())
        self.assertEqual(program.summary(self.folder / "run-1")["measured_loss"]["rules"], rules)
        (self.folder / "loss.json").write_text("{}")
        self.refused(3, "simulate", self.folder / "study.toml", "-o", self.folder / "more", says=("loss.json", "schema"))

    def test_lower_slices_follow_a_miss_rate(self):
        demand = {"rule": "slices", "theta": 0.05, "miss_rate": [0, 0.5, 1]}
        tables = {"grid": {"policy": ["lru"], "capacity": [8], "bits": [4]}, "cache": {"objects": "slices"},
                  "study": {"rounds": 12}}
        points = self.asked(demand=demand, **tables)
        lower = [points[f"slices(0.05, miss_rate {rate})"] for rate in (0, 0.5, 1)]
        asked = [point["lower_hits"] + point["lower_misses"] for point in lower]
        self.assertLess(asked[0], asked[1])
        self.assertLessEqual(asked[1], asked[2])
        free = self.asked(demand={"rule": "slices", "theta": 0.05}, **tables)["slices(0.05)"]
        for name in lower[2].keys() - {"oracle_hit_rate"}:  # whose future such a rule does not know
            self.assertEqual(free[name], lower[2][name], name)

    def test_one_run_gives_the_curve_of_thresholds(self):
        thetas = [0, 4 / 256, 32 / 256, 1]
        points = self.results(study={"histograms": ["gate_products"]},
                              demand={"rule": ["all", "threshold"], "theta": thetas})["points"]
        every = next(point for point in points if point["demand"] == "all")
        shares = every["histograms"]["gate_products"]["all"]
        self.assertAlmostEqual(sum(shares), 1)
        for point in points[1:]:
            theta = float(point["demand"][len("threshold("):-1])
            self.assertAlmostEqual(point["metrics"]["distinct_experts"]["value"],
                                   every["metrics"]["distinct_experts"]["value"] * sum(shares[round(256 * theta):]))
        report = (self.folder / f"run-{self.runs}" / "report.md").read_text(encoding="utf-8")
        self.assertIn("What the demand rule threshold would load over a pass", report)

    def test_drafters_own_probabilities_weigh_columns(self):
        before = self.asked(demand={"rule": "threshold", "theta": 0.2}, acceptance={"alpha": 1})["threshold(0.2)"]
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            trace["acceptance/draft_probability"] = np.full(len(trace["router_logits"]), 0.4, np.float32)
        after = self.asked(demand={"rule": "threshold", "theta": 0.2}, acceptance={"alpha": 1})["threshold(0.2)"]
        self.assertEqual(after["demands"], before["demands"])
        self.assertLess(after["demands_kept"], before["demands_kept"])
        listed = self.asked(demand={"rule": "threshold", "theta": 0.2, "path": [1, 0.4, 0.16, 0.064]},
                            acceptance={"alpha": 1})["threshold(0.2)"]
        self.assertAlmostEqual(after["demands_kept"], listed["demands_kept"], 1)
        notes = program.summary(self.folder / "run-2")["notes"]
        self.assertTrue(any("acceptance/draft_probability" in note for note in notes))

    def test_channels_load_less_of_each_expert(self):
        demand = {"rule": "all", "channels": [0, 0.5, 2]}
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            shape = (*trace["router_logits"].shape[:2], 24)
            values = np.random.default_rng(3).exponential(40, shape).clip(0, 255).astype(np.uint8)
            trace["channel_magnitude"] = values
            trace["channel_magnitude"].attrs["scale"] = np.full(shape[1], 0.05, np.float32)
        points = self.asked(demand=demand)
        every, some, few = (points[name] for name in ("all", "all(channels 0.5)", "all(channels 2)"))
        self.assertEqual(every["expert_equivalents"], every["distinct_experts"])
        self.assertGreater(every["expert_equivalents"], some["expert_equivalents"])
        self.assertGreater(some["expert_equivalents"], few["expert_equivalents"])
        self.assertGreater(few["dropped_channel_mass"], some["dropped_channel_mass"])
        self.assertEqual((every["dropped_channel_mass"], few["dropped_mass"]), (0, 0))
        for row in self.rows("points.csv"):
            self.assertEqual(float(row["lossy"] or 0), points[row["demand"]]["dropped_channel_mass"])

    def test_channels_are_what_a_machine_without_a_cache_moves(self):
        program.write_trace(self.folder / "trace.h5", *program.trace_parts(24, 32, 4, [40] * 8))
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            values = np.random.default_rng(3).exponential(40, (320, 24, 24)).clip(0, 255).astype(np.uint8)
            trace["channel_magnitude"] = values
            trace["channel_magnitude"].attrs["scale"] = np.full(24, 0.05, np.float32)
            trace["expert_weights"] = np.full((320, 24, 4), 0.25, np.float32)
        found = self.results(demand={"rule": ["all", "threshold"], "theta": 0.2, "channels": [0, 0.5]},
                             hardware={"model": "gpt-oss-20b", "systems": ["smolpu"], "schemes": ["eagle"]})
        points = {point["demand"]: point["metrics"] for point in found["points"] if point["depth"] == 3}
        rows = {row["demand"]: row for row in found["hardware"] if row["depth"] == 3}
        whole = rows["all"]["breakdown"]
        for demand, row in rows.items():
            loaded = points[demand]["expert_equivalents"]["value"] / points["all"]["distinct_experts"]["value"]
            part = row["breakdown"]
            self.assertAlmostEqual(part["bytes_read.verify.experts"] / whole["bytes_read.verify.experts"], loaded, 9)
            self.assertEqual(part["bytes_read.verify.attention"], whole["bytes_read.verify.attention"])
            self.assertGreater(row["tokens_per_second"]["mc_half_width"], 0)
        self.assertLess(rows["all(channels 0.5)"]["breakdown"]["bytes_read.verify.experts"],
                        0.8 * whole["bytes_read.verify.experts"])

    def test_channels_need_magnitudes(self):
        text = program.toml(study={"trace": "trace.h5"}, grid={"capacity": 2}, acceptance={"alpha": 0.5},
                            demand={"channels": 1})
        (self.folder / "study.toml").write_text(text)
        self.refused(program.INPUT, "simulate", self.folder / "study.toml", "-o", self.folder / "none",
                     says=["demand.channels", "channel_magnitude"])

    def distances(self, shape, name="d.h5"):
        with h5py.File(self.folder / name, "w") as file:
            file["distances"] = np.random.default_rng(7).uniform(size=shape).astype(np.float32)

    def test_nearest_changes_what_drafts_touch_and_nothing_else(self):
        program.write_trace(self.folder / "trace.h5", *program.trace_parts(24, 32, 4, [40] * 8))
        self.distances((24, 32, 32))
        found = self.results(demand={"rule": ["all", "nearest"], "distances": "d.h5"},
                             hardware={"model": "gpt-oss-20b", "systems": ["elmoe3d-8gb"]})
        points = {(point["demand"], point["capacity"]): point["metrics"] for point in found["points"]}
        for (_, capacity), metrics in points.items():
            self.assertEqual(metrics, points["all", capacity])
        speeds = {row["demand"]: row["tokens_per_second"]["value"] for row in found["hardware"]
                  if row["scheme"] == "elastic"}
        self.assertNotEqual(speeds["all"], speeds["nearest"])
        self.assertTrue(all(row["lossy"] is None for row in found["hardware"]))

    def test_distances_of_another_model_are_refused(self):
        for shape, says in (((3, 16, 15), "[layers, experts, experts]"), ((2, 16, 16), "/distances")):
            self.distances(shape)
            text = program.toml(study={"trace": "trace.h5"}, grid={"capacity": 2}, acceptance={"alpha": 0.5},
                                demand={"rule": "nearest", "distances": "d.h5"})
            (self.folder / "study.toml").write_text(text)
            self.refused(program.INPUT, "simulate", self.folder / "study.toml", "-o", self.folder / "none",
                         says=["d.h5", says])

    def test_a_verdict_is_about_designs_that_drop_nothing_where_there_are_any(self):
        for rules, lossy in ((["all", "threshold"], False), (["threshold"], True)):
            text = program.toml(study={"trace": "trace.h5", "trajectories": 256, "calibration": "all"},
                                grid={"depth": [0, 3], "policy": ["lru"], "capacity": [5]}, acceptance={"alpha": 0.6},
                                demand={**RULES, "rule": rules})
            (self.folder / "study.toml").write_text(text)
            said = self.done("simulate", self.folder / "study.toml", "-o", self.folder / "run", "--backend", "cpu",
                             "--force").stdout.splitlines()
            self.assertEqual("lossy" in said[0], lossy, said)

    def test_gates_are_needed(self):
        attributes, datasets = program.trace_parts(2, 8, 2, [20] * 8)
        program.write_trace(self.folder / "trace.h5", attributes, datasets)
        text = program.toml(study={"trace": "trace.h5"}, grid={"capacity": 2}, acceptance={"alpha": 0.5}, demand=RULES)
        (self.folder / "study.toml").write_text(text)
        self.refused(program.INPUT, "simulate", self.folder / "study.toml", "-o", self.folder / "none",
                     says=["demand.rule", "threshold", "expert_weights"])

    def device_trace(self):
        """The shape of gpt-oss-20b, with gates of its own for each choice."""
        program.write_trace(self.folder / "trace.h5", *program.trace_parts(24, 32, 4, [40] * 8))
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            trace["expert_weights"] = np.random.default_rng(5).dirichlet([1.0] * 4, (320, 24)).astype(np.float32)

    def test_slices_are_moved_by_their_own_bytes(self):
        self.device_trace()
        hardware = {"model": "gpt-oss-20b-int8", "systems": ["slicemoe-8gb"], "schemes": ["ar", "eagle"]}
        found = self.results(grid={"bits": [4], "depth": [0, 3]}, cache={"objects": "slices"}, hardware=hardware,
                             demand={"rule": ["all", "slices"], "theta": 0.3})
        whole = json.loads(self.done("model", "gpt-oss-20b-int8", "--json").stdout)["expert_bytes"]
        upper, lower = whole * 4.5 / 8.5, whole * 4 / 8.5  # the scales are the upper slice's
        self.assertEqual(len(found["hardware"]), 8 - 2)  # ar drafts at no depth
        for row in found["hardware"]:
            point, = (point["metrics"] for point in found["points"] if all(
                point[key] == row[key] for key in ("batch", "depth", "demand", "policy", "capacity", "bits")))
            of = {name: 24 * metric["value"] for name, metric in point.items() if metric["per_layer"]}
            upper_misses = of["misses"] - of["lower_misses"]
            self.assertAlmostEqual(row["breakdown"]["bytes.flash"] / (upper_misses * upper + of["lower_misses"] * lower),
                                   1, 9)
            self.assertGreater(of["lower_hits"], 0)
            self.assertGreater(row["tokens_per_second"]["mc_half_width"], 0)
            if row["demand"] == "all":
                self.assertIsNone(row["lossy"])
                self.assertAlmostEqual(2 * (of["lower_hits"] + of["lower_misses"]), of["hits"] + of["misses"])
            else:
                self.assertEqual(row["lossy"]["dropped_mass"], point["upper_mass"]["value"])
                self.assertGreater(row["lossy"]["dropped_mass"], 0)
        report = (self.folder / f"run-{self.runs}" / "report.md").read_text(encoding="utf-8")
        self.assertIn("% of the gate mass from upper slices", report)

    def test_a_system_is_named_as_a_scheme_or_as_a_rule(self):
        self.device_trace()
        hardware = {"model": "gpt-oss-20b", "systems": ["smolpu"], "schemes": ["eagle", "taer"]}
        draft = {"width": 3, "sibling_routing": 0.5}
        found = self.results(demand={"rule": ["all", "taer"], "theta": 0.2}, draft=draft, hardware=hardware)
        self.assertEqual({(row["scheme"], row["demand"]) for row in found["hardware"] if row["depth"] == 3},
                         {("eagle", "all"), ("eagle", "threshold(0.2)"), ("taer", "threshold(0.2)")})
        eagle, taer = (next(row for row in found["hardware"] if (row["scheme"], row["demand"], row["depth"]) ==
                            (scheme, "threshold(0.2)", 3)) for scheme in ("eagle", "taer"))
        self.assertEqual({**eagle, "scheme": "taer"}, taer)
        coalesced = self.results(demand={"rule": "coalesce"}, draft=draft,
                                 hardware={**hardware, "systems": ["edgexpert"], "schemes": ["coalesce"]})
        self.assertEqual({(row["scheme"], row["demand"]) for row in coalesced["hardware"]}, {("coalesce", "salient")})
        for schemes, rule, says in ((["taer"], "salient", '"threshold" in demand.rule'), (["half"], "all", "demand.rule"),
                                    (["slices"], "all", "demand.rule")):
            text = program.toml(study={"trace": "trace.h5"}, grid={"batch": [1], "depth": [3], "policy": ["lru"],
                                                                   "capacity": [5]},
                                acceptance={"alpha": 0.6}, demand={"rule": rule}, draft=draft,
                                hardware={**hardware, "schemes": schemes})
            (self.folder / "refused.toml").write_text(text)
            self.refused(program.USAGE, "simulate", self.folder / "refused.toml", "-o", self.folder / "refused", says=[says])

    def test_channels_of_siblings_are_recalled(self):
        self.device_trace()
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            values = np.random.default_rng(3).exponential(40, (320, 24, 24)).clip(0, 255).astype(np.uint8)
            trace["channel_magnitude"] = values
            trace["channel_magnitude"].attrs["scale"] = np.full(24, 0.05, np.float32)

        def recall(sibling_routing):
            points = self.asked(demand={"rule": ["all", "salient"], "channels": [0, 0.5]},
                                draft={"width": 3, "sibling_routing": sibling_routing})
            for demand in ("all", "salient", "all(channels 0.5)"):
                self.assertNotIn("channel_recall", points[demand])
            return points["salient(channels 0.5)"]["channel_recall"]
        self.assertEqual(recall(1), 1)
        self.assertTrue(0 < recall(0.3) < 0.9)


if __name__ == "__main__":
    program.main()
