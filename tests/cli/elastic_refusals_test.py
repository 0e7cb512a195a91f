"""What an elastic study cannot mean is refused before anything runs: the key, the reason, and nothing left behind."""

import h5py
import numpy as np

import program

USAGE, INPUT = program.USAGE, program.INPUT
GLOBAL = {"scope": "global"}
TREE = {"width": 3, "sibling_routing": 0.5}
REPLAY = {"mode": "replay"}

# Tables of the study that differ from the base, and what the line on stderr has to name.
STUDIES = [
    # A pool or a cache for each layer.
    ({"cache": GLOBAL}, ['cache.scope = "global"', "grid.capacity", "expected grid.pool"]),
    ({"grid": {"pool": [15], "capacity": None}}, ["grid.pool", 'cache.scope = "layer"']),
    ({"grid": {"pool": [15]}, "cache": GLOBAL}, ['cache.scope = "global"', "grid.capacity"]),
    ({"grid": {"capacity": None}}, ["grid.capacity is missing"]),
    ({"cache": {"scope": "node"}}, ["cache.scope", "layer", "global", "node"]),
    # Bits and slices.
    ({"grid": {"bits": [4]}}, ["grid.bits", 'cache.objects = "slices"']),
    ({"grid": {"bits": [8, 4]}, "cache": {"objects": "slices"}}, ["grid.bits", "expected [4]", "[4, 8]"]),
    ({"grid": {"bits": [3]}, "cache": {"objects": "slices"}}, ["grid.bits", "expected [4]", "[3]"]),
    ({"cache": {"objects": "slices"}}, ["grid.bits", "expected [4]", "[8]"]),
    # Policies and their keys.
    ({"grid": {"policy": "clock"}}, ["grid.policy", "clock", "belady-bypass"]),
    ({"grid": {"policy": ["lru", "mru"]}}, ["grid.policy", "mru"]),
    ({"grid": {"policy": "hotness", "depth": 0}}, ['grid.policy = "hotness"', "a depth above 0"]),
    ({"cache": {"decay": 0.5}}, ["cache.decay", "hotness in grid.policy"]),
    ({"cache": {"decay": 0.3}, "grid": {"policy": "hotness"}}, ["cache.decay", "0.9375"]),
    ({"cache": {"protected": 0.5}}, ["cache.protected", "slru in grid.policy"]),
    ({"cache": {"protected": 1.5}, "grid": {"policy": "slru"}}, ["cache.protected", "1.5"]),
    ({"grid": {"policy": "belady"}, "acceptance": {"model": "coverage", "b0": 0, "b1": 1}},
     ['grid.policy = "belady"', "coverage"]),
    ({"grid": {"policy": "belady-bypass"}, "acceptance": {"model": "coverage", "b0": 0, "b1": 1}},
     ["grid.policy", "belady", "coverage"]),
    # Trees.
    ({"draft": {"width": 3}}, ["draft.sibling_routing is missing"]),
    ({"draft": {"sibling_routing": 0.5}}, ["draft.sibling_routing", "draft.width above 1"]),
    ({"draft": {"verify_tokens": 4}}, ["draft.verify_tokens", "draft.width above 1"]),
    ({"draft": {**TREE, "verify_tokens": 2}}, ["draft.verify_tokens", "at least grid.depth, 3", "found 2"]),
    ({"draft": {**TREE, "width": 100}}, ["draft.width", "255", "3 x 100"]),
    ({"draft": TREE, "grid": {"depth": 0}}, ["draft.width", "a depth above 0"]),
    ({"draft": {"replacements": "popularity"}}, ["draft.replacements", "[hardware]"]),
    # Redrawn routing.
    ({"study": {"mode": "perturbed"}}, ["router_logits"]),
    ({"study": {"temperature": 0.5}}, ["study.temperature", 'study.mode = "perturbed"', "random"]),
    ({"study": {"redraw": "gumbel"}}, ["study.redraw", 'study.mode = "perturbed"', "random"]),
    ({"study": {"mode": "perturbed", "temperature": 0}}, ["study.temperature", "above 0"]),
    ({"study": {"mode": "perturbed"}, "acceptance": {"model": "coverage", "b0": 0, "b1": 1}},
     ['acceptance.model = "coverage"', "perturbed"]),
    ({"study": {"mode": "perturbed"}, "cache": {"objects": "slices"}, "grid": {"bits": [4]}},
     ['cache.objects = "slices"', "perturbed"]),
    # Recorded rounds and acceptance that follows the trace.
    ({"acceptance": {"model": "rounds"}}, ['acceptance.model = "rounds"', 'study.mode = "replay"', "random"]),
    ({"acceptance": {"alpha": 0.5, "rejected_routing": "captured"}},
     ['acceptance.rejected_routing = "captured"', 'acceptance.model = "rounds"', "constant"]),
    ({"acceptance": {"model": "coverage", "b0": 1}}, ["acceptance.b1 is missing"]),
    ({"acceptance": {"model": "captured", "alpha": 0.5}}, ["acceptance.alpha", "unknown"]),
    ({"acceptance": {"model": "ngram", "longest": 0}}, ["acceptance.longest", "0"]),
    ({"acceptance": {"model": "oracle"}}, ["acceptance.model", "oracle", "ngram"]),
    # Replay.
    ({"study": REPLAY, "acceptance": {"alpha": 1}, "grid": {"batch": 2}}, ["grid.batch", "mode replay", "[2]"]),
    ({"study": REPLAY, "acceptance": {"alpha": 0.5}}, ["acceptance.model", "mode replay", "constant"]),
    ({"study": REPLAY, "acceptance": {"model": "captured"}}, ["acceptance.model", "mode replay", "captured"]),
    ({"study": REPLAY, "acceptance": {"alpha": 1}, "grid": {"policy": "random"}}, ["grid.policy", "random"]),
    ({"study": {**REPLAY, "warmup": 1}, "acceptance": {"alpha": 1}}, ["study.warmup", "mode replay", "found 1"]),
    ({"study": REPLAY, "acceptance": {"alpha": 1}, "draft": TREE}, ["draft.width", "mode replay", "found 3"]),
    ({"study": REPLAY, "acceptance": {"alpha": 1, "rejected_routing": "resample"}},
     ["acceptance.rejected_routing", "mode replay", "resample"]),
    ({"study": REPLAY, "acceptance": {"alpha": 1}, "stop": {"relative_half_width": 0.1}}, ["[stop]", "mode replay"]),
    # Exhaustive mode.
    ({"study": {"mode": "exhaustive"}, "grid": {"policy": "static"}, "acceptance": {"model": "ngram"}},
     ["acceptance.model", "exhaustive", "ngram"]),
    ({"study": {"mode": "exhaustive"}, "grid": {"policy": "lru"}}, ["grid.policy", "exhaustive", "lru"]),
    ({"study": {"mode": "exhaustive"}, "grid": {"policy": "static"}, "draft": TREE}, ["draft.width", "exhaustive"]),
    ({"study": {"mode": "exhaustive"}, "grid": {"policy": "static", "pool": [15], "capacity": None}, "cache": GLOBAL},
     ["cache.scope", "exhaustive"]),
    ({"study": {"mode": "exhaustive"}, "grid": {"policy": "static", "bits": [4]}, "cache": {"objects": "slices"}},
     ["cache.objects", "exhaustive"]),
]

