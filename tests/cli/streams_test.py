"""Figures on stdout, all else on stderr: --json prints JSON alone, --quiet silences stderr, pipes see no bar."""

import json
import os
import pty
import subprocess

import program


class Streams(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace()
        self.simulate(self.study(), self.folder / "done")

    def commands(self):
        """Every command that is quick, with --json where it has it."""
        trace, study = self.folder / "trace.h5", self.folder / "study.toml"
        return {
            "inspect": ["inspect", trace],
            "locality": ["locality", trace, "--segments", "4"],
            "synth": ["synth", "--force", "-o", self.folder / "new.h5", "--sequences", 8, "--tokens-per-sequence", 40],
            "simulate": ["simulate", study, "-o", self.folder / "out", "--resume"],
            "evaluate": ["evaluate", self.folder / "done"],
        }

    def test_json_is_all_there_is_on_stdout(self):
        for name, command in self.commands().items():
            with self.subTest(name):
                self.assertIsInstance(json.loads(self.done(*command, "--json").stdout), dict)

    def test_simulate_prints_the_summary_it_wrote(self):
        result = self.done("simulate", self.folder / "study.toml", "-o", self.folder / "out", "--json")
        self.assertEqual(result.stdout, (self.folder / "out/summary.json").read_text())

    def test_quiet_silences_stderr_before_and_after_the_command(self):
        for name, command in self.commands().items():
            with self.subTest(name):
                self.assertEqual(self.done("--quiet", *command).stderr, "")
                self.assertEqual(self.done(*command, "--quiet").stderr, "")

    def test_quiet_does_not_silence_errors(self):
        self.refused(program.INPUT, "--quiet", "inspect", self.folder / "none.h5")

    def answered(self, stdout):
        """At most five lines: the verdict first, the report and the next command last."""
        lines = stdout.splitlines()
        self.assertLessEqual(len(lines), 5)
        self.assertRegex(lines[0], r"\ASpeculation (pays|does not pay|cannot be told)")
        self.assertEqual(lines[-2], f"report: {self.folder / 'out/report.html'}")
        self.assertRegex(lines[-1], r"\Anext: moecarlo ")

    def test_a_pipe_gets_no_bar_and_stdout_no_progress(self):
        result = self.done("simulate", self.folder / "study.toml", "-o", self.folder / "out")
        self.answered(result.stdout)
        self.assertNotIn("\r", result.stderr)
        self.assertIn("design points", result.stderr)

    def test_a_terminal_gets_a_bar_on_stderr_only(self):
        study = self.study("long.toml", study={"trajectories": 10_000}, grid={"depth": [0, 3, 7], "batch": [1, 4]})
        try:
            terminal, end = pty.openpty()
        except OSError as error:  # a container without /dev/pts
            self.skipTest(f"no pseudo-terminal here: {error}")
        command = [program.MOECARLO, "simulate", study, "-o", self.folder / "out", "--threads", "1", "--backend", "cpu"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end) as job:
            os.close(end)
            shown = b""
            try:
                while part := os.read(terminal, 4096):
                    shown += part
            except OSError:  # Linux: the other end of the terminal is closed
                pass
            stdout = job.stdout.read()
        os.close(terminal)
        self.assertEqual(job.returncode, 0)
        self.assertIn(b"\rsimulating [", shown)
        self.answered(stdout.decode())

    def test_help_and_version_go_to_stdout(self):
        self.assertRegex(self.done("--version").stdout, r"\Amoecarlo \d+\.\d+\.\d+ .*\nbackends: cpu")
        for command in ("inspect", "locality", "synth", "simulate", "evaluate", "report", "bench"):
            with self.subTest(command):
                result = self.done(command, "--help")
                self.assertIn(f"moecarlo {command}", result.stdout.partition("Example")[2])
                self.assertEqual(result.stderr, "")


if __name__ == "__main__":
    program.main()
