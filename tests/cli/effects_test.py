"""Every key of an elastic study has an effect, and every policy is its own."""

import itertools
import json

import elastic
import program


class EveryOption(elastic.SmallTrace):
    def figures(self, **tables):
        """What was counted, without what was asked for."""
        points = self.results(**tables)["points"]
        return [{name: figure["value"] for name, figure in point["metrics"].items()} for point in points]

    def expect_effects(self, base, changes):
        """Each change of one key gives other figures than the base, and than every other value of that key."""
        unchanged = self.figures(**base)
        self.assertEqual(self.figures(**base), unchanged)
        for table, key, *values in changes:
            seen = [unchanged]
            for value in values:
                with self.subTest(**{f"{table}.{key}": value}):
                    figures = self.figures(**{**base, table: {**base.get(table, {}), key: value}})
                    self.assertNotIn(figures, seen)
                    seen.append(figures)

    def by_policy(self, **tables):
        """The figures of one study of all policies, a list for each policy; what all policies share is left out."""
        grid = {"policy": elastic.POLICIES, **tables.pop("grid", {})}
        found = {policy: [] for policy in elastic.POLICIES}
        for point in self.results(grid=grid, **tables)["points"]:
            figures = {name: figure["value"] for name, figure in point["metrics"].items()}
            found[point["policy"]].append([figures[name] for name in ("hits", "misses", "cache_writes")])
        return found

    def test_every_policy_is_its_own(self):
        for one, other in itertools.combinations(self.by_policy().values(), 2):
            self.assertNotEqual(one, other)

    def test_what_shapes_a_study(self):
        self.expect_effects({"acceptance": {"alpha": 0.6}}, [
            ("study", "seed", 2), ("study", "start", "cold"), ("study", "warmup", 3), ("study", "rounds", 9),
            ("study", "trajectories", 257), ("study", "mode", "perturbed"), ("study", "calibration", 0.4),
            ("grid", "batch", 2), ("grid", "depth", 2), ("grid", "capacity", 6),
            ("draft", "gate_mass", True), ("acceptance", "rejected_routing", "resample")])

    def test_what_shapes_a_policy(self):
        self.expect_effects({"grid": {"policy": "slru"}}, [("cache", "protected", 0.4, 0.6)])
        self.expect_effects({"grid": {"policy": "hotness"}},
                            [("cache", "decay", 0.5, 0.9375), ("draft", "gate_mass", False)])
        self.expect_effects({"grid": {"policy": "random"}}, [("study", "seed", 2, 3)])

    def test_a_pool_and_slices_act_on_every_policy(self):
        experts = self.by_policy(grid={"capacity": [5, 6, 10]})
        pool = self.by_policy(grid={"pool": [15, 18, 30]}, cache={"scope": "global"})
        slices = self.by_policy(grid={"capacity": [5, 6, 10], "bits": [4]}, cache={"objects": "slices"})
        for policy in elastic.POLICIES:
            # The most popular experts of a pool may well be as many in each layer.
            found = experts[policy] + (slices if policy == "static" else pool)[policy] + slices[policy]
            if policy == "static":
                found = found[:6]
            self.assertEqual(len(found), 6 if policy == "static" else 9)
            for one, other in itertools.combinations(found, 2):
                with self.subTest(policy=policy):
                    self.assertNotEqual(one, other)

    def test_a_pool_is_replayed_as_cache_replays_it(self):
        tables = {"grid": {"depth": [0], "policy": ["static", "lru", "belady-bypass"], "pool": [15]},
                  "cache": {"scope": "global"}, "acceptance": {"alpha": 0}}
        rates = {point["policy"]: point["metrics"]["hit_rate"]["value"]
                 for point in self.results({"mode": "replay", "start": "cold"}, **tables)["points"]}
        for policy in ("static", "belady-bypass"):
            options = ["--scope", "global", "--capacity", 15, "--policy", policy, "--json"]
            figures = json.loads(self.done("--quiet", "cache", self.folder / "trace.h5", *options).stdout)
            self.assertAlmostEqual(rates[policy], figures["hit_rate"], 12)

    def test_what_shapes_a_tree(self):
        # Siblings go round the levels: 7 tokens are the path of 3, a sibling at each level and one more.
        base = {"draft": {"width": 3, "sibling_routing": 0.5, "verify_tokens": 7}}
        self.expect_effects(base, [("draft", "width", 2), ("draft", "sibling_routing", 0, 1),
                                   ("draft", "verify_tokens", 5, 9)])

    def test_what_shapes_redrawn_routing(self):
        self.expect_effects({"study": {"mode": "perturbed"}},
                            [("study", "temperature", 0.5, 2), ("study", "redraw", "gumbel")])

    def test_what_shapes_acceptance(self):
        captured = {"grid": {"bits": [4]}, "acceptance": {"model": "captured"}}
        self.expect_effects(captured, [("grid", "bits", [8]), ("grid", "capacity", 7)])
        coverage = {"acceptance": {"model": "coverage", "b0": 0.2, "b1": 0.5}}
        self.expect_effects(coverage, [("acceptance", "b0", -0.4, 1), ("acceptance", "b1", -0.5, 2)])
        self.expect_effects({"acceptance": {"model": "ngram"}}, [("acceptance", "longest", 1, 2)])
        models = [self.figures(acceptance=acceptance) for acceptance in (
            {"alpha": 0.6}, {"model": "ratio", "alpha": 0.6}, {"model": "captured"}, {"model": "coverage"},
            {"model": "ngram"})]
        for one, other in itertools.combinations(models, 2):
            self.assertNotEqual(one, other)


if __name__ == "__main__":
    program.main()
