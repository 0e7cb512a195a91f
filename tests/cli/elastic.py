"""What the tests of the elastic models share: their trace, their studies, the figures of one point."""

import h5py
import numpy as np

import program

POLICIES = ["static", "lru", "fifo", "lfu", "slru", "random", "belady", "belady-bypass", "hotness"]
LAYERS, EXPERTS = 3, 16


class Elastic(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.runs = 0

    def elastic_trace(self, sequences=8, length=40):
        """Logits in which neighbours resemble each other, token ids that repeat, and a captured acceptance."""
        rng = np.random.default_rng(11)
        tokens = sequences * length
        attributes, datasets = program.trace_parts(LAYERS, EXPERTS, 2, [length] * sequences, "router_logits", seed=11)
        logits = datasets["router_logits"]
        for token in range(1, tokens):
            if token % length:
                logits[token] = 0.6 * logits[token - 1] + 0.8 * logits[token]
        logits *= np.array([0.3, 1, 1], np.float32)[:, None]
        logits[:, 0] += rng.gumbel(size=(tokens, EXPERTS))  # a layer of even popularity, so that a pool gives it less
        datasets["token_ids"] = rng.integers(0, 4, tokens).astype(np.int32)
        program.write_trace(self.folder / "trace.h5", attributes, datasets)
        base = rng.uniform(0.1, 0.5, tokens)
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            trace["acceptance/cache_fraction"] = np.array([0.25, 0.75, 0.25, 0.75], np.float32)
            trace["acceptance/weight_bits"] = np.array([4, 4, 8, 8], np.uint8)
            probability = [base + gain for gain in (0, 0.15, 0.3, 0.45)]
            trace["acceptance/accept_probability"] = np.array(probability, np.float32)
        return self.folder / "trace.h5"

    def results(self, study=None, grid=None, acceptance=None, **others):
        self.runs += 1
        output = self.folder / f"run-{self.runs}"
        study = {"calibration": "all", "trajectories": 256, "rounds": 8, **(study or {})}
        grid = {"depth": [3], "policy": ["lru"], "capacity": [5], **(grid or {})}
        if "pool" in grid:
            del grid["capacity"]
        text = program.toml(study={"trace": "trace.h5", **study}, grid=grid, acceptance=acceptance or {"alpha": 0.6},
                            **others)
        (self.folder / "study.toml").write_text(text)
        self.simulate(self.folder / "study.toml", output)
        return program.summary(output)

    def one(self, metric, **tables):
        """Value and simulation half-width of a study of one point."""
        points = self.results(**tables)["points"]
        self.assertEqual(len(points), 1)
        figure = points[0]["metrics"][metric]
        return figure["value"], figure["mc_half_width"]


class SmallTrace(Elastic):
    def setUp(self):
        super().setUp()
        self.elastic_trace()
