"""One study on the processes of an MPI job: the same bytes as on one, whatever their number, and nothing lost when one of
them is. With real processes, started by mpirun."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import numpy as np

import program
from program import INPUT, INTERRUPTED, MACHINE, USAGE

ALLOWED = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}


def mpirun(ranks, *command):
    return ["mpirun", "-n", str(ranks), *map(str, command)]


def has_mpi():
    if shutil.which("mpirun") is None:
        return "no mpirun on this machine"
    found = subprocess.run(mpirun(2, program.MOECARLO, "simulate", "/absent.toml", "-o", "/absent"), capture_output=True,
                           text=True, env={**os.environ, **ALLOWED}, timeout=120)
    if "a build with MPI" in found.stderr:
        return "a build without MPI"
    return "" if "/absent.toml" in found.stderr else f"mpirun starts nothing on this machine: {found.stderr}"


class OneStudy(program.ProgramTest):
    @classmethod
    def setUpClass(cls):
        why_not = has_mpi()
        if why_not:
            raise unittest.SkipTest(why_not)
        shared = tempfile.TemporaryDirectory()
        cls.addClassCleanup(shared.cleanup)
        cls.shared = Path(shared.name)
        program.write_trace(cls.shared / "trace.h5", *program.trace_parts())
        cls.short = cls.shared / "short.toml"
        cls.short.write_text(program.study_text(study={"trajectories": 5001}, grid={"depth": [0, 3], "batch": [1, 4]}))
        cls.long = cls.shared / "long.toml"
        cls.long.write_text(program.study_text(study={"trajectories": 30_000},
                                               grid={"depth": [0, 3, 7], "batch": [1, 4]}))

    def start(self, ranks, study, output, *options, threads=1):
        command = mpirun(ranks, program.MOECARLO, "--quiet", "simulate", study, "-o", output, "--backend", "cpu",
                         "--threads", threads, *options)
        process = subprocess.Popen(command, env={**os.environ, **ALLOWED}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, start_new_session=True)
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        """Nothing of a job that a test has given up stays behind."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def run_ranks(self, ranks, study, output, *options, threads=1):
        process = self.start(ranks, study, output, *options, threads=threads)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def whole(self, study):
        output = self.shared / f"whole-{study.stem}"
        if not output.exists():
            self.simulate(study, output)
        return output

    def expect_same(self, study, output):
        whole = self.whole(study)
        for name in ("tallies.h5", "points.csv"):
            self.assertEqual((output / name).read_bytes(), (whole / name).read_bytes(), name)
        self.assertEqual(self.files(output), self.files(whole))

    def test_any_number_of_processes_and_threads_gives_the_same_bytes(self):
        every = [(ranks, threads) for ranks in (1, 2, 3, 4, 7) for threads in (1, 2)]
        for ranks, threads in every if "MOECARLO_ALL_RANKS" in os.environ else [(1, 2), (2, 1), (3, 2), (4, 1), (7, 1)]:
            with self.subTest(ranks=ranks, threads=threads):
                output = self.folder / f"{ranks}-{threads}"
                status, out, err = self.run_ranks(ranks, self.short, output, threads=threads)
                self.assertEqual((status, out, err), (0, "", ""))
                self.expect_same(self.short, output)

    def test_the_stop_rule_decides_as_on_one_process(self):
        study = self.shared / "stop.toml"
        study.write_text(program.study_text(study={"trajectories": 200_000}, grid={"depth": [3], "batch": [2]},
                                            stop={"relative_half_width": 0.004}))
        every = [(ranks, threads) for ranks in (1, 2, 3, 4, 7) for threads in (1, 2)]
        for ranks, threads in every if "MOECARLO_ALL_RANKS" in os.environ else [(3, 1)]:
            output = self.folder / f"{ranks}-{threads}"
            status, _, err = self.run_ranks(ranks, study, output, threads=threads)
            self.assertEqual(status, 0, err)
            self.expect_same(study, output)
            self.assertLess(program.summary(output)["trajectories"], 200_000)

    def test_every_source_of_a_trace_reaches_every_process(self):
        program.write_trace(self.folder / "trace.h5", *program.trace_parts(form="router_logits"))
        tables = {"perturbed": {"study": {"mode": "perturbed", "trajectories": 600}},
                  "slices": {"study": {"trajectories": 600}, "cache": {"objects": "slices"},
                             "grid": {"bits": [4], "capacity": [4], "policy": ["lru"]}},
                  "demand": {"study": {"trajectories": 600}, "demand": {"rule": "threshold", "theta": 0.1}},
                  "replay": {"study": {"mode": "replay"}, "acceptance": {"alpha": 1.0}, "grid": {"batch": [1]}}}
        for name, study in tables.items():
            with self.subTest(name):
                path = self.folder / f"{name}.toml"
                path.write_text(program.study_text(**study))
                self.simulate(path, self.folder / f"{name}-one")
                status, _, err = self.run_ranks(2, path, self.folder / f"{name}-two")
                self.assertEqual(status, 0, err)
                one, two = (self.folder / f"{name}-{many}" / "tallies.h5" for many in ("one", "two"))
                self.assertEqual(one.read_bytes(), two.read_bytes())

    def wait_for_work(self, output):
        """Until the simulation has begun: its processes have computed for a tenth of a second."""
        for _ in range(2000):
            time.sleep(0.02)
            found = subprocess.run(["pgrep", "-f", f"simulate.* -o {output} "], capture_output=True, text=True)
            ranks = {}
            for pid in map(int, found.stdout.split()):
                try:
                    if Path(f"/proc/{pid}/exe").resolve().name != Path(program.MOECARLO).name:
                        continue
                    variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                    ticks = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[11])
                except (OSError, IndexError):
                    continue
                rank = [int(v.split(b"=")[1]) for v in variables if v.startswith(b"OMPI_COMM_WORLD_RANK=")]
                if rank and ticks > 10:
                    ranks[rank[0]] = pid
            if 0 in ranks and 1 in ranks:
                return ranks
        self.fail("the simulation does not begin")

    def test_a_signal_leaves_a_checkpoint_that_any_number_of_processes_goes_on_from(self):
        output = self.folder / "out"
        process = self.start(3, self.long, output)
        os.kill(self.wait_for_work(output)[0], signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, INTERRUPTED, err)
        self.assertIn("stopped by a signal after", err)
        self.assertEqual(self.files(output), ["tallies.h5"])
        status, _, err = self.run_ranks(2, self.long, output, "--resume")
        self.assertEqual(status, 0, err)
        self.expect_same(self.long, output)

    def test_a_process_that_dies_costs_no_trajectory_that_was_counted(self):
        output = self.folder / "out"
        process = self.start(3, self.long, output)
        os.kill(self.wait_for_work(output)[1], signal.SIGKILL)
        _, err = process.communicate(timeout=120)
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual([name for name in self.files(output) if name != "tallies.h5"], [], err)
        self.simulate(self.long, output, "--resume")
        self.expect_same(self.long, output)

    def test_a_process_that_hangs_is_named(self):
        output = self.folder / "out"
        process = self.start(3, self.long, output, "--rank-timeout", 5)
        os.kill(self.wait_for_work(output)[1], signal.SIGSTOP)
        _, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, MACHINE, err)
        self.assertRegex(err, r"moecarlo: (process 1 of 3: silent|MPI: .* does not end) \(expected .*within 5 s")
        self.assertEqual([name for name in self.files(output) if name != "tallies.h5"], [], err)
        self.simulate(self.long, output, "--resume")
        self.expect_same(self.long, output)

    def test_counters_of_all_are_added_up_whoever_shares_memory(self):
        program_of_sums = os.environ.get("MOECARLO_ADD_UP")
        if not program_of_sums:
            self.skipTest("no program that adds up was built")
        for ranks, sharing, variables in ((4, 0, {}), (3, 2, {}), (2, 0, {"OMPI_MCA_osc": "pt2pt"})):
            with self.subTest(ranks=ranks, sharing=sharing, **variables):
                done = subprocess.run(mpirun(ranks, program_of_sums, 100_003, 2, sharing), capture_output=True, text=True,
                                      env={**os.environ, **ALLOWED, **variables}, timeout=120)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(json.loads(done.stdout)["wrong"], 0)

    def test_without_shared_memory_counters_are_sent(self):
        program_of_sums = os.environ.get("MOECARLO_ADD_UP")
        alone = ["unshare", "-m", "bash", "-c", 'mount -t tmpfs -o size=24m none /dev/shm && "$@"', "bash"]
        if not program_of_sums or subprocess.run([*alone, "true"], capture_output=True).returncode != 0:
            self.skipTest("no /dev/shm of our own")
        done = subprocess.run([*alone, *mpirun(2, program_of_sums, 2_000_000)], capture_output=True, text=True,
                              env={**os.environ, **ALLOWED}, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(json.loads(done.stdout)["wrong"], 0)

    def test_batches_of_parallel_are_drawn_by_all_processes(self):
        prompts = self.shared / "prompts.h5"
        attributes, datasets = program.trace_parts()
        datasets["phase"] = (np.arange(len(datasets["expert_ids"])) % 9 == 8).astype(np.uint8)
        program.write_trace(prompts, attributes, datasets)
        stop = self.shared / "stop-batches.toml"
        stop.write_text(program.study_text(study={"calibration": "all"}, grid={"depth": [1]},
                                           stop={"relative_half_width": 0.05}))
        asked = {
            "popular": [self.shared / "trace.h5", "--devices", "2,4", "--tokens", 12, "--placement", "popularity"],
            "balanced": [self.shared / "trace.h5", "--devices", 4, "--tokens", 12, "--balancer", "llep", "--min-chunk", 1],
            "moving": [self.shared / "trace.h5", "--devices", 4, "--tokens", 8, "--balancer", "eplb", "--slots", 20,
                       "--every", 2, "--window", 3, "--batches", 300],
            "prompts": [prompts, "--devices", 2, "--tokens", 8, "--phase", "prefill", "--chunk", 4, "--batches", 200],
            "stop": [self.shared / "trace.h5", "--devices", 4, "--tokens", 8, "--study", stop],
        }
        for ranks, (name, arguments) in zip((2, 3, 2, 4, 3), asked.items()):
            with self.subTest(name, ranks=ranks):
                one, many = self.folder / f"{name}-1", self.folder / f"{name}-{ranks}"
                common = ["--quiet", "parallel", *arguments, "--backend", "cpu", "--threads", 1, "--json"]
                alone = self.done(*common, "-o", one)
                command = mpirun(ranks, program.MOECARLO, *common, "-o", many)
                done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ALLOWED}, timeout=120)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertEqual(done.stdout, alone.stdout)
                self.assertEqual((many / "batches.h5").read_bytes(), (one / "batches.h5").read_bytes())
                self.assertEqual(self.files(many), self.files(one))
        resumed = subprocess.run([*command, "--resume"], capture_output=True, text=True, env={**os.environ, **ALLOWED})
        self.assertEqual((resumed.returncode, resumed.stdout), (0, alone.stdout), resumed.stderr)

    def test_what_is_refused_is_refused_once(self):
        absent = self.folder / "absent.toml"
        absent.write_text(program.study_text(study={"trace": "absent.h5"}))
        status, out, err = self.run_ranks(3, absent, self.folder / "out")
        self.assertEqual((status, out), (INPUT, ""))
        self.assertEqual(err.count("moecarlo: "), 1, err)
        self.assertFalse((self.folder / "out").exists())
        bad = self.folder / "bad.toml"
        bad.write_text(program.study_text(grid={"capacity": [99]}))
        program.write_trace(self.folder / "trace.h5", *program.trace_parts())
        status, _, err = self.run_ranks(2, bad, self.folder / "out")
        self.assertEqual(status, USAGE)
        self.assertEqual(err.count("moecarlo: "), 1, err)

    def test_processes_that_know_nothing_of_each_other_are_refused_with_two_ways_out(self):
        environment = {**os.environ, "MV2_COMM_WORLD_RANK": "0", "MV2_COMM_WORLD_SIZE": "3"}
        result = program.run("simulate", self.short, "-o", self.folder / "out", env=environment)
        self.assertEqual(result.returncode, USAGE, result.stderr)
        self.assertIn("3 processes of one job know nothing of each other", result.stderr)
        self.assertIn("mpirun or srun --mpi=pmix, or --shard rank", result.stderr)
        environment = {**os.environ, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "2"}  # srun without PMIx
        result = program.run("simulate", self.short, "-o", self.folder / "out", env=environment)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (USAGE, 1), result.stderr)
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    program.main()
