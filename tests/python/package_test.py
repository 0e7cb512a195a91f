"""The Python package: a study from Python, its tables and counts, its figures, traces. Needs pandas and matplotlib.

Usage: package_test.py [MOECARLO]; without it, the program installed with the package.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

if len(sys.argv) > 1:
    os.environ["MOECARLO"] = sys.argv[1]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "host/python"))
try:
    import numpy as np
    import pandas as pd

    import moecarlo
    from moecarlo import figures
    from moecarlo.results import DESIGN
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

HARDWARE = {"model": "gpt-oss-20b-int8", "systems": ["xpu", "elmoe3d-8gb"], "schemes": ["ar", "elastic"]}
GRID = {"batch": [1, 2], "depth": [0, 3], "policy": ["static", "lru"], "capacity": [8, 16]}


def routing(tokens, seed):
    return np.argsort(np.random.default_rng(seed).gumbel(size=(tokens, 6, 32)), axis=2)[:, :, :4]


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.sequences = [routing(20 + seed, seed) for seed in range(16)]
        cls.trace = cls.folder / "trace.h5"
        moecarlo.write_trace(cls.trace, cls.sequences, 32, labels=["code", "maths"] * 8)
        cls.study = moecarlo.Study(cls.trace, GRID, {"alpha": 0.7}, hardware=HARDWARE, trajectories=256, rounds=2)
        cls.results = moecarlo.run(cls.study, cls.folder / "results", backend="cpu")

    def test_every_hardware_row_has_its_point(self):
        hardware, points = self.results.hardware, self.results.points
        joined = hardware.merge(points[DESIGN].drop_duplicates(), on=DESIGN, how="left", indicator=True)
        self.assertEqual(len(joined), len(hardware))
        self.assertEqual(set(joined["_merge"]), {"both"})

    def test_a_joined_row_has_the_metrics_of_its_point(self):
        joined = self.results.joined()
        self.assertFalse(joined["hit_rate"].isna().any())
        for row in joined.sample(20, random_state=1).to_dict("records"):
            same = [p for p in self.results.summary["points"]
                    if all(p[key] == row[key] or (p[key] is None and pd.isna(row[key])) for key in DESIGN)]
            self.assertEqual(same[0]["metrics"]["misses"]["value"], row["misses"])

    def test_tables_say_what_summary_json_says(self):
        rows = {(row["metric"], *(None if pd.isna(row[key]) else row[key] for key in DESIGN)): row["value"]
                for row in self.results.points.to_dict("records")}
        figures = [((name, *(point[key] for key in DESIGN)), metric["value"])
                   for point in self.results.summary["points"] for name, metric in point["metrics"].items()]
        self.assertEqual(dict(figures), rows)
        self.assertFalse(self.results.points["unit"].isna().any())
        self.assertFalse(self.results.hardware["unit"].isna().any())
        self.assertEqual(set(self.results.metric("hit_rate")["unit"]), {"share"})
        self.assertLessEqual({"constant", "elasticity"}, set(self.results.sensitivity))

    def test_tallies_give_the_metrics_again(self):
        cell = self.results.tallies.at(batch=2, depth=3)
        hits = cell["points_by_layer"].sel(policy="lru", capacity=8.0, point_count="hits").sum("layer").values
        distinct = cell["unions_by_layer"].sel(union_count="distinct_experts").sum("layer").values
        rows = self.results.metric("hit_rate")
        there = rows[(rows["batch"] == 2) & (rows["depth"] == 3) & (rows["policy"] == "lru") & (rows["capacity"] == 8)]
        self.assertAlmostEqual(there["value"].iloc[0], hits / distinct, 12)

    def test_cells_of_several_alphas_and_demands_are_told_apart(self):
        study = moecarlo.Study(self.trace, {"depth": [2], "capacity": [8]}, {"alpha": [0.3, 0.8]},
                               demand={"rule": ["all", "budget"], "experts": [2]}, trajectories=64, rounds=2)
        results = moecarlo.run(study, self.folder / "crossed")
        points = results.metric("hit_rate")
        self.assertEqual(len(points), 4)
        for row in points.to_dict("records"):
            cell = results.tallies.at(1, 2, alpha=row["alpha"], demand=row["demand"])
            self.assertEqual((cell.alpha, cell.demand), (row["alpha"], row["demand"]))
            hits = cell["points_by_layer"].sel(policy=row["policy"], point_count="hits").sum("capacity", "layer").values
            distinct = cell["unions_by_layer"].sel(union_count="distinct_experts").sum("layer").values
            self.assertAlmostEqual(row["value"], hits / distinct, 12)
        with self.assertRaisesRegex(KeyError, "batch 1, depth 2, alpha 0.5, demand all"):
            results.tallies.at(1, 2, alpha=0.5, demand="all")

    def test_prefills_and_prefetches_are_tables_and_counts(self):
        study = moecarlo.Study(self.trace, {"depth": [2], "policy": ["lru"], "capacity": [8]}, {"alpha": 0.5},
                               prefill={"chunk": 8}, prefetch={"predictor": "previous"}, calibration="all",
                               trajectories=64, rounds=2)
        results = moecarlo.run(study, self.folder / "ahead")
        misses = results.prefill[results.prefill["metric"] == "misses"]["value"].iloc[0]
        cell = results.tallies.prefill[0]
        chunks = cell["rounds"].values.sum()
        self.assertEqual(chunks, sum(-(-len(tokens) // 8) for tokens in self.sequences))
        hits = cell["points_by_layer"].sel(policy="lru", capacity=8.0, point_count="hits").values.sum()
        distinct = cell["unions_by_layer"].sel(union_count="distinct_experts").values.sum()
        self.assertAlmostEqual(misses, (distinct - hits) / chunks / 6, 12)
        useful, wasted, precision = (results.metric(f"prefetch_{name}.1")["value"].iloc[0]
                                     for name in ("useful", "wasted", "precision"))
        self.assertAlmostEqual(precision, useful / (useful + wasted), 12)
        self.assertTrue(self.results.prefill.empty)

    def test_tallies_are_arrays_of_xarray_too(self):
        try:
            import xarray  # noqa: F401
        except ImportError:
            self.skipTest("no xarray")
        counts = self.results.tallies.at(1, 3)["points_by_layer"]
        array = counts.xarray()
        self.assertEqual(array.dims, ("policy", "capacity", "layer", "point_count"))
        self.assertEqual(int(array.sel(policy="static", capacity=8).sum()),
                         int(counts.sel(policy="static", capacity=8.0).values.sum()))

    def test_every_figure_of_the_report_is_drawn_from_the_same_numbers(self):
        pictures = {path.stem for path in (self.folder / "results/figures").glob("*.svg")}
        self.assertEqual(set(self.results.charts), pictures)
        for name, chart in self.results.charts.items():
            for columns, width in ((1, 3.5), (2, 7.16)) if name in ("hit_rate", "speedup") else ((1, 3.5),):
                figure = moecarlo.plot(self.results, name, columns=columns)
                file = self.folder / f"{name}-{columns}.pdf"
                figure.savefig(file)
                self.assertGreater(file.stat().st_size, 1000)
                self.assertAlmostEqual(figure.get_size_inches()[0], width)
            if chart["kind"] == "line":
                drawn = [line for line in figure.axes[0].get_lines() if line.get_linestyle() in ("-", "--")]
                for series, line in zip(chart["series"], drawn):
                    np.testing.assert_array_equal(line.get_ydata(), [point["y"] for point in series["points"]])
        with self.assertRaisesRegex(KeyError, "hit_rate"):
            moecarlo.plot(self.results, "hitrate")

    def test_papers_get_every_figure_in_three_formats_and_two_widths_once(self):
        (self.folder / "one/figures").mkdir(parents=True)
        (self.folder / "one/figures/figures.json").write_text(json.dumps({"hit_rate": self.results.charts["hit_rate"]}))
        (self.folder / "one/summary.json").write_text("{}")
        arguments = [str(self.folder / "one"), "-o", str(self.folder / "paper")]
        figures.main(arguments)
        for columns, points in ((1, "252"), (2, "515.5")):  # 3.5 and 7.16 inches
            file = self.folder / "paper" / f"hit_rate-{columns}-column"
            self.assertTrue(file.with_suffix(".svg").read_text().split('width="')[1].startswith(points))
            self.assertEqual(int.from_bytes(file.with_suffix(".png").read_bytes()[16:20], "big"),
                             int(figures.WIDTHS[columns] * 300))
            self.assertTrue(file.with_suffix(".pdf").read_bytes().startswith(b"%PDF"))
        self.assertEqual(len(list((self.folder / "paper").iterdir())), 6)
        for wrong in (arguments, [str(self.folder / "nowhere")]):
            with self.assertRaises(SystemExit) as refused, contextlib.redirect_stderr(io.StringIO()):
                figures.main(wrong)
            self.assertEqual(refused.exception.code, 2)
        figures.main([*arguments, "--force"])

    def test_a_study_is_the_same_as_file_and_as_object(self):
        file = self.folder / "study.toml"
        self.study.write(file)
        self.assertEqual(moecarlo.Study.read(file), self.study)
        again = moecarlo.run(file, self.folder / "again")
        pd.testing.assert_frame_equal(again.points, self.results.points)

    def test_a_trace_comes_back_as_it_was_written(self):
        trace = moecarlo.Trace(self.trace)
        np.testing.assert_array_equal(trace.expert_ids, np.concatenate(self.sequences))
        choices = trace.choices
        self.assertEqual(len(choices), trace.expert_ids.size)
        third = choices[(choices["sequence"] == 3) & (choices["token"] == 5) & (choices["layer"] == 2)]
        np.testing.assert_array_equal(third["expert"], self.sequences[3][5, 2])

    def test_zero_computation_experts_are_no_choices(self):
        file = self.folder / "zero.h5"
        sequence = np.array([[[0, 9, -1]], [[2, 1, 8]]])
        moecarlo.write_trace(file, [sequence], 8, zero_computation_experts=2)
        self.assertEqual(moecarlo.Trace(file).choices["expert"].tolist(), [0, 2, 1])
        self.assertEqual(json.loads(moecarlo.program_output("inspect", file, "--json"))["zero_computation_choices"], 3)
        with self.assertRaisesRegex(ValueError, "expected 0 to 7"):
            moecarlo.write_trace(file, [sequence], 8)

    def test_logits_choose_the_experts_that_the_program_says(self):
        logits = [np.random.default_rng(seed).normal(size=(30, 2, 8)).astype(np.float32) for seed in range(4)]
        file = self.folder / "logits.h5"
        moecarlo.write_trace(file, logits, 8, top_k=2, logits=True)
        ids = moecarlo.Trace(file).expert_ids
        counts = np.bincount(ids[:, 0].ravel(), minlength=8)
        shown = json.loads(moecarlo.program_output("locality", file, "--json"))
        share = counts / counts.sum()
        entropies = [-(p * np.log(np.where(p > 0, p, 1))).sum() / np.log(8)
                     for p in (share, np.bincount(ids[:, 1].ravel(), minlength=8) / counts.sum())]
        self.assertAlmostEqual(shown["entropy"], np.mean(entropies), 9)

    def test_wrong_things_are_refused_in_a_line(self):
        with self.assertRaisesRegex(ValueError, "expected 0 to 31"):
            moecarlo.write_trace(self.folder / "bad.h5", [np.full((3, 2, 1), 32)], 32)
        with self.assertRaisesRegex(moecarlo.MoecarloError, "is it capacity") as refused:
            moecarlo.run(moecarlo.Study(self.trace, {"capacit": [8]}, {"alpha": 0.5}), self.folder / "none")
        self.assertEqual(refused.exception.status, 2)
        with self.assertRaises(FileNotFoundError):
            moecarlo.Results(self.folder / "nowhere")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
