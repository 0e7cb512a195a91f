"""The documentation works: commands of every page run, in order, on small files of the names that it uses; reference pages
are what the program says of itself, and name all that is in its files; links lead somewhere."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import unittest

import h5py
import numpy as np

import program

ROOT = program.CROSS_CHECK.parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])
# Commands of pages of which another test runs the like: the start of the line, and where.
ELSEWHERE = {
    "srun ": "cli.shards",
    "mpirun ": "cli.mpi",
    "scripts/capture/import_trace.py": "capture.import_formats",
    "moecarlo systems ./my-machine.toml": "cli.systems",
    "moecarlo evaluate results --hardware ./my-machine.toml": "cli.systems",
    "moecarlo evaluate results --set ext.bandwidth=204.8GB/s": "cli.systems",
    "moecarlo calibrate measured.csv": "cli.calibrate",
    "moecarlo compare results": "cli.compare",
    "moecarlo size ": "cli.size",
    "moecarlo inspect trace.h5": "capture.import_formats",
    "moecarlo synth -o synthetic.h5 --layers 2 --experts 4 --top-k 2 --zipf 0.6": "capture.import_counts",
    "pip install .": "scripts/wheel-check",
    "scripts/demo": "the demo itself; cli.demo runs its study",
    "scripts/test": "itself",
}


def commands(page, language="sh"):
    """The lines of the page's blocks, joined where they end in a backslash, without comments."""
    for block in re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.split("   # ")[0].strip()
            if line and not line.startswith("#"):
                yield line


