"""What can go wrong around the program, made to go wrong at chosen instants (tests/faults): a disk that is full or cannot
be written, a folder that vanishes, a process that is killed, signals while files are written, clocks that jump, streams
that are closed. The exit status says which it was, in one line; what was there stays good, and the same command gives the
same bytes afterwards. MOECARLO_FAULTS says at how many instants of each command."""

import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

import program
from program import CROSS_CHECK, INTERRUPTED, MACHINE

sys.path.insert(0, str(CROSS_CHECK))
import bitslice  # noqa: E402

os.environ["MOECARLO_PNG"] = "1"  # files more that something can happen to
LIBRARY = os.environ.get("MOECARLO_FAULTS_LIBRARY", "")
INSTANTS = int(os.environ.get("MOECARLO_FAULTS", "2"))
COMMANDS = ("simulate", "merge", "report", "bitslice", "parallel")


def write_weights(path):
    with h5py.File(path, "w") as file:
        file.attrs.update(schema="moecarlo-weights", schema_version=1, model="small", source="random numbers")
        for projection, shape in {"gate": (16, 64), "up": (16, 64), "down": (64, 16)}.items():
            group = file.create_group(f"matrices/layers.0.experts.0.{projection}")
            group.attrs.update(layer=0, expert=0, projection=projection)
            weights, group["scale"], _ = bitslice.gaussian(*shape, 1, 0.02)
            group["int8"] = weights.astype("int8")


