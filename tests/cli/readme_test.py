"""What README says works as it stands there: its study with and without [hardware], an installed program."""

import os
import re
import shutil
import subprocess

import numpy as np

import program

ROOT = program.CROSS_CHECK.parents[1]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs/tutorial.md").read_text()
WEIGHTS = (ROOT / "docs/weights.md").read_text()
BUILD = program.Path(program.MOECARLO).parent


def block(language, first_words, page=README):
    return next(text for text in re.findall(rf"```{language}\n(.*?)```", page, re.S) if first_words in text)


class Readme(program.ProgramTest):
    def setUp(self):
        super().setUp()
        names = {}
        exec(block("python", "def write_trace", TUTORIAL), names)  # the ten lines
        ids = program.trace_parts(experts=32, top_k=4)[1]["expert_ids"]
        names["write_trace"](self.folder / "my.h5", np.split(ids, np.cumsum(program.LENGTHS)[:-1]), 32)
        self.study = block("toml", "my-study").replace("20_000", "64")

    def simulated(self, name, text):
        (self.folder / f"{name}.toml").write_text(text)
        self.done("--quiet", "simulate", self.folder / f"{name}.toml", "-o", self.folder / name)
        return program.summary(self.folder / name)

    def test_the_study_runs_without_hardware(self):
        without = re.sub(r"^\[hardware\].*?(?=^\[|\Z)", "", self.study, flags=re.M | re.S)
        self.assertNotEqual(without, self.study)
        self.assertEqual(self.simulated("without", without)["hardware"], [])

    def test_the_study_takes_measured_bit_slices_for_the_model_that_it_names(self):
        datasets = program.CROSS_CHECK.parents[1] / "datasets"
        self.done("--quiet", "bitslice", datasets / "reference-weights.h5", "-o", self.folder / "slices")
        line = re.search(r'`\[hardware\]` says `(bit_slices = "out/bits/bitslice.json")`', WEIGHTS)[1]
        line = line.replace("out/bits", str(self.folder / "slices"))
        text = self.study.replace("capacity = [8, 16]", "bits = [4]\ncapacity = [8, 16]")
        results = self.simulated("bits", re.sub(r"^(schemes = .*)$", rf"\1\n{line}", text, flags=re.M))
        self.assertIn("elastic-measured", {row["scheme"] for row in results["hardware"]})

    def test_an_installed_program_that_was_moved_finds_its_presets_beside_itself(self):
        subprocess.run(["cmake", "--install", BUILD, "--prefix", self.folder / "first"], check=True,
                       stdout=subprocess.DEVNULL)
        shutil.move(self.folder / "first", self.folder / "moved")
        (self.folder / "s.toml").write_text(self.study)
        program_there = self.folder / "moved/bin/moecarlo"
        result = subprocess.run([program_there, "--verbose", "simulate", self.folder / "s.toml", "-o", self.folder / "s"],
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(f"presets in {(self.folder / 'moved/share/moecarlo/presets').resolve()}", result.stderr)
        for name in ("man/man1/moecarlo.1", "bash-completion/completions/moecarlo", "doc/moecarlo/docs/tutorial.md"):
            self.assertTrue((self.folder / "moved/share" / name).is_file(), name)
        subprocess.run([program_there, "init"], cwd=self.folder, check=True, stdout=subprocess.DEVNULL)
        self.assertIn('"moved/share/moecarlo/datasets/reference.h5"', (self.folder / "study.toml").read_text())

    def test_data_are_where_a_variable_says(self):
        (self.folder / "data/datasets").mkdir(parents=True)
        shutil.copy(self.folder / "my.h5", self.folder / "data/datasets/reference.h5")
        subprocess.run([program.MOECARLO, "init"], cwd=self.folder, check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "MOECARLO_DATA": str(self.folder / "data")})
        self.assertIn('"data/datasets/reference.h5"', (self.folder / "study.toml").read_text())

    def test_own_presets_come_before_those_that_ship(self):
        (self.folder / "own/systems").mkdir(parents=True)
        shutil.copy(program.CROSS_CHECK.parents[1] / "hw/presets/systems/hb-xpu.toml",
                    self.folder / "own/systems/mine.toml")
        text = self.study.replace('"elmoe3d-8gb"', '"mine", "elmoe3d-8gb"').replace('"elastic"]', '"elastic"]\n')
        (self.folder / "s.toml").write_text(text)
        environment = {**os.environ, "MOECARLO_PRESETS": str(self.folder / "own")}
        result = subprocess.run([program.MOECARLO, "--quiet", "simulate", self.folder / "s.toml", "-o",
                                 self.folder / "s"], capture_output=True, text=True, env=environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        systems = {row["system"] for row in program.summary(self.folder / "s")["hardware"]}
        self.assertLessEqual({"mine", "elmoe3d-8gb"}, systems)

    def test_verbose_says_what_ran_and_what_it_took(self):
        result = self.done("--verbose", "cache", self.folder / "my.h5", "--policy", "lru", "--capacity", "4", "--json")
        self.assertRegex(result.stderr, r"presets in .*\n.* s of processor time, .* MB of memory at most")


if __name__ == "__main__":
    program.main()
