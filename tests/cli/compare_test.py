"""Ratios of `moecarlo compare` and their intervals, against the groups of tallies.h5 in NumPy, and closed forms."""

import json
import math

import h5py
import program

T_63 = 1.998341  # 97.5 % point of Student's t with 63 degrees of freedom
HARDWARE = {"model": "gpt-oss-20b", "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "eagle"]}


def groups_of(output, batch, depth, policy, capacity):
    """[groups] hits and distinct experts of each group of trajectories."""
    with h5py.File(output / "tallies.h5") as tallies:
        count = int(tallies.attrs["groups"])
        points, unions = (list(map(str, tallies.attrs[f"{kind}_counts"].split())) for kind in ("point", "union"))
        for cell in tallies.values():
            if not isinstance(cell, h5py.Group) or (cell.attrs["batch"], cell.attrs["depth"]) != (batch, depth):
                continue
            p = cell.attrs["policies"].split().index(policy)
            c = list(cell["capacity_base"]).index(capacity)
            hits = cell["points_by_group"][p, c, :count, points.index("hits")].astype(float)
            return hits, cell["unions_by_group"][:count, unions.index("distinct_experts")].astype(float)
    raise AssertionError("no such cell")


class Compare(program.ProgramTest):
    def simulated(self, name, **tables):
        study = self.study(f"{name}.toml", **tables)
        self.simulate(study, self.folder / name)
        return self.folder / name

    def compared(self, *arguments):
        return json.loads(self.done("compare", *arguments, "--json").stdout)

    def two(self, **second):
        self.trace()
        return self.simulated("a"), self.simulated("b", **second)

    def row(self, result, metric, **point):
        rows = [row for row in result["rows"] if row["metric"] == metric and point.items() <= row["point"].items()]
        self.assertEqual(len(rows), 1, (metric, point))
        return rows[0]

    def test_a_paired_interval_is_that_of_the_ratio_in_each_group(self):
        a, b = self.two(acceptance={"alpha": 0.2})
        result = self.compared(a, b)
        self.assertTrue(all(row["ratio"]["paired"] for row in result["rows"]))
        self.assertEqual(result["against"], [{"b": str(b), "paired": True, "unpaired": None, "only_a": 0, "only_b": 0}])
        for policy in ("static", "lru"):
            row = self.row(result, "hit_rate", batch=1, depth=3, policy=policy, capacity=5)
            influence, rates = [], []
            for output in (a, b):
                hits, distinct = groups_of(output, 1, 3, policy, 5)
                rate = hits.sum() / distinct.sum()
                rates.append(rate)
                influence.append(len(hits) * (hits - rate * distinct) / distinct.sum() / rate)
            self.assertAlmostEqual(row["a"], rates[0], 12)
            self.assertAlmostEqual(row["b"], rates[1], 12)
            ratio = rates[0] / rates[1]
            self.assertAlmostEqual(row["ratio"]["value"], ratio, 12)
            groups = len(influence[0])
            self.assertEqual(groups, 64)
            both = ratio * (influence[0] - influence[1])
            half = T_63 * math.sqrt((both**2).sum() / (groups * (groups - 1)))
            self.assertAlmostEqual(row["ratio"]["mc_half_width"] / half, 1, 4)

    def test_what_both_draw_alike_cancels(self):
        a, b = self.two()
        for row in self.compared(a, b)["rows"]:
            self.assertEqual(row["a"], row["b"])
            if row["ratio"]["value"] is not None:
                self.assertEqual(row["ratio"]["value"], 1)
                self.assertFalse(row["ratio"]["mc_half_width"])

    def test_unpaired_errors_add_up_in_squares(self):
        a, b = self.two(study={"seed": 2})
        result = self.compared(a, b)
        self.assertEqual(result["against"][0]["unpaired"], "their seeds differ")
        single = [{(p["batch"], p["depth"], p["policy"], p["capacity"]): p["metrics"]
                   for p in program.summary(one)["points"]} for one in (a, b)]
        compared = 0
        for row in result["rows"]:
            point = row["point"]
            key = (point["batch"], point["depth"], point["policy"], point["capacity"])
            ratio = row["ratio"]
            self.assertFalse(ratio["paired"])
            if key not in single[0] or not ratio["value"] or row["metric"] not in single[0][key]:
                continue
            sides = [one[key][row["metric"]] for one in single]
            for width in ("mc_half_width", "trace_half_width"):
                if None in (sides[0][width], sides[1][width]):
                    self.assertIsNone(ratio[width])
                    continue
                expected = abs(ratio["value"]) * math.hypot(*(side[width] / side["value"] for side in sides))
                self.assertAlmostEqual(ratio[width], expected, 12)
                compared += 1
        self.assertGreater(compared, 20)

    def test_another_trace_mode_or_walk_is_not_paired(self):
        a, b = self.two(grid={"policy": ["fifo"]})
        self.trace("other.h5", seed=6)
        other = self.simulated("c", study={"trace": "other.h5"})
        static = self.simulated("d", grid={"policy": ["static"]})
        reasons = {one["b"]: one["unpaired"] for one in self.compared(a, other, static)["against"]}
        self.assertEqual(reasons, {str(other): "their traces differ",
                                   str(static): "one walks in episodes and the other draws fresh starts"})
        self.refused(program.USAGE, "compare", a, b, says="no design in common")
        self.refused(program.USAGE, "compare", a, says="expected two or more")

    def test_systems_of_one_study_are_paired(self):
        self.trace(layers=24, experts=32, top_k=4)
        output = self.simulated("a", hardware=HARDWARE)
        rows = {(row["system"], row["scheme"], row["batch"], row["depth"], row["policy"]): row
                for row in program.summary(output)["hardware"]}
        result = self.compared(output, "--systems", "elmoe3d-4gb,xpu")
        self.assertTrue(result["rows"])
        for row in result["rows"]:
            point = row["point"]
            pair = [rows[system, point["scheme"], point["batch"], point["depth"], point["policy"]]
                    for system in ("elmoe3d-4gb", "xpu")]
            self.assertAlmostEqual(row["a"] / pair[0][row["metric"]]["value"], 1, 12)
            self.assertAlmostEqual(row["ratio"]["value"], row["a"] / row["b"], 12)
            self.assertTrue(row["ratio"]["paired"])
            if point["scheme"] == "ar" and row["metric"] == "tokens_per_second":  # what the report calls its speed-up
                speedup = pair[0]["speedup"]
                self.assertAlmostEqual(row["ratio"]["value"], speedup["value"], 9)
                if point["policy"] == "static":
                    self.assertAlmostEqual(row["ratio"]["mc_half_width"] or 0, speedup["mc_half_width"] or 0, 9)
        self.refused(program.USAGE, "compare", output, "--systems", "xpu,gb10", says="no row of the system gb10")

    def test_a_report_with_table_figure_and_csv_is_written(self):
        a, b = self.two(study={"seed": 2})
        told = self.done("compare", a, b, "-o", self.folder / "comparison").stdout.splitlines()
        self.assertTrue(any("a / b" in line for line in told))
        self.assertIn("Unpaired, as their seeds differ: errors of both add up.", told)
        files = self.files(self.folder / "comparison")
        for name in ("report.html", "report.md", "comparison.csv", "comparison.json", "figures/ratio_1.svg"):
            self.assertIn(name, files)
        lines = (self.folder / "comparison/comparison.csv").read_text().splitlines()
        self.assertEqual(len(lines), 1 + len(self.compared(a, b)["rows"]))


if __name__ == "__main__":
    program.main()