class Documentation(program.ProgramTest):
    def setUp(self):
        super().setUp()
        names = {}
        exec(re.search(r"```python\n(import h5py.*?)```", (DOCS / "tutorial.md").read_text(), re.S)[1], names)
        ids = program.trace_parts(layers=6, experts=32, top_k=4)[1]["expert_ids"]
        names["write_trace"](self.folder / "my.h5", np.split(ids, np.cumsum(program.LENGTHS)[:-1]), 32)
        shutil.copy(ROOT / "datasets/reference-weights.h5", self.folder / "weights.h5")
        (self.folder / "bin").mkdir()
        (self.folder / "bin/moecarlo").symlink_to(program.MOECARLO)

    def run_line(self, line):
        environment = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        line = re.sub(r"(moecarlo simulate \S+ .*)", r"\1 --trajectories 256", line)
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True, text=True, env=environment)
        self.assertEqual(done.returncode, 0, f"{line}: {done.stderr}")
        return done.stdout

    def run_page(self, page, language="sh"):
        ran = 0
        for line in commands(page, language):
            if not line.startswith(tuple(ELSEWHERE)):
                self.run_line(line)
                ran += 1
        return ran

    def test_the_commands_of_how_to(self):
        (self.folder / "study.toml").write_text(program.toml(
            study={"trace": "my.h5", "trajectories": 256}, grid={"depth": [0, 2], "capacity": [8]},
            acceptance={"alpha": 0.7}))
        self.assertGreaterEqual(self.run_page(DOCS / "how-to.md"), 5)

    def test_the_commands_of_experts_over_devices(self):
        self.assertEqual(self.run_page(DOCS / "parallel.md"), 16)

    def test_the_demands_of_how_to(self):
        block = re.search(r"```toml\n(\[study\]\nhistograms.*?)```", (DOCS / "how-to.md").read_text(), re.S)[1]
        self.trace(form="router_logits")
        (self.folder / "asking.toml").write_text(
            block.replace("[study]", '[study]\ntrace = "trace.h5"\ntrajectories = 256') +
            program.toml(grid={"depth": [2], "capacity": [4]}, acceptance={"alpha": 0.7}))
        self.run_line("moecarlo simulate asking.toml -o asked")
        points = program.summary(self.folder / "asked")["points"]
        self.assertEqual([point["demand"] for point in points], ["all", "threshold(0.05)", "threshold(0.1)"])
        self.assertIn("gate_products", points[0]["histograms"])
        for metric in ("dropped_small_gate", "dropped_rejected", "redundant_rejected"):
            self.assertIn(metric, points[1]["metrics"])

    def test_the_commands_of_readme_and_its_study(self):
        self.assertGreaterEqual(self.run_page(ROOT / "README.md", ""), 2)
        study = re.search(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)[1]
        (self.folder / "mine.toml").write_text(study.replace("20_000", "256"))
        self.run_line("moecarlo simulate mine.toml -o mine")
        self.assertTrue(program.summary(self.folder / "mine")["hardware"])

    def test_the_tutorial_from_a_model_to_an_answer(self):
        """Every command in its order; the table [hardware] is added where the page says so."""
        page = DOCS / "tutorial.md"
        hardware = re.search(r"```toml\n(\[hardware\].*?)```", page.read_text(), re.S)[1]
        ran = 0
        for line in commands(page):
            if line.startswith("moecarlo model"):
                with open(self.folder / "study.toml", "a") as study:
                    study.write(hardware)
            said = self.run_line(line)
            if line.startswith("moecarlo simulate"):
                self.assertRegex(said.splitlines()[0], "^Speculation ")
                self.assertRegex(said.splitlines()[-1], "^next: moecarlo ")
            ran += 1
        self.assertGreaterEqual(ran, 9)
        self.assertTrue(program.summary(self.folder / "timed")["hardware"])

    def test_every_command_of_every_page_is_run_by_a_test(self):
        here = {"tutorial.md", "how-to.md", "parallel.md"}
        for page in PAGES:
            if page.name in here or "reference" in page.parts:
                continue
            for line in commands(page):
                self.assertTrue(line.startswith(tuple(ELSEWHERE)), f"{page.name}: no test runs: {line}")

    def test_every_example_of_the_help_is_a_command_of_the_program(self):
        told = json.loads(self.done("describe").stdout)
        known = {command["name"]: {name for option in command["options"] for name in option["names"]}
                 for command in told["commands"]}
        shared = {name for option in told["options"] for name in option["names"]}
        for command in told["commands"]:
            self.assertTrue(command["example"], command["name"])
            for line in re.findall(r"moecarlo [^|&;>()]+", command["example"]):
                words = line.split()
                self.assertIn(words[1], known, line)
                for option in re.findall(r" (--[a-z-]+)", line):
                    self.assertIn(option, known[words[1]] | shared, line)

    def test_reference_pages_are_current(self):
        done = subprocess.run([sys.executable, ROOT / "scripts/docs/reference.py", program.MOECARLO, "--check"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_transcript_is_what_a_terminal_shows(self):
        done = subprocess.run([sys.executable, ROOT / "scripts/docs/transcript.py", program.MOECARLO, "--check"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_page_on_files_names_all_that_is_in_them(self):
        study = self.study(grid={"depth": [0, 2], "capacity": [4]})
        self.trace(layers=24, experts=32, top_k=4)
        study = self.study(grid={"depth": [0, 2], "capacity": [4]},
                           hardware={"model": "gpt-oss-20b", "systems": ["elmoe3d-8gb"]})
        self.simulate(study, self.folder / "out")
        page = (DOCS / "reference/files.md").read_text()
        named = set(re.findall(r"`([^`]+)`", page))
        names = set()
        with h5py.File(self.folder / "out/tallies.h5") as tallies:
            names |= set(tallies.attrs) | set(tallies["cell_0001"].attrs) | set(tallies["cell_0001"])
        summary = program.summary(self.folder / "out")
        names |= set(summary) | set(summary["points"][0])
        for name in ("points.csv", "hardware.csv", "sensitivity.csv"):
            with open(self.folder / "out" / name, newline="") as file:
                names |= set(next(csv.reader(file)))
        self.assertEqual(names - named, set())

    def test_links_lead_somewhere(self):
        for page in PAGES:
            text = page.read_text()
            for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", text):
                if target and "://" not in target:
                    self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")


class Shell(program.ProgramTest):
    def test_the_man_page_is_one(self):
        page = self.done("man").stdout
        self.assertTrue(page.startswith(".TH MOECARLO 1"))
        for name in ("simulate", "evaluate", "completion"):
            self.assertIn(f".SS {name}\n", page)
        if shutil.which("man"):
            (self.folder / "moecarlo.1").write_text(page)
            done = subprocess.run(["man", "--warnings", "-l", self.folder / "moecarlo.1"], capture_output=True, text=True,
                                  env={**os.environ, "LC_ALL": "C", "MANPAGER": "cat"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("EXIT STATUS", re.sub(r".\x08", "", done.stdout))

    def complete(self, *words):
        (self.folder / "moecarlo.bash").write_text(self.done("completion", "bash").stdout)
        line = f'. ./moecarlo.bash; COMP_WORDS=({" ".join(map(repr, words))}); COMP_CWORD={len(words) - 1}; ' \
               'COMPREPLY=(); _moecarlo; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.split()

    def test_bash_completes_commands_options_and_choices(self):
        self.assertEqual(self.complete("moecarlo", "simu"), ["simulate"])
        self.assertEqual(self.complete("moecarlo", "simulate", "--tra"), ["--trajectories"])
        self.assertEqual(self.complete("moecarlo", "simulate", "--backend", "c"), ["cpu", "cuda"])
        self.assertEqual(self.complete("moecarlo", "simulate", "study"), [])

    def test_zsh_and_fish_are_valid_where_they_are(self):
        for shell in ("zsh", "fish"):
            script = self.done("completion", shell).stdout
            self.assertIn("simulate", script)
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=script, text=True, check=True)
        self.refused(program.USAGE, "completion", "tcsh", says="bash")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
