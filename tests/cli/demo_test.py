"""The demo study: bit slices of real weights enter it, its line of equal bytes is one, and nothing in it is unknown.

Runs over the files in datasets/, as scripts/demo does.
"""

import re
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

import program

DATASETS = Path(__file__).resolve().parents[2] / "datasets"
EXPERT_WEIGHTS, EXPERTS = 3 * 2880 * 2880, 24 * 32  # gpt-oss-20b: weights of an expert, experts of all layers


class Demo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.check(program.run("--quiet", "bitslice", DATASETS / "reference-weights.h5", "-o", cls.folder / "weights"))
        text = (DATASETS / "demo.toml").read_text()
        for key, path in (("trace", DATASETS / "reference.h5"), ("bit_slices", cls.folder / "weights/bitslice.json")):
            text, found = re.subn(rf"(?m)^{key} = \S+", f'{key} = "{path}"', text)
            assert found == 1, key
        (cls.folder / "demo.toml").write_text(text)
        cls.output = cls.folder / "out"
        cls.check(program.run("--quiet", "simulate", cls.folder / "demo.toml", "-o", cls.output, "--backend", "cpu"))
        cls.summary = program.summary(cls.output)
        cls.trades = cls.summary["bit_trades"]

    @staticmethod
    def check(result):
        assert result.returncode == 0, result.stderr

    def of(self, scheme):
        return [trade for trade in self.trades if trade["scheme"] == scheme]

    def test_the_measured_slices_of_the_reference_model_are_in_the_study(self):
        self.assertEqual(self.summary["bit_slices"]["model"], "moecarlo-reference")
        nominal = {(t["system"], t["policy"], t["batch"], t["depth"], t["bits"]): t for t in self.of("elastic")}
        measured = {(t["system"], t["policy"], t["batch"], t["depth"], t["bits"]): t for t in self.of("elastic-measured")}
        self.assertEqual(nominal.keys(), measured.keys())
        self.assertEqual({key[-1] for key in nominal}, {2, 3, 4, 5, 6})
        quantities = {q["name"]: q for q in self.summary["bit_slices"]["quantities"]}
        for key, trade in measured.items():
            self.assertLessEqual(trade["draft_bits"], nominal[key]["draft_bits"])
            self.assertGreaterEqual(trade["capacity"], nominal[key]["capacity"])
            upper = quantities[f"upper slice of {trade['bits']} bits, with its scale"]
            self.assertAlmostEqual(trade["draft_bits"], upper["measured"], 9)

    def test_the_elastic_draft_reads_four_and_a_half_of_eight_and_a_half_bits(self):
        for trade in self.of("elastic"):
            self.assertAlmostEqual(trade["draft_bits"], trade["bits"] + 0.5, 9)
            self.assertAlmostEqual(trade["whole_bits"], 8.5, 9)
        self.assertIn("4.5 of 8.5 at 4 bits", (self.output / "report.md").read_text())

    def test_capacity_times_the_bytes_of_a_slice_is_constant_along_a_line(self):
        for trade in self.trades:
            slot = EXPERT_WEIGHTS * trade["draft_bits"] / 8
            self.assertAlmostEqual(trade["slot_bytes"] / slot, 1, 9)
            room = {t["room_bytes"] for t in self.trades if (t["system"], t["batch"]) == (trade["system"], trade["batch"])}
            self.assertEqual(len(room), 1)
            slots = min(EXPERTS, max(room) // slot)
            # In the trace's 6 layers of the model's 24, in whole experts.
            self.assertAlmostEqual(trade["capacity"] * 6, slots * 6 // 24, 9)

    def test_captured_acceptance_is_that_of_the_traces_grid(self):
        with h5py.File(DATASETS / "reference.h5") as trace:
            decode = trace["phase"][:] == 1
            mean = trace["acceptance/accept_probability"][:].astype(np.float64)[:, decode].mean(axis=1)
            share, bits = trace["acceptance/cache_fraction"][:], trace["acceptance/weight_bits"][:]
        for trade in self.trades:
            there = bits == trade["bits"]
            order = np.argsort(share[there])
            expected = np.interp(trade["capacity"] / 32, share[there][order], mean[there][order])
            self.assertAlmostEqual(trade["captured"]["acceptance"], expected, 6)
            self.assertEqual(trade["captured"]["weight_bits"], trade["bits"])
            self.assertAlmostEqual(trade["captured"]["cache_fraction"], max(trade["capacity"] / 32, 0.25), 6)

    def test_every_metric_and_every_figure_of_the_hardware_has_both_intervals(self):
        for point in self.summary["points"]:
            for name, metric in point["metrics"].items():
                self.assertIsNotNone(metric["mc_half_width"], (name, point))
                self.assertIsNotNone(metric["trace_half_width"], (name, point))
        for row in self.summary["hardware"]:
            for name, figure in row.items():
                if isinstance(figure, dict) and "value" in figure:
                    self.assertIsNotNone(figure["mc_half_width"], (name, row["system"], row["scheme"]))
                    self.assertIsNotNone(figure["trace_half_width"], (name, row["system"], row["scheme"]))

    def test_every_row_of_the_hardware_table_that_drafts_has_one(self):
        keys = ("system", "scheme", "policy", "batch", "depth", "bits", "capacity")
        rows = {tuple(row[key] for key in keys): row for row in self.summary["hardware"] if row["depth"] > 0}
        self.assertEqual(len(rows), len(self.trades))
        for trade in self.trades:
            row = rows[tuple(trade[key] for key in keys)]
            self.assertEqual(trade["tokens_per_second"], row["tokens_per_second"])
            tokens = row["breakdown"]["tokens"] / trade["batch"]
            self.assertAlmostEqual(trade["acceptance"]["value"], (tokens - 1) / trade["depth"], 9)

    def test_the_fastest_of_a_line_is_the_fastest_and_the_leads_are_ratios_of_speeds(self):
        lines = {}
        for trade in self.trades:
            lines.setdefault(tuple(trade[key] for key in ("system", "scheme", "policy", "batch", "depth")), []).append(trade)
        for line in lines.values():
            most = max(trade["tokens_per_second"]["value"] for trade in line)
            for trade in line:
                self.assertAlmostEqual(trade["lead"]["value"], most / trade["tokens_per_second"]["value"], 9)
                self.assertEqual(trade["fastest"], trade["tokens_per_second"]["value"] == most)


if __name__ == "__main__":
    program.main()
