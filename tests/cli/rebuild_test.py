"""tallies.h5 is the one source of all results: evaluate and report rebuild from a folder what simulate wrote there."""

import os

import program

HARDWARE = {"model": "gpt-oss-20b", "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "elastic"]}


class Rebuild(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace(layers=24, experts=32, top_k=4)
        self.output = self.folder / "out"
        self.simulate(self.study(grid={"depth": [0, 3], "capacity": [8]}, hardware=HARDWARE), self.output)

    def contents(self):
        return {name: (self.output / name).read_bytes() for name in self.files(self.output)}

    def expect_equal(self, after, before):
        self.assertEqual(after.keys(), before.keys())
        self.assertEqual([name for name in before if before[name] != after[name]], [])

    def test_evaluate_writes_nothing_over_the_studys_own_report(self):
        before = self.contents()
        for options in ([], ["--hardware", "xpu"], ["--json"]):
            result = self.done("evaluate", self.output, *options)
            self.assertIn("nothing is written", result.stderr)
            self.expect_equal(self.contents(), before)
        self.refused(program.USAGE, "evaluate", self.output, "-o", self.output, says=["holds tallies", "--force"])
        self.expect_equal(self.contents(), before)

    def test_evaluate_writes_another_report_elsewhere_once(self):
        before = self.contents()
        other = self.folder / "other"
        evaluate = ["evaluate", self.output, "--hardware", "xpu", "-o", other]
        self.done(*evaluate)
        self.expect_equal(self.contents(), before)
        self.assertEqual({row["system"] for row in program.summary(other)["hardware"]}, {"xpu"})
        self.assertNotIn("tallies.h5", self.files(other))
        self.refused(program.USAGE, *evaluate, says=[str(other), "--force"])
        self.done(*evaluate, "--force")
        self.done("report", other)

    def test_evaluate_prints_what_it_would_write(self):
        shown = self.done("evaluate", self.output).stdout.splitlines()
        rows = program.summary(self.output)["hardware"]
        self.assertEqual(len(shown), 1 + len(rows))
        for line, row in zip(shown[1:], rows):
            cells = line.split()
            self.assertEqual(cells[:6], [str(row[key]) for key in (
                "system", "scheme", "policy", "batch", "depth", "bits")])
            gain = row["speedup_over_autoregressive"]
            figures = [f"{row['speedup']['value']:.3f}", *([f"{gain['value']:.3f}"] if gain else []),
                       f"{row['energy_mj_per_token']['value']:.3f}"]
            self.assertEqual(cells[8:], figures)

    def test_evaluate_gives_the_same_files(self):
        before = self.contents()
        self.done("evaluate", self.output, "--force")
        self.expect_equal(self.contents(), before)

    def test_evaluate_needs_neither_the_trace_nor_the_study_file(self):
        before = self.contents()
        os.remove(self.folder / "trace.h5")
        os.remove(self.folder / "study.toml")
        self.done("evaluate", self.output, "--force")
        self.expect_equal(self.contents(), before)

    def test_report_gives_the_same_files(self):
        before = self.contents()
        for name in before:
            if name not in ("summary.json", "tallies.h5"):
                os.remove(self.output / name)
        self.done("report", self.output)
        self.expect_equal(self.contents(), before)

    def test_evaluate_takes_other_hardware_whose_capacities_were_counted(self):
        before = program.summary(self.output)
        self.done("evaluate", self.output, "--hardware", "xpu", "--force")
        after = program.summary(self.output)
        self.assertEqual({row["system"] for row in after["hardware"]}, {"xpu"})
        self.assertEqual(after["hardware"], [row for row in before["hardware"] if row["system"] == "xpu"])
        self.assertEqual(after["points"], before["points"])

    def test_evaluate_refuses_hardware_that_was_not_counted_or_is_unknown(self):
        before = self.contents()
        evaluate = ["evaluate", self.output, "--force", "--hardware"]
        self.refused(program.USAGE, *evaluate, "elmoe3d-8gb", says="elmoe3d-8gb with ar")
        self.refused(program.USAGE, *evaluate, "abacus", says="abacus")
        self.expect_equal(self.contents(), before)

    def test_a_damaged_summary_is_refused(self):
        (self.output / "summary.json").write_text('{"schema": "moecarlo-summary", "points": [')
        self.refused(program.INPUT, "report", self.output, says="summary.json")


if __name__ == "__main__":
    program.main()
