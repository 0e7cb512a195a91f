"""The job scripts of scripts/slurm on a real Slurm of one node: what comes out is what one run gives, also of a job whose
time is up and which waits in line again. Needs root and Debian's slurmctld, slurmd, slurm-client and munge."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import program

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts/slurm"
CONFIGURATION = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={first_port}
SlurmdPort={second_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SwitchType=switch/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,requeue_delay=1
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=1024 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class OneNode:
    """A controller and a node's daemon, which end with it."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        ports = {"first_port": free_port(), "second_port": free_port()}
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], folder=self.folder, cores=os.cpu_count(), **ports))
        self.environment = {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}
        self.started_munge = not self.authenticates()
        if self.started_munge:
            Path("/run/munge").mkdir(exist_ok=True)
            shutil.chown("/run/munge", "munge", "munge")
            Path("/run/munge/munge.socket.2").unlink(missing_ok=True)  # of one that was killed
            self.call("runuser", "-u", "munge", "--", "munged", "--force")
        for daemon in ("slurmctld", "slurmd"):
            self.call(daemon, "-f", self.folder / "slurm.conf")
        for _ in range(60):
            if "idle" in self.call("sinfo", "-h", "-o", "%T"):
                return
            time.sleep(0.5)
        raise RuntimeError((self.folder / "slurmctld.log").read_text()[-2000:])

    def authenticates(self):
        return subprocess.run(["munge", "-n"], capture_output=True).returncode == 0

    def call(self, *command):
        done = subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr}")
        return done.stdout

    def stop(self):
        files = [self.folder / "slurmd.pid", self.folder / "slurmctld.pid"]
        if self.started_munge:
            files.append(Path("/run/munge/munged.pid"))
        for path in files:
            if path.exists():
                subprocess.run(["kill", path.read_text().strip()], check=False)
        time.sleep(1)


class Jobs(program.ProgramTest):
    @classmethod
    def setUpClass(cls):
        missing = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name)]
        if missing or os.geteuid() != 0:
            raise unittest.SkipTest(f"no Slurm of our own: {', '.join(missing) or 'not root'}")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        try:
            cls.slurm = OneNode(folder.name)
        except (RuntimeError, OSError, LookupError, subprocess.TimeoutExpired) as error:
            raise unittest.SkipTest(f"no Slurm of our own starts here: {error}") from None
        cls.addClassCleanup(cls.slurm.stop)

    def setUp(self):
        super().setUp()
        program.write_trace(self.folder / "trace.h5", *program.trace_parts())
        self.study = self.folder / "study.toml"

    def submit(self, script, *arguments, options=()):
        environment = "ALL,MOECARLO=" + str(program.MOECARLO) + ",MOECARLO_SRUN=--overcommit"
        return self.slurm.call("sbatch", "--parsable", "--overcommit", "--export", environment, "-o",
                               self.folder / "log-%j.txt", *options, SCRIPTS / script, *arguments).strip()

    def wait(self, job):
        for _ in range(600):
            states = self.slurm.call("scontrol", "-o", "show", "job", job)
            if all(f"JobState={state}" not in states
                   for state in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED", "SUSPENDED")):
                return states
            if "Restarts=1" in states and "JobState=PENDING" in states:  # which Slurm lets wait for two minutes
                self.slurm.call("sh", "-c", f"scontrol update JobId={job} StartTime=now || true")
            time.sleep(0.2)
        self.fail(f"job {job} does not end: {self.logs()}")

    def logs(self):
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("log-*.txt")))

    def expect_whole(self, output):
        self.simulate(self.study, self.folder / "whole")
        self.assertEqual((output / "tallies.h5").read_bytes(), (self.folder / "whole/tallies.h5").read_bytes())
        self.assertTrue((output / "report.html").is_file())

    def test_tasks_of_a_job_simulate_one_study(self):
        if "MPI available" not in self.done("--version").stdout:
            self.skipTest("a build without MPI")
        if "pmix" not in self.slurm.call("sh", "-c", "srun --mpi=list 2>&1"):
            self.skipTest("a Slurm without PMIx")
        self.study.write_text(program.study_text(study={"trajectories": 5001}))
        states = self.wait(self.submit("mpi.sbatch", self.study, self.folder / "out", options=("-n", "2")))
        self.assertIn("JobState=COMPLETED", states, self.logs())
        self.expect_whole(self.folder / "out")

    def test_an_array_and_its_merge_are_one_study(self):
        self.study.write_text(program.study_text(study={"trajectories": 5001}))
        array = self.submit("array.sbatch", self.study, self.folder / "out", options=("-a", "1-3"))
        merge = self.submit("merge.sbatch", self.folder / "out", options=("-d", f"afterok:{array}"))
        self.assertIn("JobState=COMPLETED", self.wait(merge), self.logs())
        self.expect_whole(self.folder / "out/merged")

    def test_a_job_that_is_told_to_stop_waits_in_line_and_goes_on(self):
        self.study.write_text(program.study_text(study={"trajectories": 60_000},
                                                 grid={"depth": [0, 3, 7], "batch": [1, 4]}))
        job = self.submit("array.sbatch", self.study, self.folder / "out", options=("-a", "0-1", "-n", "1"))
        deadline = time.monotonic() + 60
        while self.logs().count("design points in ") < 2 and time.monotonic() < deadline:  # both have begun
            time.sleep(0.1)
        self.slurm.call("scancel", "--signal=USR1", job)
        states = self.wait(job)
        self.assertEqual(states.count("JobState=COMPLETED"), 2, states + self.logs())
        self.assertIn("stopped by a signal after", self.logs())
        self.assertIn("Requeue=1 Restarts=1", states)
        self.slurm.call(program.MOECARLO, "merge", *(self.folder / f"out/shard-{i}-of-2" for i in range(2)), "-o",
                        self.folder / "merged")
        self.expect_whole(self.folder / "merged")


if __name__ == "__main__":
    program.main()
