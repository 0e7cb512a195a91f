"""Files that people have, beside the checkout, through the commands that they have them for: each gives what its page
says. Configurations by themselves are in model_test.py, damaged files in hostile_test.py, dumps in the importers' tests."""

import itertools
import os
import re
import unittest
from unittest import mock

import program
from program import INPUT

FIELD = program.RECORDED_TRACES.parent / "field"

PROFILES = {"F01/speculation_profile.json": 1.925, "formats/speculation_profile_full.json": 0.6 + 0.3}
POSITIONS = [0.816, 0.776961, 0.749211]
CONFIGS = {  # what a trace of the model holds: layers, experts, top-k
    "llama-4-scout": (48, 16, 1), "llama-4-maverick": (24, 128, 1), "ling-coder-lite": (27, 64, 6),
    "granite-1b-a400m": (24, 32, 8), "ernie-4.5-21b-a3b": (27, 64, 6), "hunyuan-a13b": (32, 64, 8),
    "python-infinity": (32, 8, 2)}
TOO_LARGE = ("llama-4-scout", "llama-4-maverick", "hunyuan-a13b")  # for the 64 GB of the reference system
XPU = program.CROSS_CHECK.parents[1] / "hw/presets/systems/xpu.toml"


@unittest.skipUnless(FIELD.is_dir(), f"{FIELD} is not there")
class Field(program.ProgramTest):
    def accepted(self, name, **acceptance):
        """Mean accepted length at depth 3."""
        study = self.study(f"{name}.toml", acceptance=acceptance, study={"trajectories": 4096},
                           grid={"policy": ["static"], "capacity": [4]})
        self.simulate(study, self.folder / name)
        points = program.summary(self.folder / name)["points"]
        return next(point["metrics"]["accepted_length"]["value"] for point in points if point["depth"] == 3)

    def test_profiles_of_speculation_accept_what_was_measured(self):
        self.trace()
        for number, (path, accepted) in enumerate(PROFILES.items()):
            with self.subTest(path):
                found = self.accepted(f"profile-{number}", model="positions", profile=str(FIELD / path))
                self.assertAlmostEqual(found, accepted, delta=0.01)
        found = self.accepted("list", model="positions", positions=POSITIONS)
        self.assertEqual(found, self.accepted("file", model="positions",
                                              profile=str(FIELD / "F01/speculation_profile.json")))

    def test_a_profile_of_nothing_is_refused(self):
        self.trace()
        study = self.study(acceptance={"model": "positions", "profile": str(FIELD / "F01/not_measured.json")})
        self.refused(INPUT, "simulate", study, "-o", self.folder / "out", says=["not_measured.json", "measured: false"])

    def own_system(self):
        """The system `server`, of 2048 GB."""
        (self.folder / "presets/systems").mkdir(parents=True)
        own = re.sub(r"(capacity = \{ value =) 64", r"\1 2048", XPU.read_text())
        (self.folder / "presets/systems/server.toml").write_text(own)
        environment = mock.patch.dict(os.environ, MOECARLO_PRESETS=str(self.folder / "presets"))
        environment.start()
        self.addCleanup(environment.stop)

    def hardware(self, name, **options):
        layers, experts, top_k = CONFIGS[name]
        self.done("--quiet", "synth", "--force", "-o", self.folder / "trace.h5", "--layers", layers,
                  "--experts", experts, "--top-k", top_k, "--sequences", 8, "--tokens-per-sequence", 16)
        study = self.study(f"{name}.toml", study={"trajectories": 32, "rounds": 4},
                           grid={"policy": ["static"], "capacity": [max(top_k, 2)], "depth": [0, 1]},
                           hardware={"model": str(FIELD / "configs" / f"{name}.json"), "schemes": ["ar"], **options})
        self.simulate(study, self.folder / name)
        return program.summary(self.folder / name)

    def test_configurations_are_models_of_a_study_with_systems_of_the_users_own(self):
        self.own_system()
        for name, reference in zip(CONFIGS, itertools.cycle(["server", "none"])):
            with self.subTest(name, reference=reference):
                results = self.hardware(name, systems=["server"], reference=reference)
                self.assertEqual({row["system"] for row in results["hardware"]}, {"server"})
                self.assertEqual(results["hardware"][0]["speedup"] is None, reference == "none")

    def test_a_reference_system_that_the_model_does_not_fit_stops_no_study(self):
        self.own_system()
        for name in TOO_LARGE:
            with self.subTest(name):
                results = self.hardware(name, systems=["server"])
                self.assertEqual({row["system"] for row in results["hardware"]}, {"server"})


if __name__ == "__main__":
    program.main()