class Faults(program.ProgramTest):
    @classmethod
    def setUpClass(cls):
        if not LIBRARY:
            raise unittest.SkipTest("no library of faults was built")
        shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(shared.cleanup)
        cls.shared = Path(shared.name)
        program.write_trace(cls.shared / "trace.h5", *program.trace_parts(layers=2, experts=8))
        cls.study_file = cls.shared / "study.toml"
        cls.study_file.write_text(program.study_text(study={"trajectories": 64}, grid={"depth": [2], "capacity": [2]}))
        write_weights(cls.shared / "weights.h5")
        for part in ("0/2", "1/2"):
            program.run("simulate", cls.study_file, "-o", cls.shared / "parts", "--backend", "cpu", "--shard",
                        part).check_returncode()
        cls.whole = {}
        for name in COMMANDS:
            cls.whole[name] = cls.shared / f"whole-{name}"
            cls.make_ready(name, cls.whole[name])
            program.run(*cls.command(name, cls.whole[name])).check_returncode()

    @classmethod
    def make_ready(cls, name, output):
        """What has to be there before a command begins."""
        if name == "report":
            shutil.copytree(cls.whole["simulate"], output)
            for made in ("report.html", "points.csv", "figures"):
                shutil.rmtree(output / made) if (output / made).is_dir() else (output / made).unlink()

    @classmethod
    def command(cls, name, output, again=False):
        """`again`: after it was stopped."""
        how = {"merge": "--force", "bitslice": "--force", "report": None}.get(name, "--resume") if again else None
        return {
            "simulate": ["simulate", cls.study_file, "-o", output, "--backend", "cpu", "--threads", 1],
            "merge": ["merge", cls.shared / "parts/shard-0-of-2", cls.shared / "parts/shard-1-of-2", "-o", output],
            "report": ["report", output],
            "bitslice": ["bitslice", cls.shared / "weights.h5", "-o", output, "--backend", "cpu"],
            "parallel": ["parallel", cls.shared / "trace.h5", "--devices", 2, "--tokens", 8, "--batches", 64, "-o", output,
                         "--backend", "cpu"],
        }[name] + (["--quiet", how] if how else ["--quiet"])

    def run_under(self, environment, *arguments, **options):
        preloaded = f"{LIBRARY}:{os.environ.get('LD_PRELOAD', '')}".rstrip(":")
        variables = {**os.environ, "LD_PRELOAD": preloaded, "ASAN_OPTIONS": "verify_asan_link_order=0",
                     **{key: str(value) for key, value in environment.items()}}
        return program.run(*arguments, env=variables, **options)

    def count_changes(self, name):
        output, count = self.folder / "counted", self.folder / "count"
        self.make_ready(name, output)
        result = self.run_under({"FAULT_FOLDER": output, "FAULT_COUNT": count}, *self.command(name, output))
        self.assertEqual(result.returncode, 0, result.stderr)
        shutil.rmtree(output)
        return int(count.read_text())

    def instants(self, name):
        number = self.count_changes(name)
        self.assertGreater(number, 20)
        random.seed(name)
        chosen = random.sample(range(1, number), min(number - 1, INSTANTS))  # the last one removes what is not there
        return sorted({1, number - 1, *chosen}) if INSTANTS > 2 else sorted(chosen)

    def hit(self, name, fault, instant):
        """The command with a fault at an instant, and its folder."""
        output = self.folder / f"{name}-{fault}-{instant}"
        self.make_ready(name, output)
        environment = {"FAULT_FOLDER": output, "FAULT": fault, "FAULT_AT": instant}
        return self.run_under(environment, *self.command(name, output)), output

    def expect_one_line(self, result, status):
        self.assertEqual(result.returncode, status, result.stderr)
        self.assertRegex(result.stderr, r"\Amoecarlo: [^\n]+\n\Z")

    def expect_no_temporaries(self, output):
        self.assertEqual([name for name in self.files(output) if ".tmp" in name], [])

    def expect_whole(self, name, output):
        """Every byte is that of a run that nothing stopped, but for the time that it took."""
        self.assertEqual(self.files(output), self.files(self.whole[name]))
        for file in self.files(output):
            if file not in ("summary.json", "report.html", "report.md") or name not in ("simulate", "report"):
                self.assertEqual((output / file).read_bytes(), (self.whole[name] / file).read_bytes(), f"{name}: {file}")
        if name in ("simulate", "report"):
            self.assertEqual(program.summary(output)["points"], program.summary(self.whole[name])["points"])

    def expect_made_up_for(self, name, output):
        again = program.run(*self.command(name, output, again=True))
        self.assertEqual(again.returncode, 0, f"{name}: {again.stderr}")
        self.expect_whole(name, output)
        shutil.rmtree(output)

    def at_every_instant(self, fault, check, commands=COMMANDS):
        for name in commands:
            for instant in self.instants(name):
                with self.subTest(fault, command=name, instant=instant):
                    result, output = self.hit(name, fault, instant)
                    check(name, result, output)
                    self.expect_made_up_for(name, output)

    def test_a_full_disk_at_any_write_loses_nothing_and_leaves_nothing(self):
        def check(name, result, output):
            if result.returncode != 0:  # the last changes may need no space
                self.expect_one_line(result, MACHINE)
                self.assertIn("No space left on device", result.stderr)
            if output.exists():
                self.expect_no_temporaries(output)
        self.at_every_instant("full", check)

    def test_a_disk_that_cannot_be_written_any_more_is_the_machines_fault(self):
        def check(name, result, output):
            if result.returncode != 0:  # what cannot be removed any more may stay
                self.expect_one_line(result, MACHINE)
                self.assertIn("Read-only file system", result.stderr)
        self.at_every_instant("readonly", check)

    def test_a_folder_that_vanishes_is_the_machines_fault(self):
        def check(name, result, output):
            if result.returncode == 0:  # it was not there yet
                return self.expect_whole(name, output)
            self.expect_one_line(result, MACHINE)
            self.assertEqual(self.files(output) if output.exists() else [], [])
            if name == "report":
                shutil.rmtree(output, ignore_errors=True)
                self.make_ready(name, output)
        self.at_every_instant("vanish", check)

    def test_killed_at_any_instant_nothing_is_lost_and_nothing_left(self):
        def check(name, result, output):
            self.assertEqual(result.returncode, -signal.SIGKILL)
            for file in self.files(output) if output.exists() else ():
                if ".tmp-" not in file and file.endswith((".h5", ".csv", ".png", ".svg")):  # whole, or not there
                    self.assertEqual((output / file).read_bytes(), (self.whole[name] / file).read_bytes(), file)
        self.at_every_instant("kill", check)

    def test_a_signal_while_files_are_written_disturbs_none(self):
        def check(name, result, output):
            self.assertIn(result.returncode, (0, INTERRUPTED), result.stderr)
            if result.returncode == INTERRUPTED:
                self.expect_one_line(result, INTERRUPTED)
            self.expect_no_temporaries(output)
        self.at_every_instant("term", check, commands=("simulate", "parallel"))

    def test_the_merge_of_the_last_shard_is_made_up_for_where_it_was_killed(self):
        parts = self.folder / "parts"
        shutil.copytree(self.shared / "parts", parts)
        command = ["--quiet", "simulate", self.study_file, "-o", parts, "--backend", "cpu", "--shard", "1/2", "--merge",
                   "--resume"]
        killed = self.run_under({"FAULT_FOLDER": parts / "merged", "FAULT": "kill", "FAULT_AT": 60}, *command)
        self.assertEqual(killed.returncode, -signal.SIGKILL)
        self.assertTrue((parts / "merged/tallies.h5").exists())
        self.done(*command)
        self.expect_whole("merge", parts / "merged")

    def long_study(self):
        path = self.folder / "long.toml"
        path.write_text(program.study_text(study={"trace": str(self.shared / "trace.h5"), "trajectories": 20_000},
                                           grid={"depth": [0, 7], "batch": [4]}))
        return path

    def test_checkpoints_are_kept_while_signals_come_and_the_process_is_killed(self):
        study, output, whole = self.long_study(), self.folder / "out", self.folder / "whole"
        self.simulate(study, whole)
        command = ["--quiet", "simulate", study, "-o", output, "--backend", "cpu", "--threads", 1, "--resume"]
        fast = {"CLOCK_SPEED": 10_000, "FAULT_FOLDER": output}  # five minutes are 30 ms
        stopped = self.run_under({**fast, "FAULT": "term", "FAULT_AT": 12}, *command)
        self.expect_one_line(stopped, INTERRUPTED)
        self.expect_no_temporaries(output)
        self.assertIn("tallies.previous.h5", self.files(output))
        killed = self.run_under({**fast, "FAULT": "kill", "FAULT_AT": 15}, *command)
        self.assertEqual(killed.returncode, -signal.SIGKILL, killed.stderr)
        self.assertIn("tallies.previous.h5", self.files(output))
        damaged = (output / "tallies.h5").read_bytes()[:2000]
        (output / "tallies.h5").unlink()  # which may be the one before, by another name
        (output / "tallies.h5").write_bytes(damaged)
        self.done(*command)
        self.assertEqual((output / "tallies.h5").read_bytes(), (whole / "tallies.h5").read_bytes())
        self.assertEqual(self.files(output), self.files(whole))

    def test_a_wall_clock_that_goes_back_changes_nothing(self):
        for name in ("simulate", "parallel"):
            output = self.folder / name
            result = self.run_under({"CLOCK_BACK": 3600}, *self.command(name, output), "--time-limit", "10m")
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.expect_whole(name, output)

    def test_a_time_limit_that_ends_while_the_trace_is_read_stops_there(self):
        attributes, datasets = program.trace_parts(layers=1, experts=256, top_k=1, lengths=[2] * 10)
        del datasets["expert_ids"]
        tokens = 80_000
        datasets["sequence_offsets"] = np.linspace(0, tokens, 11).astype(np.int64)
        datasets["router_logits"] = np.zeros((tokens, 1, 256), np.float16)  # more than is read at a time
        program.write_trace(self.folder / "trace.h5", attributes, datasets)
        study = self.study()
        for command in (["simulate", study], ["parallel", self.folder / "trace.h5", "--devices", 2]):
            options = ["--quiet", "-o", self.folder / "out", "--time-limit", "0.000001"]
            self.refused(INTERRUPTED, *command, *options, says=["time limit while the trace was read", "--resume"])
            self.assertFalse((self.folder / "out").exists())

    def with_streams(self, how, *arguments):
        """Of a shell: what is said and the exit status."""
        command = " ".join(map(shlex.quote, map(str, (program.MOECARLO, *arguments))))
        done = subprocess.run(["bash", "-c", f"set -o pipefail; {command} {how}"], capture_output=True, text=True)
        return done

    def test_what_cannot_be_said_is_the_machines_fault_and_costs_no_result(self):
        for number, how in enumerate((">&-", "| true", "0<&- >&-", "> /dev/full")):
            with self.subTest(how):
                output = self.folder / f"out-{number}"
                command = [word for word in self.command("simulate", output) if word != "--quiet"]
                if how == "| true":
                    how = "| sleep 0"  # which is gone long before there is an answer
                done = self.with_streams(f"2>{self.folder}/said {how}", *command)
                said = (self.folder / "said").read_text().splitlines()
                self.assertEqual(done.returncode, MACHINE, said)
                self.assertTrue(said[-1].startswith("moecarlo: standard output: cannot write"), said)
                self.expect_whole("simulate", output)

    def test_notes_that_nobody_reads_end_no_run(self):
        for number, how in enumerate(("2>&-", "2> >(true)", "<&- >&- 2>&-", "2> /dev/full")):
            with self.subTest(how):
                output = self.folder / f"out-{number}"
                command = [word for word in self.command("simulate", output) if word != "--quiet"]
                done = self.with_streams(how, *command)
                self.assertEqual(done.returncode, MACHINE if ">&- 2" in how else 0)
                self.expect_whole("simulate", output)

    def test_a_small_disk_that_is_really_full(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
            self.skipTest("no file system of our own: not root, or a container")
        for kilobytes in (8, 64, 256):
            with self.subTest(kilobytes=kilobytes):
                place = self.folder / f"disk-{kilobytes}"
                place.mkdir()
                command = " ".join(map(shlex.quote, map(str, [program.MOECARLO, *self.command("simulate", place / "out")])))
                script = (f"mount -t tmpfs -o size={kilobytes}k none {place} && {command}; status=$?; "
                          f"find {place} -name '*.tmp-*'; exit $status")
                result = subprocess.run(["unshare", "-m", "bash", "-c", script], capture_output=True, text=True)
                self.expect_one_line(result, MACHINE)
                self.assertIn("No space left on device", result.stderr)
                self.assertEqual(result.stdout, "")


if __name__ == "__main__":
    program.main()
