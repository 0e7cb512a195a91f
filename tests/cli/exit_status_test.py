"""Wrong usage and studies end with status 2, a failing machine with 4: one line on stderr, nothing half-written."""

import program
from program import INPUT, MACHINE, USAGE


class ExitStatus(program.ProgramTest):
    def test_a_wrong_command_line_is_a_usage_error(self):
        study, trace = self.study(), self.trace()
        for arguments in (
            [],
            ["no-such-command"],
            ["simulate"],
            ["simulate", study],
            ["simulate", study, "-o", self.folder / "out", "--no-such-option"],
            ["simulate", study, "-o", self.folder / "out", "--threads", "many"],
            ["simulate", study, "-o", self.folder / "out", "--seed", "4294967296"],
            ["simulate", study, "-o", self.folder / "out", "--trajectories", "0"],
            ["simulate", study, "-o", self.folder / "out", "--backend", "abacus"],
            ["simulate", study, "-o", self.folder / "out", "--time-limit", "soon"],
            ["locality", trace, "--capacities", "17"],
            ["locality", trace, "--phase", "middle"],
            ["synth", "-o", self.folder / "new.h5", "--top-k", "9", "--experts", "8"],
            ["synth", "-o", self.folder / "new.h5", "--dtype", "float32"],
        ):
            with self.subTest(arguments=arguments):
                self.refused(USAGE, *arguments)
        self.assertEqual(self.files(self.folder), ["study.toml", "trace.h5"])

    def test_a_wrong_study_is_refused_with_its_line(self):
        self.trace()
        cases = {
            "unknown key": (dict(study={"speed": 3}), "study.toml:4: unknown key study.speed"),
            "wrong type": (dict(grid={"batch": "four"}), "study.toml:8: grid.batch has a wrong value"),
            "empty list": (dict(grid={"batch": []}), "study.toml:8: grid.batch has a wrong value"),
            "unknown policy": (dict(grid={"policy": ["mru"]}), "expected one of: static, lru, fifo, lfu, slru, random, "
                               "belady, belady-bypass, hotness, lfu-kept, window; found mru"),
            "no acceptance": (dict(acceptance={"model": "ratio"}), "acceptance.alpha is missing"),
            "unknown metric": (dict(stop={"metrics": ["speed"], "relative_half_width": 0.1}), "found speed"),
            "exhaustive LRU": (dict(study={"mode": "exhaustive"}), "not possible in exhaustive mode"),
        }
        for name, (tables, says) in cases.items():
            with self.subTest(name):
                self.refused(USAGE, "simulate", self.study(**tables), "-o", self.folder / "out", says=says)
        self.assertCountEqual(self.folder.iterdir(), [self.folder / "study.toml", self.folder / "trace.h5"])

    def test_a_study_file_that_is_not_there_or_no_toml_is_a_usage_error(self):
        self.refused(USAGE, "simulate", self.folder / "none.toml", "-o", self.folder / "out", says="none.toml")
        self.trace()
        self.refused(USAGE, "simulate", self.folder / "trace.h5", "-o", self.folder / "out", says="not valid TOML")

    def test_a_grid_that_the_trace_cannot_serve_is_a_usage_error(self):
        self.trace()
        cases = [
            (dict(grid={"capacity": [17]}), "a capacity of 17 is impossible"),
            (dict(grid={"depth": [40]}), "grid.depth 40 is impossible"),
            (dict(study={"calibration": 0.01}), 'calibration = "all"'),
            (dict(study={"trajectories": 2**48, "rounds": 65535}), "overflow"),
        ]
        for tables, says in cases:
            with self.subTest(tables=tables):
                self.refused(USAGE, "simulate", self.study(**tables), "-o", self.folder / "out", says=says)
        self.assertCountEqual(self.folder.iterdir(), [self.folder / "study.toml", self.folder / "trace.h5"])

    def test_a_study_whose_trajectories_do_not_fit_the_memory_is_refused_before_it_starts(self):
        self.trace()
        study = self.study(study={"rounds": 65535}, grid={"batch": [4096], "depth": [39], "policy": ["lru"]})
        self.refused(MACHINE, "--quiet", "simulate", study, "-o", self.folder / "out", "--threads", "256", "--backend",
                     "cpu", says=["256 threads", "does not fit the memory"])

    def test_tallies_are_never_overwritten_without_resume(self):
        self.trace()
        study, output = self.study(), self.folder / "out"
        self.simulate(study, output)
        before = (output / "tallies.h5").read_bytes()
        self.refused(USAGE, "simulate", study, "-o", output, says=["holds tallies already", "--resume"])
        self.assertEqual((output / "tallies.h5").read_bytes(), before)

    def test_an_output_that_cannot_be_written_is_the_machines_fault(self):
        trace, study = self.trace(), self.study()
        for output in (study / "out", "/proc/out"):
            with self.subTest(output=output):
                self.refused(MACHINE, "simulate", study, "-o", output, says=str(output))
        self.refused(MACHINE, "synth", "-o", trace / "new.h5", says=str(trace / "new.h5"))
        self.assertEqual(self.files(self.folder), ["study.toml", "trace.h5"])

    def test_a_full_disk_behind_stdout_is_the_machines_fault(self):
        trace = self.trace()
        for command in (["inspect", trace], ["inspect", trace, "--json"], ["locality", trace]):
            with self.subTest(command=command), open("/dev/full", "w") as full:
                result = program.subprocess.run([program.MOECARLO, *command], stdout=full, stderr=-1, text=True)
                self.assertEqual(result.returncode, MACHINE)
                self.assertIn("standard output: cannot write", result.stderr)

    def test_results_that_are_not_there_are_refused_as_input(self):
        for command in ("evaluate", "report"):
            with self.subTest(command):
                self.refused(INPUT, command, self.folder, says=str(self.folder))
        self.assertEqual(self.files(self.folder), [])


if __name__ == "__main__":
    program.main()
