"""The example for snakemake gives what one run gives: run by snakemake where that is installed (MOECARLO_SNAKEMAKE names it,
or the path has it), else by its own rules as they stand in the file."""

import os
import re
import shutil
import subprocess

import program

SNAKEFILE = program.CROSS_CHECK.parents[1] / "scripts/snakemake/Snakefile"
CONFIG = {"study": "study.toml", "out": "results", "shards": 2, "threads": 1}


class Snakemake(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace()
        self.study_file = self.study()

    def expect_whole(self):
        self.simulate(self.study_file, self.folder / "whole")
        self.assertEqual((self.folder / "results/merged/tallies.h5").read_bytes(),
                         (self.folder / "whole/tallies.h5").read_bytes())
        self.assertTrue((self.folder / "results/merged/report.html").is_file())

    def test_as_snakemake_runs_it(self):
        snakemake = os.environ.get("MOECARLO_SNAKEMAKE") or shutil.which("snakemake")
        if not snakemake:
            self.skipTest("no snakemake here")
        settings = [f"{key}={value}" for key, value in {**CONFIG, "moecarlo": program.MOECARLO}.items()]
        done = subprocess.run([snakemake, "-s", SNAKEFILE, "--cores", "1", "--config", *settings], cwd=self.folder,
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.expect_whole()

    def test_by_its_rules(self):
        """The file is Python but for the words of rules: its shell lines, with what the rules put into them."""
        text = SNAKEFILE.read_text()
        names = {"config": {**CONFIG, "moecarlo": program.MOECARLO}}
        exec("\n".join(line for line in text.splitlines() if re.match(r"[A-Z]+(, [A-Z]+)* = ", line)), names)
        rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", text, re.M | re.S))
        lines = {name: re.search(r"shell:\n\s+f(\".*\")", body)[1] for name, body in rules.items() if "shell:" in body}
        self.assertEqual(sorted(lines), ["merge", "shard"])
        shards = eval(re.search(r"shards=(\[.*\])", rules["merge"])[1], names)

        class Wildcards:
            index = 0

        for Wildcards.index in range(2):
            filled = eval("f" + lines["shard"], names).format(input="study.toml", wildcards=Wildcards, threads=1)
            subprocess.run(filled, shell=True, cwd=self.folder, check=True)

        class Params:
            pass

        Params.shards = " ".join(shards)
        subprocess.run(eval("f" + lines["merge"], names).format(params=Params), shell=True, cwd=self.folder, check=True)
        self.expect_whole()


if __name__ == "__main__":
    program.main()
