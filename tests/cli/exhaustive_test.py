"""Exhaustive mode equals scripts/cross_check/exhaustive.py to the last integer, and random mode converges to it."""

import sys

import h5py
import numpy as np

import program

sys.path.insert(0, str(program.CROSS_CHECK))
import exhaustive

RECORDED = program.RECORDED_TRACES / "gptoss20b.h5"


def draft_hits(path, depth, capacities, calibration):
    """Sum over starts and draft steps 0 .. d - 1 of the resident choices: [layers][capacities]."""
    ids, experts, sequences = exhaustive.read_trace(path)
    masks = exhaustive.pack(ids, experts)
    held, evaluated = exhaustive.split_sequences(sorted(sequences), calibration, 0)
    tokens = np.concatenate([np.arange(sequences[n][0], sum(sequences[n])) for n in held])
    starts = exhaustive.eligible_starts(sequences, evaluated, depth)
    found = np.zeros((len(masks), len(capacities)), np.int64)
    for layer, choices in enumerate(masks):
        popularity = np.bincount(ids[tokens, layer].ravel(), minlength=experts)
        for c, capacity in enumerate(capacities):
            resident = exhaustive.resident_mask(popularity, capacity, len(choices))
            for step in range(depth):
                found[layer, c] += exhaustive.popcount(choices[:, starts + step] & resident).sum()
    return found


class Exhaustive(program.ProgramTest):
    def expect_equal(self, trace, depths, capacities, calibration=0.2):
        grid = {"depth": depths, "policy": "static", "capacity": capacities}
        study = {"trace": str(trace), "mode": "exhaustive", "calibration": calibration}
        self.simulate(self.study(study=study, grid=grid), self.folder / "out")
        counted = program.integers(self.folder / "out")
        expected = exhaustive.enumerate_trace(trace, depths, capacities, str(calibration), 0)
        with h5py.File(trace) as file:
            top_k = int(file.attrs["top_k"])
        baseline = 0 if 0 in depths else 1  # depth 0 is always counted, and comes first
        for number, rows in enumerate(expected["depths"], baseline):
            prefix = f"cell_{number:04}/"
            cell = {name.removeprefix(prefix): counted[name] for name in counted if name.startswith(prefix)}
            with self.subTest(depth=rows["depth"]):
                coverage = draft_hits(trace, rows["depth"], capacities, str(calibration))
                self.expect_equal_cell(cell, rows, capacities, coverage, top_k)

    def expect_equal_cell(self, counted, rows, capacities, coverage, top_k):
        layers = rows["layers"]
        self.assertEqual(counted["rounds"].sum(), rows["starts"])
        np.testing.assert_array_equal(counted["distinct_histogram"], [layer["distinct_histogram"] for layer in layers])
        choices = rows["starts"] * rows["depth"] * top_k  # of all draft steps; gate mass is not asked for
        unions = [[layer["distinct"], choices, 0, *layer["accepted_distinct"]] for layer in layers]
        np.testing.assert_array_equal(counted["unions_by_layer"], unions)
        np.testing.assert_array_equal(counted["unions_by_group"].sum(axis=0), np.sum(unions, axis=0))
        for c, capacity in enumerate(capacities):
            name = str(capacity)
            points = [[layer["hits"][name], 0, coverage[number, c], 0, 0, *layer["rejected_only"][name]]
                      for number, layer in enumerate(layers)]
            np.testing.assert_array_equal(counted["points_by_layer"][0, c], points)
            np.testing.assert_array_equal(counted["points_by_group"][0, c].sum(axis=0), np.sum(points, axis=0))

    def test_equals_numpy_on_one_mask_word(self):
        self.expect_equal(self.trace(), [0, 1, 4], [1, 5, 16])

    def test_equals_numpy_on_two_mask_words_and_sequences_too_short(self):
        trace = self.trace(experts=70, top_k=6, lengths=[1, 2, 3, 4, 9, 17, 30, 5, 2, 41, 8, 23])
        self.expect_equal(trace, [0, 3, 8], [9, 64, 70], calibration="all")

    def test_equals_numpy_on_logits(self):
        self.expect_equal(self.trace(form="router_logits"), [2], [4])

    def test_equals_numpy_on_a_recorded_trace(self):
        if not RECORDED.exists():
            self.skipTest(f"{RECORDED} is not there")
        self.expect_equal(RECORDED, [4], [8, 16])

    def test_accepted_lengths_follow_the_closed_form(self):
        self.trace()
        grid = {"depth": [1, 3, 8], "policy": "static", "capacity": [4]}
        for model, alpha in (("constant", 0.6), ("ratio", 0.6)):
            output = self.folder / model
            acceptance = {"model": model, "alpha": alpha}
            self.simulate(self.study(study={"mode": "exhaustive"}, grid=grid, acceptance=acceptance), output)
            for point in program.summary(output)["points"]:
                depth, figure = point["depth"], point["metrics"]["accepted_length"]
                expected = alpha * (1 - alpha**depth) / (1 - alpha) if model == "constant" else alpha * depth
                self.assertAlmostEqual(figure["value"], expected, 7)  # thresholds have 32 bits
                self.assertEqual(figure["mc_half_width"], 0)

    def test_random_mode_covers_the_exact_values(self):
        self.trace()
        grid = {"depth": [0, 2, 5], "policy": "static", "capacity": [2, 6, 11]}
        exact = self.points("exact", grid, mode="exhaustive")
        covered = total = 0
        for seed in range(1, 6):
            for found, known in zip(self.points(f"random-{seed}", grid, seed=seed, trajectories=1280), exact):
                for name, figure in found.items():
                    if name == "oracle_hit_rate":  # a bound without an interval
                        continue
                    miss, width = abs(figure["value"] - known[name]["value"]), figure["mc_half_width"]
                    if width == 0:  # the same in every trajectory, such as one token a round at depth 0
                        self.assertAlmostEqual(miss, 0, 12)
                        continue
                    self.assertLess(miss, 2.5 * width, f"{name}, seed {seed}")  # five standard errors
                    covered, total = covered + (miss <= width), total + 1
        self.assertGreater(covered / total, 0.88)  # 95 % of intervals that share their trajectories

    def points(self, name, grid, **study):
        self.simulate(self.study(study=study, grid=grid), self.folder / name)
        return [point["metrics"] for point in program.summary(self.folder / name)["points"]]


if __name__ == "__main__":
    program.main()