# What the trace, a plain one of expert ids, does not hold.
TRACES = [
    ({"acceptance": {"model": "captured"}}, ["/acceptance", 'acceptance.model = "captured"']),
    ({"acceptance": {"model": "coverage"}}, ['acceptance.model = "coverage"', "expert_weights"]),
    ({"acceptance": {"model": "coverage", "b0": 0, "b1": 1}}, ['acceptance.model = "coverage"', "expert_weights"]),
    ({"acceptance": {"model": "ngram"}}, ["token_ids", "context_token_ids"]),
    ({"acceptance": {"model": "rounds"}, "study": REPLAY}, ["/rounds", 'acceptance.model = "rounds"']),
]


class Refusals(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace()

    def expect_refusal(self, status, tables, says):
        grid = {"depth": [3], "policy": ["lru"], "capacity": [5], **tables.get("grid", {})}
        grid = {key: value for key, value in grid.items() if value is not None}
        study = {"trace": "trace.h5", "trajectories": 64, "rounds": 2, **tables.get("study", {})}
        acceptance = tables.get("acceptance", {"alpha": 0.6})
        text = program.toml(**{**tables, "study": study, "grid": grid, "acceptance": acceptance})
        (self.folder / "study.toml").write_text(text)
        with self.subTest(**tables):
            before = self.files(self.folder)
            self.refused(status, "--quiet", "simulate", self.folder / "study.toml", "-o", self.folder / "out",
                         "--backend", "cpu", says=says)
            self.assertEqual(self.files(self.folder), before)
            self.assertFalse((self.folder / "out").exists())

    def test_studies_that_cannot_be_meant(self):
        for tables, says in STUDIES:
            self.expect_refusal(USAGE, tables, says)

    def test_traces_that_lack_what_the_study_asks_for(self):
        for tables, says in TRACES:
            self.expect_refusal(INPUT, tables, ["trace.h5", *says])

    def test_a_fit_needs_captured_acceptance(self):
        program.write_trace(self.folder / "trace.h5", *program.trace_parts(form="router_logits"))
        self.expect_refusal(INPUT, {"acceptance": {"model": "coverage"}}, ["/acceptance", "acceptance.model"])

    def test_a_depth_that_cuts_recorded_rounds_short(self):
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            trace["rounds/position"] = np.array([3, 6], np.int64)
            trace["rounds/drafted"] = np.array([2, 2], np.int32)
            trace["rounds/accepted"] = np.array([2, 0], np.int32)
            trace["rounds/verify_expert_ids"] = trace["expert_ids"][3:9].reshape(2, 3, 3, 2).astype(np.int16)
        recorded = {"acceptance": {"model": "rounds"}, "study": {**REPLAY, "calibration": "all"}}
        self.expect_refusal(USAGE, {**recorded, "grid": {"depth": [1]}}, ["grid.depth 1", "at least the 2"])

    def test_an_empty_folder_of_the_user_stays(self):
        output = self.folder / "out"
        output.mkdir()
        self.refused(INPUT, "simulate", self.study(acceptance={"model": "ngram"}), "-o", output, "--backend", "cpu")
        self.assertEqual(list(output.iterdir()), [])


if __name__ == "__main__":
    program.main()
