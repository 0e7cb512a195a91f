"""init writes a study that fits the trace and runs as it is."""

import shutil
import tomllib

import h5py
import numpy as np

import program
from program import INPUT, USAGE


class Init(program.ProgramTest):
    def study_of(self, **changes):
        """The study that init writes for a trace with these parts, once it has run."""
        attributes, datasets = program.trace_parts(**changes.pop("parts", {}))
        datasets |= changes
        program.write_trace(self.folder / "trace.h5", attributes, datasets)
        self.done("init", self.folder / "trace.h5", "-o", self.folder / "study.toml", "--force")
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.simulate(self.folder / "study.toml", self.folder / "out", "--trajectories", 256)
        return tomllib.loads((self.folder / "study.toml").read_text())

    def test_capacities_are_the_choices_of_1_2_4_and_8_tokens_while_experts_are_left_out(self):
        self.assertEqual(self.study_of()["grid"]["capacity"], [2, 4, 8])
        self.assertEqual(self.study_of(parts={"experts": 64})["grid"]["capacity"], [2, 4, 8, 16])
        self.assertEqual(self.study_of(parts={"experts": 4, "top_k": 4})["grid"]["capacity"], [4])

    def test_acceptance_is_what_the_trace_holds_or_a_guess_that_is_called_one(self):
        study = self.study_of()
        self.assertEqual(study["acceptance"], {"model": "constant", "alpha": 0.7})
        self.assertIn("the trace holds none", (self.folder / "study.toml").read_text())
        probability = np.full((2, sum(program.LENGTHS)), 0.5, np.float32)
        study = self.study_of(**{"acceptance/cache_fraction": np.array([0.25, 0.75], np.float32),
                                 "acceptance/weight_bits": np.array([8, 8], np.uint8),
                                 "acceptance/accept_probability": probability})
        self.assertEqual(study["acceptance"], {"model": "captured"})

    def test_depth_and_calibration_are_as_much_as_the_sequences_leave_room_for(self):
        self.assertEqual(self.study_of()["grid"]["depth"], [0, 4])
        self.assertEqual(self.study_of()["study"]["calibration"], 0.2)
        short = self.study_of(parts={"lengths": [3, 2]})
        self.assertEqual((short["grid"]["depth"], short["study"]["calibration"]), ([0, 2], "all"))
        single = self.study_of(parts={"lengths": [1]})
        self.assertEqual(single["grid"]["depth"], [0])
        phase = np.concatenate([[0] * (length - 3) + [1] * 3 for length in program.LENGTHS]).astype(np.uint8)
        self.assertEqual(self.study_of(phase=phase)["grid"]["depth"], [0, 2], "prefill tokens are no rounds")

    def test_a_recorded_trace_is_replayed(self):
        path = program.RECORDED_TRACES / "hy3_chatprose_k2.h5"
        if not path.exists():
            self.skipTest(f"{path.name} is not in {program.RECORDED_TRACES}")
        self.done("init", path, "-o", self.folder / "study.toml")
        self.simulate(self.folder / "study.toml", self.folder / "out")
        study = tomllib.loads((self.folder / "study.toml").read_text())
        self.assertEqual((study["study"]["mode"], study["grid"]["depth"]), ("replay", [2]))

    def test_a_file_that_is_there_stays_and_a_trace_that_is_none_makes_no_study(self):
        self.trace()
        (self.folder / "study.toml").write_text("mine")
        self.refused(USAGE, "init", self.folder / "trace.h5", "-o", self.folder / "study.toml", says=["--force"])
        self.assertEqual((self.folder / "study.toml").read_text(), "mine")
        with h5py.File(self.folder / "other.h5", "w") as other:
            other["x"] = 1
        self.refused(INPUT, "init", self.folder / "other.h5", "-o", self.folder / "none.toml")
        self.assertFalse((self.folder / "none.toml").exists())


program.main()
