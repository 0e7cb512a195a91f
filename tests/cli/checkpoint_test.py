"""A run that a signal or the time limit stops leaves a checkpoint; resumed, it gives what one run would have given."""

import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import h5py

import program
from program import INPUT, INTERRUPTED, USAGE


class Checkpoint(program.ProgramTest):
    @classmethod
    def setUpClass(cls):
        """The study that every test stops somewhere, and what it gives when nothing stops it."""
        shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(shared.cleanup)
        folder = Path(shared.name)
        program.write_trace(folder / "trace.h5", *program.trace_parts())
        cls.long, cls.whole = folder / "long.toml", folder / "whole"
        # Some seconds on one thread: long enough to be stopped in the middle.
        grid = {"depth": [0, 3, 7], "batch": [1, 4]}
        cls.long.write_text(program.study_text(study={"trajectories": 20_000}, grid=grid))
        program.run("simulate", cls.long, "-o", cls.whole, "--backend", "cpu").check_returncode()

    def setUp(self):
        super().setUp()
        self.parts = self.folder / "parts"

    def simulate_part(self, *options):
        return program.run("simulate", self.long, "-o", self.parts, "--backend", "cpu", "--threads", 1, *options)

    def counted(self):
        with h5py.File(self.parts / "tallies.h5", "r") as tallies:
            self.assertFalse(tallies.attrs["finished"])
            return int(tallies.attrs["trajectories"])

    def resume_and_compare(self):
        self.simulate(self.long, self.parts, "--resume")
        self.assertEqual((self.parts / "tallies.h5").read_bytes(), (self.whole / "tallies.h5").read_bytes())
        first, second = program.summary(self.parts), program.summary(self.whole)
        for results in (first, second):
            del results["seconds"]
        self.assertEqual(first, second)

    def test_the_time_limit_stops_before_the_first_trajectory(self):
        result = self.simulate_part("--time-limit", "0.000001")
        self.assertEqual(result.returncode, INTERRUPTED, result.stderr)
        self.assertEqual(result.stdout, "")
        self.assertIn("stopped by the time limit after 0 of 20000 trajectories", result.stderr)
        self.assertEqual(self.files(self.parts), ["tallies.h5"])
        self.assertEqual(self.counted(), 0)
        self.resume_and_compare()

    def test_any_number_of_stops_on_the_way_changes_nothing(self):
        counts, limit = [], 0.3
        result = self.simulate_part("--time-limit", limit)
        while result.returncode == INTERRUPTED and len(counts) < 100:
            counts.append(self.counted())
            limit *= 1.1  # a busy machine has an end as well
            result = self.simulate_part("--time-limit", limit, "--resume")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertGreater(len(counts), 0, "the study is too short to be stopped")
        self.assertEqual(counts, sorted(counts))
        self.resume_and_compare()

    def test_a_damaged_checkpoint_gives_way_to_the_one_before(self):
        stopped = self.simulate_part("--time-limit", "0.1")
        while stopped.returncode == INTERRUPTED and not (self.parts / "tallies.previous.h5").exists():
            stopped = self.simulate_part("--resume", "--time-limit", "0.1")
        self.assertEqual(self.files(self.parts), ["tallies.h5", "tallies.previous.h5"])
        newest = self.parts / "tallies.h5"
        newest.write_bytes(newest.read_bytes()[:1000])
        resumed = self.simulate_part("--resume")
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertIn("going on from the checkpoint before", resumed.stderr)
        self.assertNotIn("tallies.previous.h5", self.files(self.parts))
        self.assertEqual(newest.read_bytes(), (self.whole / "tallies.h5").read_bytes())

    def test_a_second_process_in_the_folder_is_refused(self):
        command = [program.MOECARLO, "--quiet", "simulate", str(self.long), "-o", str(self.parts), "--backend", "cpu"]
        with subprocess.Popen(command) as first:
            for _ in range(200):
                if self.parts.exists():
                    break
                time.sleep(0.05)
            time.sleep(0.1)
            second = self.simulate_part("--resume")
            self.assertEqual(second.returncode, USAGE, second.stderr)
            self.assertIn("another process writes its results there", second.stderr)
            self.assertEqual(first.wait(timeout=120), 0)
        self.assertEqual((self.parts / "tallies.h5").read_bytes(), (self.whole / "tallies.h5").read_bytes())

    def test_killed_anywhere_nothing_is_lost_and_nothing_left(self):
        random.seed(1)
        for _ in range(int(os.environ.get("MOECARLO_KILLS", "8"))):
            command = [program.MOECARLO, "--quiet", "simulate", str(self.long), "-o", str(self.parts), "--resume",
                       "--backend", "cpu", "--threads", "1", "--time-limit", "0.7"]
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
                time.sleep(random.uniform(0.02, 1.0))
                process.kill()
        self.resume_and_compare()
        self.assertEqual(self.files(self.parts), self.files(self.whole))

    def test_a_signal_stops_with_a_checkpoint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                self.parts = self.folder / number.name
                self.stop(number)
                self.assertEqual(self.files(self.parts), ["tallies.h5"])
                self.assertLess(self.counted(), 20_000)
                self.resume_and_compare()

    def stop(self, number):
        command = [program.MOECARLO, "simulate", self.long, "-o", self.parts, "--backend", "cpu", "--threads", "1"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
            self.assertIn("design points", job.stderr.readline())  # the last thing said before the simulation
            time.sleep(0.3)
            job.send_signal(number)
            stdout, stderr = job.communicate(timeout=60)
        self.assertEqual(job.returncode, INTERRUPTED, stderr)
        self.assertEqual(stdout, "")
        self.assertIn("stopped by a signal", stderr)

    def test_results_of_a_checkpoint_are_refused(self):
        self.simulate_part("--time-limit", "0.000001")
        self.refused(INPUT, "evaluate", self.parts, says=["not finished", "--resume"])
        self.refused(USAGE, "simulate", self.long, "-o", self.parts, says="--resume")


class Resume(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace()
        self.output = self.folder / "out"

    def state(self):
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in self.output.rglob("*") if path.is_file()}

    def test_a_finished_study_is_left_alone(self):
        study = self.study()
        self.simulate(study, self.output)
        before = self.state()
        resumed = self.done("simulate", study, "-o", self.output, "--backend", "cpu", "--resume")
        self.assertIn("nothing to do", resumed.stdout)
        self.assertEqual(self.state(), before)

    def test_a_missing_or_empty_folder_starts_anew(self):
        self.simulate(self.study(), self.output, "--resume")
        empty = self.folder / "empty"
        empty.mkdir()
        self.simulate(self.study(), empty, "--resume")
        self.assertEqual(self.state().keys() and program.integers(empty).keys(), program.integers(self.output).keys())

    def test_an_empty_folder_needs_no_resume(self):
        self.output.mkdir()
        self.simulate(self.study(), self.output)

    def test_another_study_or_trace_is_refused(self):
        self.simulate(self.study(), self.output)
        before = self.state()
        other = self.study("other.toml", acceptance={"alpha": 0.7})
        options = ["-o", self.output, "--resume", "--quiet"]
        self.refused(USAGE, "simulate", other, *options, says="another study")
        self.refused(USAGE, "simulate", self.study(), *options, "--seed", 2, says="another study")
        self.trace(lengths=[20, 30, 25, 18, 40, 9, 22, 35, 16, 28])
        self.refused(USAGE, "simulate", self.study(), *options, says="equal study and trace")
        self.assertEqual(self.state(), before)

    def test_a_report_that_was_never_written_is_made_up_for(self):
        self.simulate(self.study(), self.output)
        before = program.summary(self.output)
        for name in self.files(self.output):
            if name != "tallies.h5":
                os.remove(self.output / name)
        self.simulate(self.study(), self.output, "--resume")
        self.assertEqual(program.summary(self.output)["points"], before["points"])
        self.assertTrue((self.output / "report.html").is_file())

    def test_damaged_tallies_are_refused_as_input(self):
        self.simulate(self.study(), self.output)
        (self.output / "tallies.h5").write_bytes(b"not HDF5")
        self.refused(INPUT, "--quiet", "simulate", self.study(), "-o", self.output, "--resume", says="tallies.h5")
        self.refused(INPUT, "evaluate", self.output, says="tallies.h5")


if __name__ == "__main__":
    program.main()
