"""A study in shards, simulated apart and merged, gives what one run gives."""

import os
import shutil
import subprocess

import program
from program import INPUT, INTERRUPTED, MACHINE, USAGE


class Shards(program.ProgramTest):
    def setUp(self):
        super().setUp()
        program.write_trace(self.folder / "trace.h5", *program.trace_parts())
        self.study = self.folder / "study.toml"
        self.parts = self.folder / "parts"
        self.write_study()

    def write_study(self, study=None, **others):
        grid = {"depth": [0, 3], "batch": [1, 4]}
        self.study.write_text(program.study_text(study={"trajectories": 5001, **(study or {})}, grid=grid, **others))

    def shard(self, text, *options, **environment):
        return program.run("simulate", self.study, "-o", self.parts, "--backend", "cpu", "--shard", text, *options,
                           env={**os.environ, **environment})

    def merge(self, *names, output="merged"):
        return program.run("merge", *(self.parts / name for name in names), "-o", self.folder / output)

    def expect_merged_equals_whole(self, names):
        self.simulate(self.study, self.folder / "whole")
        merged = self.merge(*names)
        self.assertEqual(merged.returncode, 0, merged.stderr)
        one, other = self.folder / "merged", self.folder / "whole"
        for name in ("tallies.h5", "points.csv"):
            self.assertEqual((one / name).read_bytes(), (other / name).read_bytes(), name)
        first, second = program.summary(one), program.summary(other)
        self.assertEqual(first["backend"], f"{len(names)} shards")
        for results in (first, second):
            del results["seconds"], results["backend"]
        self.assertEqual(first, second)
        self.assertEqual(self.files(one), self.files(other))

    def test_together_count_what_one_run_counts(self):
        for index in range(3):
            result = self.shard(f"{index}/3", "--threads", 1 + index % 2)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(f"shard-{index}-of-3", result.stdout)
            self.assertEqual(self.files(self.parts / f"shard-{index}-of-3"), ["tallies.h5"])
        self.expect_merged_equals_whole(["shard-2-of-3", "shard-0-of-3", "shard-1-of-3"])

    def test_may_be_more_than_trajectories(self):
        self.write_study(study={"trajectories": 3})  # replicates go with them, more than there are shards
        names = [f"shard-{index}-of-5" for index in range(5)]
        for index in range(5):
            self.assertEqual(self.shard(f"{index}/5").returncode, 0)
        self.expect_merged_equals_whole(names)

    def test_of_a_study_without_chance_are_parts_of_its_sequences(self):
        self.write_study(study={"mode": "exhaustive"})
        self.study.write_text(self.study.read_text().replace('"static", "lru"', '"static"').replace("[1, 4]", "[1]"))
        for index in range(2):
            result = self.shard(f"{index}/2")
            self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_merged_equals_whole(["shard-0-of-2", "shard-1-of-2"])

    def test_are_resumed_like_studies(self):
        stopped = self.shard("1/2", "--time-limit", "0.000001")
        self.assertEqual(stopped.returncode, INTERRUPTED)
        self.assertIn("after 0 of 2501 trajectories", stopped.stderr)
        early = self.merge("shard-1-of-2")
        self.assertEqual(early.returncode, INPUT)
        self.assertIn("shard 1/2 is not finished", early.stderr)
        for text in ("1/2", "0/2"):
            self.assertEqual(self.shard(text, "--resume").returncode, 0)
        again = self.shard("1/2", "--resume")
        self.assertIn("nothing to do", again.stdout)
        self.expect_merged_equals_whole(["shard-0-of-2", "shard-1-of-2"])

    def test_are_dealt_out_by_the_rank_that_a_launcher_gives(self):
        for rank in range(2):
            result = self.shard("rank", OMPI_COMM_WORLD_RANK=str(rank), OMPI_COMM_WORLD_SIZE="2")
            self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_merged_equals_whole(["shard-0-of-2", "shard-1-of-2"])

    def test_of_a_job_array_are_counted_from_its_first_id_on(self):
        for number in ("1", "2"):
            result = self.shard("array", SLURM_ARRAY_TASK_ID=number, SLURM_ARRAY_TASK_MIN="1", SLURM_ARRAY_TASK_COUNT="2")
            self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_merged_equals_whole(["shard-0-of-2", "shard-1-of-2"])

    def test_the_last_one_merges_all(self):
        for index in (2, 0):
            self.assertEqual(self.shard(f"{index}/3", "--merge").returncode, 0)
            self.assertFalse((self.parts / "merged").exists())
        last = self.shard("1/3", "--merge")
        self.assertEqual(last.returncode, 0, last.stderr)
        self.assertIn("merged/report.html", last.stdout)
        (self.parts / "merged").rename(self.folder / "merged")
        again = self.shard("1/3", "--merge", "--resume")
        self.assertIn("merged/report.html", again.stdout)
        self.simulate(self.study, self.folder / "whole")
        for folder in (self.folder / "merged", self.parts / "merged"):
            self.assertEqual((folder / "tallies.h5").read_bytes(), (self.folder / "whole/tallies.h5").read_bytes())
            self.assertEqual(self.files(folder), self.files(self.folder / "whole"))
        self.says_why(program.run("simulate", self.study, "-o", self.parts, "--merge", "--quiet"), USAGE, "--shard")

    def test_of_real_mpi_processes(self):
        if shutil.which("mpirun") is None:
            self.skipTest("no mpirun on this machine")
        allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                   "OMPI_MCA_rmaps_base_oversubscribe": "1"}

        def mpirun(*command):
            return subprocess.run(["mpirun", "-n", "3", *command], env={**os.environ, **allowed}, capture_output=True,
                                  text=True, timeout=120)

        if mpirun("true").returncode != 0:
            self.skipTest("mpirun starts nothing on this machine")
        result = mpirun(program.MOECARLO, "simulate", self.study, "-o", self.parts, "--backend", "cpu", "--threads", "1",
                        "--shard", "rank")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.expect_merged_equals_whole([f"shard-{index}-of-3" for index in range(3)])

    def says_why(self, result, status, *texts):
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)
        for text in texts:
            self.assertIn(text, result.stderr)

    def test_that_are_none_are_refused(self):
        for text in ("2/2", "x", "1", "-1/2"):
            self.says_why(self.shard(text, "--quiet"), USAGE, "--shard", "expected i/n", text)
        self.says_why(self.shard("rank", "--quiet", PMI_RANK="0", PMI_SIZE="1"), USAGE, "--shard", "one process")
        silent = {name: "" for name in ("OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")}
        self.says_why(self.shard("rank", "--quiet", **silent), USAGE, "--shard", "expected Slurm or MPI")
        self.says_why(self.shard("array", "--quiet"), USAGE, "--shard", "needs a job array")
        self.says_why(self.shard("0/2", "--json"), USAGE, "--json", "--shard")
        (self.folder / "trace.h5").unlink()
        self.says_why(self.shard("0/2", "--quiet"), INPUT, "trace.h5")
        self.assertFalse(self.parts.exists())

    def test_have_no_stop_rule(self):
        self.write_study(stop={"relative_half_width": 0.01})
        self.says_why(self.shard("0/2", "--quiet"), USAGE, "--shard", "[stop]")

    def test_that_do_not_make_a_study_are_refused(self):
        for text in ("0/3", "1/3", "0/2"):
            self.assertEqual(self.shard(text).returncode, 0)
        self.says_why(self.merge("shard-0-of-3", "shard-1-of-3"), INPUT, "expected all 3", "1 to go: 2/3")
        self.says_why(self.merge("shard-0-of-3", "shard-0-of-3"), INPUT, "shard 0/3 is there already")
        self.says_why(self.merge("shard-0-of-3", "shard-0-of-2"), INPUT, "shard 0/2", "expected one of 3")
        self.says_why(self.merge("shard-0-of-3", "nowhere"), INPUT, "nowhere")
        self.says_why(program.run("evaluate", self.parts / "shard-0-of-3"), INPUT, "shard 0/3", "merge")
        self.says_why(program.run("report", self.parts / "shard-0-of-3"), INPUT, "shard 0/3", "merge")
        self.assertFalse((self.folder / "merged").exists())

    def test_of_another_study_are_refused(self):
        self.assertEqual(self.shard("0/2").returncode, 0)
        self.write_study(study={"seed": 9})
        self.assertEqual(self.shard("1/2").returncode, 0)
        self.says_why(self.merge("shard-0-of-2", "shard-1-of-2"), INPUT, "shard-1-of-2: a shard of another study")
        resumed = self.shard("0/2", "--resume", "--quiet")
        self.says_why(resumed, USAGE, "the tallies of another study")

    def test_are_not_taken_for_each_other(self):
        self.assertEqual(self.shard("0/2").returncode, 0)
        (self.parts / "shard-0-of-2").rename(self.parts / "shard-1-of-2")
        self.says_why(self.shard("1/2", "--resume", "--quiet"), USAGE, "holds shard 0/2", "expected 1/2")

    def test_that_cannot_be_reported_leave_nothing(self):
        for text in ("0/2", "1/2"):
            self.assertEqual(self.shard(text).returncode, 0)
        (self.folder / "merged/points.csv").mkdir(parents=True)
        self.says_why(self.merge("shard-0-of-2", "shard-1-of-2"), MACHINE, "points.csv")
        self.assertFalse((self.folder / "merged/tallies.h5").exists())
        (self.folder / "merged/points.csv").rmdir()
        self.assertEqual(self.merge("shard-0-of-2", "shard-1-of-2").returncode, 0)

    def test_are_not_merged_over_results(self):
        self.simulate(self.study, self.folder / "whole")
        self.says_why(self.merge("shard-0-of-2", output="whole"), USAGE, "holds tallies already")
        self.assertEqual(self.shard("0/2").returncode, 0)
        self.says_why(self.merge("../whole"), INPUT, "no shard")


if __name__ == "__main__":
    program.main()
