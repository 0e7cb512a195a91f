"""The laws of the elastic models: redrawn routing, acceptance that follows the trace, trees, the oracle's bound."""

import itertools

import h5py
import numpy as np

import elastic
import program


class Perturbed(elastic.SmallTrace):
    def distinct(self, **study):
        return self.one("distinct_experts", study={"trajectories": 1024, "mode": "perturbed", **study})

    def test_both_ways_to_redraw_have_the_same_law(self):
        for temperature in (0.3, 3):
            with self.subTest(temperature=temperature):
                alias = self.distinct(temperature=temperature, redraw="alias")
                gumbel = self.distinct(temperature=temperature, redraw="gumbel")
                self.assertNotEqual(alias, gumbel)
                self.assertAlmostEqual(alias[0], gumbel[0], delta=1.5 * (alias[1] + gumbel[1]))

    def test_hardly_any_temperature_is_the_trace_itself(self):
        plain = self.distinct(mode="random")
        for redraw in ("alias", "gumbel"):
            cold = self.distinct(temperature=0.001, redraw=redraw)
            self.assertAlmostEqual(cold[0], plain[0], delta=cold[1] + plain[1])

    def test_heat_spreads_the_choices(self):
        figures = [self.distinct(temperature=temperature) for temperature in (0.001, 0.3, 1, 3, 1000)]
        for (low, low_width), (high, high_width) in itertools.pairwise(figures):
            self.assertGreater(high - low, low_width + high_width)
        uniform = elastic.EXPERTS * (1 - (1 - 2 / elastic.EXPERTS) ** 4)  # 4 columns that choose 2 of 16 at random
        self.assertAlmostEqual(figures[-1][0], uniform, delta=2 * figures[-1][1])


class FollowingTheTrace(elastic.SmallTrace):
    def test_captured_acceptance_rises_with_capacity_and_bits(self):
        grid = {"capacity": [4, 8, 12, 16], "bits": [4, 8]}
        points = self.results(grid=grid, acceptance={"model": "captured"})["points"]
        tokens = {(p["capacity"], p["bits"]): p["metrics"]["tokens_per_round"]["value"] for p in points}
        self.assertEqual(len(tokens), 8)
        for bits in (4, 8):
            self.assertLess(tokens[4, bits], tokens[8, bits])
            self.assertLess(tokens[8, bits], tokens[12, bits])
            self.assertEqual(tokens[12, bits], tokens[16, bits])  # nothing captured beyond three quarters
        for capacity in (4, 8, 12, 16):
            self.assertLess(tokens[capacity, 4], tokens[capacity, 8])

    def test_captured_acceptance_has_the_mean_of_its_probabilities(self):
        with h5py.File(self.folder / "trace.h5") as trace:
            probability = trace["acceptance/accept_probability"][3].reshape(8, 40)  # 0.75 at 8 bits
        figure = self.one("accepted_length", study={"trajectories": 20_000, "rounds": 1},
                          grid={"depth": [1], "capacity": [12]}, acceptance={"model": "captured"})
        self.assertAlmostEqual(figure[0], probability[:, 1:].mean(), delta=1.5 * figure[1])

    def test_captured_acceptance_has_its_control(self):
        results = self.results(grid={"depth": [0, 3]}, acceptance={"model": "captured"})
        self.assertEqual({control["depth"] for control in results["controls"]}, {3})
        tokens, = (control for control in results["controls"] if control["metric"] == "tokens_per_round")
        self.assertEqual(tokens["error"], {"value": 0, "mc_half_width": 0, "trace_half_width": 0})

    def test_coverage_is_fitted_and_the_fit_is_stated(self):
        results = self.results(grid={"policy": ["static", "lru"]}, acceptance={"model": "coverage"})
        fit = r"logit P = \S+ \+ \S+ x covered gate mass, fitted to \d+ captured"
        self.assertRegex(" ".join(results["notes"]), fit)
        for point in results["points"]:
            self.assertGreater(point["metrics"]["tokens_per_round"]["value"], 1)

    def test_coverage_without_effect_is_a_coin(self):
        coin = self.one("tokens_per_round", acceptance={"alpha": 0.5})
        self.assertEqual(self.one("tokens_per_round", acceptance={"model": "coverage", "b0": 0, "b1": 0}), coin)

    def test_more_coverage_more_acceptance(self):
        grid = {"capacity": [2, 5, 10, 16]}
        points = self.results(grid=grid, acceptance={"model": "coverage", "b0": -2, "b1": 4})["points"]
        tokens = [point["metrics"]["tokens_per_round"]["value"] for point in points]
        self.assertEqual(tokens, sorted(set(tokens)))
        # A full cache covers everything.
        alpha = 1 / (1 + np.exp(-2))
        full = points[-1]["metrics"]["tokens_per_round"]
        self.assertAlmostEqual(full["value"], sum(alpha**i for i in range(4)), delta=1.5 * full["mc_half_width"])


