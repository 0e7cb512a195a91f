"""`calibrate`: fits constants of a machine to measured points, on a trace where a study names one."""

import json

import program

HEADER = ("model,machine,batch,depth,policy,capacity,context,hit_rate,accepted_length,quantity,value,uncertainty,use\n")
MEASURED = program.RECORDED_TRACES / ".." / "published" / "measured"


class Calibrate(program.ProgramTest):
    def points(self, *lines):
        path = self.folder / "points.csv"
        path.write_text(HEADER + "\n".join(lines) + "\n")
        return path

    def calibrated(self, *options):
        return json.loads(self.done("--quiet", "calibrate", "--json", *options).stdout)

    def stand_in(self, **grid):
        """On routing of 128 experts with top-8: a trace that stands in for the model's own."""
        trace = self.folder / "stand-in.h5"
        self.done("--quiet", "synth", "-o", trace, "--layers", 2, "--experts", 128, "--top-k", 8, "--sequences", 24,
                  "--tokens-per-sequence", 64, "--zipf", 0.9, "--stickiness", 0.4)
        path = self.folder / "study.toml"
        path.write_text(program.toml(
            study={"name": "stand-in", "trace": str(trace), "trajectories": 2048, "rounds": 8},
            grid={"batch": [1, 4], "depth": [0, 2], "policy": ["lru", "static"], "capacity": [24, 64], **grid},
            acceptance={"model": "constant", "alpha": 0.7},
            hardware={"model": "qwen3-30b-a3b", "context": 512, "systems": ["rtx4090-ddr5"],
                      "schemes": ["ar", "eagle"], "reference": "none"}))
        return path

    def test_hits_of_points_are_those_that_a_simulation_of_the_study_counts(self):
        study = self.stand_in()
        lines = [f"m,rtx4090-ddr5,{batch},{depth},{policy},{capacity},,,,hit_rate,0.5,,predict"
                 for batch in (1, 4) for depth in (0, 2) for policy in ("lru", "static") for capacity in (24, 64)]
        made = self.calibrated(self.points(*lines), "--study", study)
        self.assertIn("stand-in.h5 (synthetic)", made["routing"])
        self.done("--quiet", "simulate", study, "-o", self.folder / "out")
        summary = json.loads((self.folder / "out/summary.json").read_text())
        counted = {(point["batch"], point["depth"], point["policy"], point["capacity"]):
                   point["metrics"]["hit_rate"]["value"] for point in summary["points"]}
        self.assertEqual(len(made["points"]), 16)
        for point in made["points"]:
            key = (point["batch"], point["depth"], point["policy"], point["capacity"])
            self.assertAlmostEqual(point["ours"], counted[key], delta=0.01, msg=key)

    def test_drafts_emit_what_the_study_accepts_and_a_given_length_is_used_as_it_is(self):
        study = self.stand_in()
        point = "m,rtx4090-ddr5,1,2,lru,64,,,{},{},1,,predict"
        ms, speed, given = (row["ours"] for row in self.calibrated(
            self.points(point.format("", "ms_per_step"), point.format("", "tokens_per_second"),
                        point.format(2, "tokens_per_second")), "--study", study)["points"])
        accepted = 0.7 + 0.7 ** 2
        self.assertAlmostEqual(speed * ms / 1e3, 1 + accepted, delta=0.03)
        self.assertAlmostEqual(given * ms / 1e3, 3, places=9)

    def test_a_trace_of_another_model_is_refused(self):
        study = self.stand_in()
        self.refused(2, "calibrate", self.points("m,m3-max,1,0,lru,8,,,,hit_rate,0.5,,predict"), "--study", study,
                     "--model", "gpt-oss-20b", says=["the trace is not of gpt-oss-20b (expected 32 experts with top-4"])

    def test_empty_cells_are_the_studys_where_it_has_one_alone(self):
        study = self.stand_in(batch=[4], depth=[2], policy=["lru"], capacity=[24])
        given, empty = self.calibrated(self.points("m,rtx4090-ddr5,4,2,lru,24,512,,,ms_per_step,1,,predict",
                                                   ",,,,,,,,,ms_per_step,1,,predict"), "--study", study)["points"]
        self.assertEqual(given["ours"], empty["ours"])
        self.assertEqual((empty["batch"], empty["depth"], empty["policy"], empty["capacity"]), (4, 2, "lru", 24))
        self.refused(3, "calibrate", self.points(",,,0,lru,24,,,,ms_per_step,1,,predict"),
                     says=["points.csv:2: batch: empty (expected a number, or a study that has one alone)"])
        self.refused(2, "calibrate", self.points("qwen3-30b-a3b,gb10,1,0,static,128,,,,ms_per_step,1,,predict",
                                                 "qwen3-30b-a3b,gh200,1,0,static,128,,,,ms_per_step,1,,predict"),
                     says=["points.csv:3: points of 'gb10' and of 'gh200' (expected one alone, or --hardware)"])

    def test_nothing_resident_is_a_point_like_any_other(self):
        made = self.calibrated(self.points("m,rtx4090-ddr5,1,0,lru,0,,,,hit_rate,0.5,,predict",
                                           "m,rtx4090-ddr5,1,0,lru,0,,,,ms_per_step,1,,predict"),
                               "--study", self.stand_in())
        self.assertEqual(made["points"][0]["ours"], 0)
        self.assertGreater(made["points"][1]["ours"], 50)

    def test_what_fails_stands_first_and_what_was_fitted_can_be_used(self):
        model = ["--model", "qwen3-30b-a3b"]
        file = self.points("m,mi210-x2,1,0,static,128,,,,tokens_per_second,66,,fit",
                           "m,mi210-x2,1,0,static,64,,,,tokens_per_second,50,,predict",
                           "m,mi210-x2,1,0,static,32,,,,tokens_per_second,400,,predict")
        fitted = self.folder / "fitted.toml"
        text = self.done("calibrate", file, *model, "--fit", "overhead.layer", "-o", fitted).stdout
        self.assertTrue(text.startswith("fail"), text)
        self.assertIn("no trace stands in", text)
        self.assertIn('status = "fitted"', fitted.read_text())
        self.assertIn("fitted", self.done("systems", fitted).stdout)

    def test_the_gates_of_published_measurements(self):
        """Each ends as pass, or with a verdict that says why not; none may fail."""
        if not MEASURED.exists():
            self.skipTest(f"{MEASURED} is not there")
        made = self.calibrated(MEASURED / "qwen3-30b-a3b-mi210.csv", "--fit",
                               "overhead.layer,overhead.message,routing.zipf")
        self.assertEqual({row["use"] for row in made["points"]}, {"fit", "predict"})
        for row in made["points"]:
            if row["use"] == "predict":
                self.assertEqual(row["verdict"], "pass")
                self.assertLess(abs(row["ours"] / row["measured"] - 1), 0.15)
        widths = self.calibrated(MEASURED / "verify-width.csv")["points"]
        glm = [row for row in widths if row["model"].startswith("GLM-4.7-Flash") and row["use"] == "predict"]
        self.assertTrue(glm)
        for row in glm:
            self.assertTrue(row["low"] <= row["measured"] <= row["high"], row)
        self.assertTrue(any(row["verdict"] == "cannot be judged" for row in widths))


if __name__ == "__main__":
    program.main()
