"""What a command would write over stays, but for --force: every command that has -o."""

import json

import program

ROOT = program.CROSS_CHECK.parents[1]


class Force(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace()
        self.simulate(self.study(), self.folder / "done")
        for part in range(2):
            self.simulate(self.folder / "study.toml", self.folder / "parts", "--shard", f"{part}/2")

    def commands(self):
        """Of each command that has -o: its arguments, and the file that it writes or a file in its folder."""
        points = self.folder / "points.csv"
        points.write_text("model,machine,batch,depth,quantity,value\n")
        loads = self.folder / "loads.csv"
        loads.write_text("3,2,1,1\n")
        weights, parts = ROOT / "datasets/reference-weights.h5", sorted((self.folder / "parts").iterdir())
        return {
            "init": ([self.folder / "trace.h5"], ""),
            "synth": (["--layers", 2, "--experts", 4, "--top-k", 2, "--sequences", 4, "--tokens-per-sequence", 20], ""),
            "calibrate": ([points], ""),
            "simulate": ([self.folder / "study.toml", "--trajectories", 64], "tallies.h5"),
            "merge": (parts, "summary.json"),
            "compare": ([self.folder / "done", self.folder / "done"], "report.html"),
            "bitslice": ([weights, "--bits", 4], "report.html"),
            "evaluate": ([self.folder / "done"], "report.html"),
            "parallel": (["--loads", loads, "--devices", 2], "report.html"),
        }

    def test_all_of_them_are_here(self):
        told = json.loads(self.done("describe").stdout)["commands"]
        having = {command["name"]: {name for option in command["options"] for name in option["names"]} for command in told}
        self.assertEqual({name for name, options in having.items() if "--output" in options}, set(self.commands()))
        for name in self.commands():
            self.assertIn("--force", having[name], name)

    def test_what_is_there_stays_and_is_replaced_with_force(self):
        for command, (arguments, member) in self.commands().items():
            output = self.folder / f"{command}-output"
            precious = output / member if member else output
            precious.parent.mkdir(exist_ok=True)
            precious.write_text("precious")
            with self.subTest(command):
                self.refused(program.USAGE, command, *arguments, "-o", output, says=[str(output), "already", "--force"])
                self.assertEqual(precious.read_text(), "precious")
                if command == "calibrate":
                    continue  # its numbers are another test's
                self.done(command, *arguments, "-o", output, "--force")
                self.assertNotIn(b"precious", precious.read_bytes())

    def test_a_study_that_is_refused_removes_nothing_and_a_new_one_leaves_nothing_of_the_old(self):
        output, wrong = self.folder / "done", self.study("wrong.toml", study={"trace": "none.h5"})
        before = (output / "tallies.h5").read_bytes()
        self.refused(program.INPUT, "simulate", wrong, "-o", output, "--force")
        self.assertEqual((output / "tallies.h5").read_bytes(), before)
        self.refused(program.USAGE, "simulate", self.folder / "study.toml", "-o", output, "--force", "--resume")
        self.simulate(self.study("other.toml", study={"seed": 2}), output, "--force")
        self.simulate(self.folder / "other.toml", self.folder / "alone")
        self.assertEqual(program.summary(output)["points"], program.summary(self.folder / "alone")["points"])


if __name__ == "__main__":
    program.main()
