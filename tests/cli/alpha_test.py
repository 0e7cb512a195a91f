"""[acceptance] alpha as a list is a grid axis: each value gives what a study of it alone gives, to the last digit."""

import csv
import json
import re

import program

HARDWARE = {"model": "gpt-oss-20b", "systems": ["elmoe3d-8gb", "elmoe3d-4gb"], "schemes": ["ar", "elastic"]}
ALPHAS = [0.3, 0.8]


class Alpha(program.ProgramTest):
    def results(self, alpha, name, **tables):
        study = self.study(f"{name}.toml", acceptance={"model": "constant", "alpha": alpha}, **tables)
        self.simulate(study, self.folder / name)
        return program.summary(self.folder / name)

    def check(self, **tables):
        """Points and hardware rows of the list are those of its values, and nothing else."""
        both = self.results(ALPHAS, "both", **tables)
        for alpha in ALPHAS:
            alone = self.results(alpha, f"alone-{alpha}", **tables)
            for what in ("points", "hardware"):
                there = [row for row in both[what] if row["alpha"] in (None, alpha)]
                self.assertEqual(there, alone[what])
            leads = [{**lead, **{end: both["hardware"][lead[end]] for end in ("first", "second")}, "alpha": None}
                     for lead in both["leads"] if lead["alpha"] == alpha]
            self.assertEqual(leads, [{**lead, **{end: alone["hardware"][lead[end]] for end in ("first", "second")}}
                                     for lead in alone["leads"]])
        self.assertEqual({point["alpha"] for point in both["points"] if point["depth"] > 0}, set(ALPHAS))
        return both

    def test_episodes(self):
        self.trace()
        self.check(grid={"batch": [1, 2], "depth": [0, 2, 4], "policy": ["lru", "static"]})

    def test_fresh_starts_with_and_without_depth_0(self):
        self.trace()
        for depths in ([0, 3], [3], [2, 4]):
            with self.subTest(depths):
                self.check(grid={"batch": [1, 2], "depth": depths, "policy": "static", "capacity": [4]})
                for name in ("both", *(f"alone-{alpha}" for alpha in ALPHAS)):
                    (self.folder / name).rename(self.folder / f"{name}-{depths}")

    def test_exhaustive(self):
        self.trace()
        self.check(study={"mode": "exhaustive"}, grid={"depth": [0, 3], "policy": "static", "capacity": [4]})

    def test_hardware_the_report_and_evaluate(self):
        self.trace(layers=24, experts=32, top_k=4)
        both = self.check(grid={"batch": [1, 4], "depth": [0, 3], "policy": ["lru"], "capacity": [8], "bits": [4, 8]},
                          hardware=HARDWARE)
        folder = self.folder / "both"
        keys = ("batch", "depth", "policy", "capacity", "bits", "alpha", "demand")
        points, hardware = ({tuple(row[key] for key in keys)
                             for row in csv.DictReader((folder / name).read_text().splitlines())}
                            for name in ("points.csv", "hardware.csv"))
        self.assertLessEqual(hardware, points)
        report = (folder / "report.md").read_text()
        for alpha in ALPHAS:
            self.assertIn(f"At alpha {alpha}: Speculation ", report.replace("\\", ""))
        table = re.search(r"\*\*The best design of each batch.*?\n\n(.*?)\n\n", report, re.S)[1].splitlines()
        cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in table[2:]]
        self.assertEqual(cells, [["0.3", "1"], ["0.3", "4"], ["0.8", "1"], ["0.8", "4"]])
        for alpha, batch in ((0.3, 1), (0.8, 4)):
            best = max((row for row in both["hardware"] if row["batch"] == batch and row["alpha"] in (None, alpha)),
                       key=lambda row: row["tokens_per_second"]["value"])
            line = next(line for line in table[2:] if line.startswith(f"| {alpha} | {batch} |"))
            self.assertIn(f"{best['system']} with scheme {best['scheme']} (depth {best['depth']}", line.replace("\\", ""))
        again = json.loads(self.done("evaluate", folder, "--json").stdout)
        self.assertEqual([row["tokens_per_second"] for row in again["hardware"]],
                         [row["tokens_per_second"] for row in both["hardware"]])
        self.done("report", folder)
        self.assertEqual((folder / "report.md").read_text(), report)
        shown = [line.split() for line in self.done("evaluate", folder).stdout.splitlines()]
        self.assertIn("alpha", shown[0])
        self.assertEqual(len(set(map(tuple, shown))), len(both["hardware"]) + 1)
        self.check_compared(both)

    def check_compared(self, both):
        """The same alpha of both, and a list against one alpha in either place."""
        for alpha in ALPHAS:
            for a, b in (("both", f"alone-{alpha}"), (f"alone-{alpha}", "both")):
                told = json.loads(self.done("compare", self.folder / a, self.folder / b, "--json").stdout)
                self.assertEqual({row["ratio"]["value"] for row in told["rows"]} - {None}, {1})
                self.assertEqual({row["point"].get("alpha") for row in told["rows"]}, {None, alpha})
        told = json.loads(self.done("compare", self.folder / "both", "--systems", "elmoe3d-4gb,elmoe3d-8gb",
                                    "--json").stdout)
        keys = ("scheme", "policy", "batch", "depth", "bits", "alpha")
        speeds = {(row["system"], *(row[key] for key in keys)): row["tokens_per_second"]["value"]
                  for row in both["hardware"]}
        rows = [row for row in told["rows"] if row["metric"] == "tokens_per_second"]
        self.assertEqual(len(rows), len(speeds) / 2)
        for row in rows:
            key = [row["point"].get(name) for name in keys]
            self.assertAlmostEqual(row["ratio"]["value"], speeds[("elmoe3d-4gb", *key)] / speeds[("elmoe3d-8gb", *key)],
                                   9)

    def test_where_lengths_have_to_be_fixed_a_list_is_refused(self):
        self.trace()
        study = self.study(study={"mode": "replay"}, acceptance={"model": "constant", "alpha": [0, 1]},
                           grid={"policy": "lru"})
        self.refused(program.USAGE, "simulate", study, "-o", self.folder / "out", says="acceptance.model")
        for wrong in ([], [0.5, 2], ["high"]):
            study = self.study(acceptance={"model": "constant", "alpha": wrong})
            self.refused(program.USAGE, "simulate", study, "-o", self.folder / "out", says="acceptance.alpha")


if __name__ == "__main__":
    program.main()
