"""summary.json and points.csv hold what the interfaces promise, and numbers that agree with each other."""

import csv
import json
import os

import numpy as np

import program

PER_REQUEST = ["tokens_per_round", "accepted_length"]
PER_LAYER = ["distinct_experts", "distinct_experts_accepted", "hits", "misses", "hit_rate", "rejected_only",
             "cache_writes", "oracle_hit_rate"]  # and draft_coverage where there is a draft
HARDWARE = {"model": "gpt-oss-20b", "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "elastic"]}


class Results(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace()
        self.output = self.folder / "out"

    def results(self, *options, **tables):
        self.simulate(self.study(**tables), self.output, *options)
        return program.summary(self.output)

    def test_the_output_folder_holds_every_promised_file(self):
        self.results()
        files = self.files(self.output)
        for name in ("tallies.h5", "summary.json", "points.csv", "hardware.csv", "report.html", "report.md"):
            self.assertIn(name, files)
        self.assertTrue(any(name.startswith("figures/") and name.endswith(".svg") for name in files))
        self.assertFalse([name for name in files if "tmp" in name or name.startswith(".")])

    def test_figures_have_png_copies_unless_they_are_not_wanted(self):
        self.results()
        report, figures = self.output / "report.md", self.output / "figures"
        self.assertIn("The figures are SVG only: the environment asks for no PNG.", report.read_text())
        if "no librsvg" in self.reported_with_copies().read_text():
            self.skipTest("built without librsvg")
        pictures = sorted(picture.stem for picture in figures.glob("*.svg"))
        self.assertEqual(sorted(copy.stem for copy in figures.glob("*.png")), pictures)
        self.assertNotIn("SVG only", report.read_text())
        copies = {copy: copy.read_bytes() for copy in figures.glob("*.png")}
        # A copy of another picture does not stay, nor is it taken for one of this.
        (figures / f"{pictures[0]}.svg").write_text("another picture")
        (figures / f"{pictures[0]}.png").write_text("its copy")
        self.done("report", self.output)
        self.assertEqual(sorted(copy.stem for copy in figures.glob("*.png")), pictures[1:])
        self.reported_with_copies()
        self.assertEqual({copy: copy.read_bytes() for copy in figures.glob("*.png")}, copies)

    def reported_with_copies(self):
        self.done("report", self.output, env={**os.environ, "MOECARLO_PNG": "1"})
        return self.output / "report.md"

    def test_the_summary_has_the_documented_keys(self):
        results = self.results()
        self.assertEqual((results["schema"], results["schema_version"]), ("moecarlo-summary", 1))
        trace = {"model": "random", "tokens": 289, "layers": 3, "experts": 16, "top_k": 2, "sequences": 12}
        self.assertEqual({key: results["trace"][key] for key in trace}, trace)
        self.assertEqual((results["trajectories"], results["seed"], results["backend"]), (256, 1, "cpu"))
        self.assertEqual(results["study"]["study"]["rounds"], 16)
        self.assertEqual(results["study"]["grid"]["bits"], [8])
        for key in ("points", "hardware", "sensitivity", "notes"):
            self.assertIsInstance(results[key], list)

    def test_the_points_are_the_grid_each_once(self):
        self.trace(layers=24, experts=32, top_k=4)  # bits act through the elastic scheme
        points = self.results(grid={"batch": [1, 2], "bits": [4, 8]}, hardware=HARDWARE)["points"]
        self.assertTrue(any(point["implied"] for point in points))
        designs = [tuple(p[key] for key in ("batch", "depth", "policy", "capacity", "bits")) for p in points
                   if not p["implied"]]
        expected = [(batch, depth, policy, capacity, bits) for batch in (1, 2) for depth in (0, 3)
                    for policy in ("static", "lru") for capacity in (2, 5) for bits in (4, 8)]
        self.assertCountEqual(designs, expected)

    def test_every_metric_is_there_with_its_intervals_and_layers(self):
        for point in self.results()["points"]:
            metrics = point["metrics"]
            drafting = ["draft_coverage"] if point["depth"] > 0 else []
            self.assertCountEqual(metrics, PER_REQUEST + PER_LAYER + drafting)
            for name, figure in metrics.items():
                self.assertCountEqual(figure, ["value", "mc_half_width", "trace_half_width", "per_layer"])
                self.assertGreaterEqual(figure["mc_half_width"], 0)
                self.assertEqual(figure["per_layer"] is None, name in PER_REQUEST)

    def test_histograms_are_counted_where_the_study_asks_for_them(self):
        results = self.results(study={"histograms": ["tokens_per_expert", "resident_experts"]},
                               grid={"policy": ["lru", "window"], "capacity": [2, 5]}, cache={"window": 2})
        self.done("report", self.output)
        self.assertEqual(program.summary(self.output)["points"], results["points"])
        self.assertCountEqual({(p["policy"], p["capacity"]) for p in results["points"]},
                              [("lru", 2), ("lru", 5), ("window", None)])
        for point in results["points"]:
            value = {name: figure["value"] for name, figure in point["metrics"].items()}
            tokens, resident = (point["histograms"][name] for name in ("tokens_per_expert", "resident_experts"))
            self.assertAlmostEqual(sum(tokens["all"]), 1, 12)
            self.assertAlmostEqual(sum(tokens["resident"]), value["hit_rate"], 12)
            self.assertAlmostEqual(np.dot(tokens["all"], range(1, len(tokens["all"]) + 1)),
                                   value["tokens_per_expert"], 12)
            # Two choices of each column, over the distinct experts of a pass.
            self.assertAlmostEqual(value["tokens_per_expert"], 2 * (1 + point["depth"]) / value["distinct_experts"], 12)
            self.assertAlmostEqual(np.dot(resident["all"], range(17)), value["resident_experts"], 12)
            if point["policy"] == "lru":
                self.assertAlmostEqual(resident["all"][int(point["capacity"])], 1, 12)

    def test_the_numbers_of_a_point_agree_with_each_other(self):
        for point in self.results(grid={"batch": [1, 2]})["points"]:
            value = {name: figure["value"] for name, figure in point["metrics"].items()}
            layers = {name: figure["per_layer"] for name, figure in point["metrics"].items()}
            with self.subTest(**{key: point[key] for key in ("batch", "depth", "policy", "capacity")}):
                self.assertAlmostEqual(value["hits"] + value["misses"], value["distinct_experts"], 12)
                self.assertAlmostEqual(value["hits"] / value["distinct_experts"], value["hit_rate"], 12)
                self.assertAlmostEqual(value["tokens_per_round"], 1 + value["accepted_length"], 12)
                self.assertLessEqual(value["distinct_experts_accepted"], value["distinct_experts"])
                self.assertLessEqual(value["rejected_only"], value["misses"])
                for name in ("distinct_experts", "hits", "misses", "rejected_only", "cache_writes"):
                    self.assertAlmostEqual(np.mean(layers[name]), value[name], 12)
                if point["depth"] == 0:
                    self.assertEqual((value["tokens_per_round"], value["rejected_only"]), (1, 0))
                if point["policy"] == "static":
                    self.assertEqual(value["cache_writes"], 0)

    def test_certain_acceptance_and_a_full_cache_waste_nothing(self):
        points = self.results(grid={"capacity": [4, 16]}, acceptance={"alpha": 1})["points"]
        for point in points:
            metrics = point["metrics"]
            self.assertEqual(metrics["tokens_per_round"]["value"], point["depth"] + 1)
            self.assertEqual(metrics["tokens_per_round"]["trace_half_width"], 0)
            self.assertEqual(metrics["rejected_only"]["value"], 0)
            if point["capacity"] == 16:
                self.assertEqual(metrics["hit_rate"]["value"], 1)

    def test_more_capacity_never_lowers_the_hit_rate(self):
        points = self.results(grid={"capacity": [1, 2, 3, 5, 8, 13, 16]})["points"]
        for policy in ("static", "lru"):
            for depth in (0, 3):
                rates = [(p["capacity"], p["metrics"]["hit_rate"]["value"]) for p in points
                         if (p["policy"], p["depth"]) == (policy, depth)]
                self.assertEqual(sorted(rates, key=lambda rate: rate[1]), sorted(rates))

    def test_policies_are_compared_in_pairs(self):
        results = self.results()
        self.assertEqual(len(results["differences"]), 8)  # two depths, two capacities, two metrics
        for difference in results["differences"]:
            first, second = (results["points"][difference[side]] for side in ("first", "second"))
            self.assertEqual((first["policy"], second["policy"]), ("lru", "static"))
            metrics = [point["metrics"][difference["metric"]] for point in (first, second)]
            self.assertAlmostEqual(difference["value"], metrics[0]["value"] - metrics[1]["value"], 12)

    @staticmethod
    def holds_by_definition(point, name):
        """At acceptance below 1 and neither without slots nor with one for every expert."""
        plain = point["depth"] == 0
        return (plain and name in ("tokens_per_round", "accepted_length", "rejected_only")) or (
            plain and point["batch"] == 1 and name.startswith("distinct_experts")) or (
            point["policy"] == "static" and name == "cache_writes")

    def test_only_what_holds_by_definition_is_exact_in_a_sample(self):
        seeds = []
        for seed in (1, 2):
            self.output = self.folder / f"seed-{seed}"
            seeds.append(self.results("--seed", seed, grid={"batch": [1, 16], "capacity": [4, 16]}))
        for first, second in zip(*(results["points"] for results in seeds)):
            for name, figure in first["metrics"].items():
                full = first["capacity"] == 16 and name in ("hit_rate", "misses", "rejected_only", "draft_coverage",
                                                            "cache_writes", "oracle_hit_rate")
                all_hit = first["capacity"] == 16 and first["batch"] == 1 and first["depth"] == 0 and name == "hits"
                with self.subTest(name, **{key: first[key] for key in ("batch", "depth", "policy", "capacity")}):
                    if figure["mc_half_width"] == 0:
                        self.assertTrue(full or all_hit or self.holds_by_definition(first, name))
                        self.assertEqual(second["metrics"][name]["value"], figure["value"])
                        self.assertEqual(figure["trace_half_width"], 0)

    def test_a_missing_interval_says_how_many_trajectories_would_do(self):
        results = self.results("--trajectories", 64, grid={"batch": [1, 4], "depth": [0, 3]})
        missing = [name for point in results["points"] for name, figure in point["metrics"].items()
                   if figure["trace_half_width"] is None and name != "oracle_hit_rate"]
        self.assertTrue(missing)
        notes = " ".join(results["notes"])
        for name in missing:
            self.assertRegex(notes, rf"\b{name} \({missing.count(name)} of [0-9]+ values; about [0-9,]+ trajectories "
                                    "would do\\)")

    def test_what_is_not_available_is_null_and_a_note_says_why(self):
        self.trace(lengths=[30, 20, 25])
        results = self.results("--trajectories", 63, study={"calibration": "all"})
        for point in results["points"]:
            for name, figure in point["metrics"].items():
                exact = self.holds_by_definition(point, name)
                self.assertEqual(figure["mc_half_width"], 0 if exact else None)
                # Accepted lengths do not depend on the trace, however few its sequences.
                exact = exact or name in ("tokens_per_round", "accepted_length")
                self.assertEqual(figure["trace_half_width"], 0 if exact else None)
        notes = " ".join(results["notes"])
        self.assertIn("No simulation interval: 63 trajectories, at least 64", notes)
        self.assertIn("No trace interval: 3 evaluation sequences, at least 8", notes)

    def test_a_batch_that_no_fresh_start_could_serve_is_walked_as_episodes(self):
        self.trace(lengths=[12] + [3] * 12)
        grid = {"batch": [1, 4], "depth": [10], "policy": "static", "capacity": 4}
        results = self.results(study={"calibration": "all"}, grid=grid)
        for point in results["points"]:
            self.assertGreater(point["metrics"]["hit_rate"]["mc_half_width"], 0)
        notes = " ".join(results["notes"])
        self.assertIn("as too few rounds of fresh starts would fit the sequences: batch 1 from depth 10 on, batch 4", notes)
        self.assertIn("Batch 4 draws from only 1 evaluation sequences at depth 10", notes)

    def test_a_stop_is_not_satisfied_by_what_one_group_alone_has_seen(self):
        # With fresh starts, of a batch of 64 on sequences of 24 tokens six rounds in a million would fit depth 4.
        self.trace(lengths=[24] * 40)
        results = self.results(
            study={"trajectories": 8192, "rounds": 2}, grid={"batch": 64, "depth": 4, "policy": "static", "capacity": 4},
            acceptance={"alpha": 0.7}, stop={"metrics": ["tokens_per_round"], "relative_half_width": 0.002})
        tokens = results["points"][0]["metrics"]["tokens_per_round"]
        truth = sum(0.7 ** i for i in range(5))
        self.assertLess(abs(tokens["value"] - truth), 2 * tokens["mc_half_width"])
        self.assertGreater(tokens["mc_half_width"], 0)
        self.assertLessEqual(tokens["mc_half_width"], 0.002 * tokens["value"])

    def test_points_csv_has_one_row_for_each_figure(self):
        self.trace(layers=24, experts=32, top_k=4)
        results = self.results(grid={"batch": [1, 2], "bits": [4, 8]}, hardware=HARDWARE)
        with open(self.output / "points.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        design_keys = ("batch", "depth", "policy", "capacity", "bits", "alpha", "demand")
        figure_keys = ("value", "mc_half_width", "trace_half_width")
        self.assertEqual(list(rows[0]), [*design_keys, "metric", "unit", *figure_keys])
        self.assertEqual(len(rows), sum(len(point["metrics"]) for point in results["points"]))
        # Of the grid 16 points without a draft have 10 metrics, 16 with one have 11.
        own = [point for point in results["points"] if not point["implied"]]
        self.assertEqual(sum(len(point["metrics"]) for point in own), 16 * 10 + 16 * 11)
        written = {tuple(row[key] for key in (*design_keys, "metric")): row for row in rows}
        for point in results["points"]:
            design = tuple("" if point[key] is None else str(point[key]).removesuffix(".0") for key in design_keys)
            for name, figure in point["metrics"].items():
                row = written[(*design, name)]
                for key in figure_keys:
                    self.assertEqual(float(row[key]) if row[key] else None, figure[key])

    def test_variants_of_the_memory_are_rows_of_their_system_and_those_that_no_other_beats_a_table(self):
        self.trace(layers=24, experts=32, top_k=4)
        swept = {**HARDWARE, "vary": {"hb.capacity": [0.3, 0.5, 2], "hb.bandwidth": [2]}}
        results = self.results(grid={"depth": [3], "capacity": [8]}, hardware=swept)
        rows = [row for row in results["hardware"] if row["scheme"] == "ar" and row["policy"] == "lru"]
        names = {(0.5, 1): "[hb.capacity x0.5]", (2, 1): "[hb.capacity x2]", (1, 1): "", (1, 2): "[hb.bandwidth x2]",
                 (0.5, 2): "[hb.bandwidth x2, hb.capacity x0.5]", (2, 2): "[hb.bandwidth x2, hb.capacity x2]"}

        def of(row, key):
            return row["vary"].get(f"hb.{key}", 1)

        self.assertEqual({(of(row, "capacity"), of(row, "bandwidth")): row["system"] for row in rows
                          if row["system"] != "xpu"}, {key: "elmoe3d-4gb" + name for key, name in names.items()})
        self.assertEqual(sum(row["system"] == "xpu" for row in rows), 1)
        by_capacity = {of(row, "capacity"): row for row in rows
                       if of(row, "bandwidth") == 1 and row["system"] != "xpu"}
        self.assertLess(by_capacity[0.5]["capacity"], by_capacity[1]["capacity"])
        self.assertLess(by_capacity[1]["speedup"]["value"], by_capacity[2]["speedup"]["value"])
        self.assertTrue(any(note.startswith("Left out at batch 1: ") and "elmoe3d-4gb[hb.capacity x0.3]" in note
                            and "does not fit in hb" in note for note in results["notes"]))
        report = (self.output / "report.md").read_text()
        self.assertIn("Pareto front", report)
        # Sensitivity and the main tables are of the systems themselves.
        self.assertEqual({row["row"].split(",")[0] for row in results["sensitivity"]},
                         {"xpu ar", "elmoe3d-4gb ar", "elmoe3d-4gb elastic"})
        # The variants count the capacities beside the system's own.
        for row in results["sensitivity"]:
            if row["constant"] == "hb.capacity":
                self.assertGreater(row["elasticity"], 0)
                self.assertRegex(row["method"], "between the counted .* experts a layer")

    def test_unrestricted_drafts_need_a_chain_and_hear_of_it_before_anything_is_simulated(self):
        self.trace(layers=24, experts=32, top_k=4)
        for scheme in ("quant", "speq"):
            study = self.study(grid={"depth": [3], "capacity": [8]},
                               draft={"width": 2, "verify_tokens": 4, "sibling_routing": 0.5},
                               hardware={**HARDWARE, "schemes": ["ar", scheme]})
            self.refused(2, "simulate", study, "-o", self.folder / "refused",
                         says=f"scheme {scheme} drafts with unrestricted routing (expected draft.width 1, found 2)")
        self.assertFalse((self.folder / "refused").exists())

    def test_hardware_gives_a_row_for_each_system_scheme_batch_depth_and_policy(self):
        self.trace(layers=24, experts=32, top_k=4)
        results = self.results(grid={"depth": [3], "capacity": [8]}, hardware=HARDWARE)
        rows = results["hardware"]
        self.assertIn(("xpu", "ar", 0), {(row["system"], row["scheme"], row["depth"]) for row in rows})
        self.assertIn(("elmoe3d-4gb", "elastic", 3), {(row["system"], row["scheme"], row["depth"]) for row in rows})
        self.assertEqual({row["policy"] for row in rows}, {"static", "lru"})
        baseline = {row["policy"]: row for row in rows if (row["system"], row["scheme"]) == ("xpu", "ar")}
        for row in rows:
            reference = baseline[row["policy"]]
            speed = row["tokens_per_second"]["value"] / reference["tokens_per_second"]["value"]
            energy = reference["energy_mj_per_token"]["value"] / row["energy_mj_per_token"]["value"]
            self.assertAlmostEqual(row["speedup"]["value"], speed, 9)
            self.assertAlmostEqual(row["energy_gain"]["value"], energy, 9)
        self.assertTrue(results["sensitivity"])
        with open(self.output / "hardware.csv", newline="") as file:
            table = list(csv.DictReader(file))
        drafting = sum(row["depth"] > 0 for row in rows)  # have a speed-up over their own mode and a break-even
        parts = sum(1 + len(part["busy"]) for row in rows for part in row["parts"].values())
        layers = sum(3 * len(row["operations_per_byte_by_layer"]) for row in rows)
        self.assertEqual(len(table), sum(9 + len(row["busy"]) + len(row["breakdown"]) for row in rows) + parts + layers
                         + 2 * drafting)
        self.assertEqual({point["depth"] for point in results["points"] if not point["implied"]}, {3})

    def test_a_model_that_is_not_the_traces_is_refused(self):
        hardware = {"model": "gpt-oss-20b", "systems": ["xpu"]}
        self.refused(program.USAGE, "simulate", self.study(hardware=hardware), "-o", self.output, says="gpt-oss-20b")

    def test_json_numbers_are_finite(self):
        def refuse(constant):
            raise AssertionError(f"{constant} in summary.json")

        self.results(study={"rounds": 1})
        json.loads((self.output / "summary.json").read_text(), parse_constant=refuse)


if __name__ == "__main__":
    program.main()