class Trees(elastic.SmallTrace):
    def distinct(self, **draft):
        return self.one("distinct_experts", **({"draft": draft} if draft else {}))[0]

    def test_siblings_that_keep_every_expert_make_a_chain(self):
        chain = self.distinct()
        self.assertEqual(self.distinct(width=3, sibling_routing=1), chain)
        spread = [self.distinct(width=3, sibling_routing=share) for share in (1, 0.5, 0)]
        self.assertEqual(spread, sorted(set(spread)))

    def test_more_verify_tokens_touch_more_experts(self):
        found = [self.distinct(width=3, sibling_routing=0.3, verify_tokens=tokens) for tokens in (3, 4, 6, 9, 10)]
        self.assertEqual(found, sorted(found))
        self.assertEqual(found[0], self.distinct())  # the path alone
        self.assertEqual(found[3], found[4])  # 9 is all there is
        self.assertEqual(found[3], self.distinct(width=3, sibling_routing=0.3))
        self.assertEqual(len(set(found)), 4)

    def test_wider_trees_touch_more_experts_and_accept_the_same_path(self):
        widths = [self.results(draft={"width": width, "sibling_routing": 0})["points"][0]["metrics"]
                  for width in (2, 3, 5)]
        distinct = [metrics["distinct_experts"]["value"] for metrics in widths]
        self.assertEqual(distinct, sorted(set(distinct)))
        self.assertEqual(len({metrics["tokens_per_round"]["value"] for metrics in widths}), 1)


class Judgement(elastic.SmallTrace):
    def test_no_policy_beats_the_oracle(self):
        studies = [
            {}, {"study": {"mode": "perturbed"}}, {"draft": {"width": 3, "sibling_routing": 0.5}},
            {"study": {"start": "cold"}}, {"study": {"warmup": 3}},
            {"cache": {"objects": "slices"}, "grid": {"bits": [4]}},
            {"cache": {"scope": "global"}, "grid": {"pool": [6, 15, 30]}}, {"acceptance": {"model": "ngram"}},
            {"acceptance": {"model": "captured"}}, {"grid": {"batch": [2, 3]}},
        ]
        for tables in studies:
            grid = {"depth": [0, 3], "policy": elastic.POLICIES, "capacity": [2, 5, 10], **tables.get("grid", {})}
            for point in self.results(**{**tables, "grid": grid})["points"]:
                design = {key: point[key] for key in ("batch", "depth", "policy", "capacity")}
                with self.subTest(tables=tables, **design):
                    metrics = point["metrics"]
                    self.assertGreaterEqual(metrics["oracle_hit_rate"]["value"], metrics["hit_rate"]["value"])
                    if point["policy"] == "belady-bypass":
                        self.assertEqual(metrics["oracle_hit_rate"]["value"], metrics["hit_rate"]["value"])

    def test_coverage_has_an_oracle_too(self):
        policies = [policy for policy in elastic.POLICIES if "belady" not in policy]
        grid = {"depth": [0, 3], "policy": policies, "capacity": [2, 5, 10]}
        for point in self.results(grid=grid, acceptance={"model": "coverage"})["points"]:
            metrics = point["metrics"]
            self.assertGreaterEqual(metrics["oracle_hit_rate"]["value"], metrics["hit_rate"]["value"])

    def test_the_point_where_speculation_starts_to_pay(self):
        results = self.results(grid={"depth": [0, 2, 3], "policy": ["static", "lru"]}, acceptance={"alpha": 0.6})
        rows = results["break_even"]
        designs = [(row["cost"], row["depth"], row["policy"]) for row in rows]
        self.assertCountEqual(designs, itertools.product(["misses", "distinct_experts"], [2, 3], ["static", "lru"]))
        value = {(p["depth"], p["policy"]): {name: f["value"] for name, f in p["metrics"].items()}
                 for p in results["points"]}
        for row in rows:
            point, base = value[row["depth"], row["policy"]], value[0, row["policy"]]
            cost = point[row["cost"]] / base[row["cost"]]
            self.assertAlmostEqual(row["needed_tokens"]["value"], cost, 9)
            self.assertAlmostEqual(row["needed_acceptance"], (cost - 1) / row["depth"], 9)
            self.assertAlmostEqual(row["utility"]["value"], point["tokens_per_round"] / cost, 9)

    def test_the_report_tells_conditional_from_marginal_acceptance(self):
        self.results(acceptance={"model": "positions", "positions": [0.8, 0.5, 0.4]})
        report = (self.folder / f"run-{self.runs}" / "report.md").read_text()
        rows = {line.split("|")[1].strip().lower(): line for line in report.splitlines()
                if line.startswith(("| marginal", "| conditional"))}
        self.assertCountEqual(rows, ["marginal", "conditional"])
        self.assertIn("Marginal, P(a", report)
        self.assertIn("Conditional, P(a", report)


if __name__ == "__main__":
    program.main()
