"""Every key of a study changes what it says it changes: a key that is read and ignored would be the worst of bugs."""

import numpy as np

import program


class Options(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace()
        self.trace("other.h5", seed=6)
        self.runs = 0

    def counts(self, *options, **tables):
        self.runs += 1
        output = self.folder / f"run-{self.runs}"
        self.simulate(self.study(**tables), output, *options)
        return program.integers(output)

    def differ(self, first, second):
        shared = first.keys() & second.keys()
        same = first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in shared)
        return not same

    def test_every_key_that_says_what_to_simulate_changes_a_count(self):
        base = self.counts()
        changes = [
            *({"study": {key: value}} for key, value in {
                "trace": "other.h5", "seed": 2, "trajectories": 300, "rounds": 8, "start": "cold", "warmup": 2,
                "calibration": "all", "split_seed": 3}.items()),
            *({"grid": {key: value}} for key, value in {
                "batch": 2, "depth": [0, 2], "policy": "lru", "capacity": [2, 6]}.items()),
            *({"acceptance": acceptance} for acceptance in (
                {"alpha": 0.61}, {"model": "ratio", "alpha": 0.6}, {"model": "positions", "positions": [0.6, 0.6, 0.5]},
                {"model": "lengths", "lengths": [3, 2, 1]}, {"alpha": 0.6, "rejected_routing": "resample"})),
        ]
        for change in changes:
            with self.subTest(change=change):
                self.assertTrue(self.differ(self.counts(**change), base))

    def test_how_to_run_changes_no_count(self):
        base = self.counts()
        for key, value in {"threads": 3, "backend": "cpu", "device": 1, "time_limit": "1h", "name": "other"}.items():
            with self.subTest(key=key):
                self.assertFalse(self.differ(self.counts(study={key: value}), base))

    def test_the_command_line_has_the_last_word(self):
        wanted = self.counts(study={"seed": 7, "trajectories": 512})
        self.assertFalse(self.differ(self.counts("--seed", 7, "--trajectories", 512, study={"seed": 3}), wanted))

    def test_bits_repeat_every_point(self):
        output = self.folder / "bits"
        self.trace(layers=24, experts=32, top_k=4)
        hardware = {"model": "gpt-oss-20b", "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "elastic"]}
        self.simulate(self.study(grid={"bits": [4, 8]}, hardware=hardware), output)
        points = program.summary(output)["points"]
        self.assertEqual([point["bits"] for point in points], [4, 8] * (len(points) // 2))
        self.assertEqual([p["metrics"] for p in points[::2]], [p["metrics"] for p in points[1::2]])

    def test_the_adaptive_stop_ends_at_a_power_of_two_below_the_cap(self):
        output = self.folder / "stop"
        study = {"trajectories": 50_000, "rounds": 4}
        self.simulate(self.study(study=study, stop={"relative_half_width": 0.02}), output)
        self.assertEqual(program.summary(output)["trajectories"], 4096)
        for point in program.summary(output)["points"]:
            for metric in ("tokens_per_round", "hit_rate"):
                figure = point["metrics"][metric]
                self.assertLessEqual(figure["mc_half_width"], 0.02 * figure["value"])
        capped = self.folder / "capped"
        self.simulate(self.study(study={**study, "trajectories": 4500}, stop={"relative_half_width": 1e-9}), capped)
        self.assertEqual(program.summary(capped)["trajectories"], 4500)


if __name__ == "__main__":
    program.main()
