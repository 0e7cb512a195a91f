"""The elastic models: caches with a memory, drafts that follow the trace, redrawn routing and trees, end to end."""

import itertools
import json

import h5py
import numpy as np

import program

POLICIES = ["static", "lru", "fifo", "lfu", "slru", "random", "belady", "belady-bypass", "hotness"]
LAYERS, EXPERTS = 3, 16

# Hy3's recorded rounds by drafted tokens: tokens per round, distinct experts, distinct experts of accepted columns.
# Counted from the files themselves, by sets in Python.
RECORDED_ROUNDS = {1: (1.44318, 13.0667, 10.2798), 2: (1.58025, 17.2193, 10.8170), 4: (1.63291, 24.2743, 11.0215)}


def lru_hit_rate(choices, capacity, order):
    """Of one cache that is never emptied; `order` gives the choices of a token as they are touched."""
    residents, hits = [], 0  # the most recent last
    for chosen in choices:
        hits += sum(expert in residents for expert in chosen)
        touched = order(chosen)
        residents = ([expert for expert in residents if expert not in touched] + touched)[-capacity:]
    return hits / np.size(choices)


class Elastic(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.runs = 0

    def recorded(self, name):
        path = program.RECORDED_TRACES / name
        if not path.exists():
            self.skipTest(f"{name} is not in {program.RECORDED_TRACES}")
        return str(path)

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


class RecordedTraces(Elastic):
    def rounds(self, drafted, routing):
        study = {"trace": self.recorded(f"hy3_chatprose_k{drafted}.h5"), "mode": "replay"}
        acceptance = {"model": "rounds", **routing}
        point, = self.results(study, {"depth": [drafted], "capacity": [32]}, acceptance)["points"]
        return point["metrics"]

    def test_recorded_rounds_have_their_own_figures(self):
        for drafted, figures in RECORDED_ROUNDS.items():
            with self.subTest(drafted=drafted):
                metrics = self.rounds(drafted, {})
                names = ("tokens_per_round", "distinct_experts", "distinct_experts_accepted")
                for name, figure in zip(names, figures):
                    self.assertAlmostEqual(metrics[name]["value"], figure, delta=5.1e-5)
                self.assertEqual({figure["mc_half_width"] for name, figure in metrics.items()
                                  if name != "oracle_hit_rate"}, {0})
                trace = self.rounds(drafted, {"rejected_routing": "trace"})
                for name in ("tokens_per_round", "distinct_experts_accepted"):
                    self.assertEqual(trace[name]["value"], metrics[name]["value"])
                ratio = trace["distinct_experts"]["value"] / metrics["distinct_experts"]["value"]
                self.assertNotEqual(ratio, 1)
                self.assertAlmostEqual(ratio, 1, delta=0.02)

    def test_replay_without_drafts_is_what_cache_says_but_for_the_order_of_touches(self):
        # A pass touches by descending popularity rank, `cache` and `locality` as the file stores the choices: at 8
        # slots for 4 choices the hit rates differ by 0.008. So each is compared with its own order, in two layers.
        path, capacity = self.recorded("gptoss20b.h5"), 8
        policies = ["static", "lru", "fifo", "lfu", "slru", "belady", "belady-bypass"]
        study = {"trace": path, "mode": "replay", "start": "cold"}
        points = self.results(study, {"depth": [0], "policy": policies, "capacity": [capacity]}, {"alpha": 0})["points"]
        rates = {point["policy"]: point["metrics"]["hit_rate"] for point in points}

        def cache(policy):
            return json.loads(self.done("--quiet", "cache", path, "--policy", policy, "--capacity", capacity,
                                        "--json").stdout)

        replayed = cache("lru")
        self.assertAlmostEqual(rates["lru"]["value"], replayed["hit_rate"], delta=0.01)
        with h5py.File(path) as trace:
            for layer in (0, 17):
                ids = trace["expert_ids"][:, layer].astype(int)
                popularity = np.bincount(ids.ravel(), minlength=32)
                rank = {expert: place for place, expert in enumerate(np.argsort(-popularity, kind="stable").tolist())}
                by_rank = lru_hit_rate(ids.tolist(), capacity,
                                       lambda chosen: sorted(chosen, key=rank.get, reverse=True))
                self.assertAlmostEqual(rates["lru"]["per_layer"][layer], by_rank, 12)
                as_stored = lru_hit_rate(ids.tolist(), capacity, list)
                self.assertAlmostEqual(replayed["per_layer"]["hit_rate"][layer], as_stored, 12)
        # Where the order does not matter the two agree to the last digit.
        for policy, name in (("static", "static"), ("belady-bypass", "belady-bypass")):
            self.assertAlmostEqual(rates[policy]["value"], cache(name)["hit_rate"], 12)

        value = {policy: rate["value"] for policy, rate in rates.items()}
        self.assertGreaterEqual(value["belady-bypass"], value["belady"])
        for policy in policies[:-2]:
            self.assertGreater(value["belady"], value[policy])

    def test_prompt_lookup_at_random_is_prompt_lookup_in_order(self):
        # Long trajectories: a uniform start is likelier where acceptance is high than a round of a replay is.
        study = {"trace": self.recorded("gptoss20b.h5")}
        acceptance = {"model": "ngram"}
        at_random = self.results({**study, "trajectories": 128, "rounds": 1024, "warmup": 512}, acceptance=acceptance)
        in_order = self.results({**study, "mode": "replay"}, acceptance=acceptance)
        lengths, exact = ([p["metrics"]["accepted_length"] for p in r["points"]][0] for r in (at_random, in_order))
        self.assertEqual(exact["mc_half_width"], 0)
        self.assertAlmostEqual(lengths["value"], exact["value"], delta=1.5 * lengths["mc_half_width"] + 0.01)
        self.assertGreater(at_random["points"][0]["metrics"]["tokens_per_round"]["value"], 1)

        controls = {control["metric"]: control for control in at_random["controls"]}
        self.assertCountEqual(controls, ["tokens_per_round", "distinct_experts", "distinct_experts_accepted",
                                         "hit_rate", "misses", "rejected_only"])
        metrics = at_random["points"][0]["metrics"]
        for name, control in controls.items():
            error = control["independent"]["value"] - metrics[name]["value"]
            self.assertAlmostEqual(control["error"]["value"], error, 9)
        self.assertEqual(controls["tokens_per_round"]["error"]["value"], 0)
        for name in ("distinct_experts", "hit_rate"):
            error = controls[name]["error"]
            self.assertGreater(abs(error["value"]), error["mc_half_width"])
        self.assertIn("rounds 513 to 1536 from a random position", " ".join(at_random["notes"]))
        self.assertNotIn("random position", " ".join(in_order["notes"]))
        self.assertEqual(in_order["controls"], [])


class SmallTrace(Elastic):
    def setUp(self):
        super().setUp()
        self.elastic_trace()


class Perturbed(SmallTrace):
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
        uniform = EXPERTS * (1 - (1 - 2 / EXPERTS) ** 4)  # 4 columns that choose 2 of 16 at random
        self.assertAlmostEqual(figures[-1][0], uniform, delta=2 * figures[-1][1])


class FollowingTheTrace(SmallTrace):
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


class Trees(SmallTrace):
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


class EveryOption(SmallTrace):
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
        grid = {"policy": POLICIES, **tables.pop("grid", {})}
        found = {policy: [] for policy in POLICIES}
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
        for policy in POLICIES:
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


class Judgement(SmallTrace):
    def test_no_policy_beats_the_oracle(self):
        studies = [
            {}, {"study": {"mode": "perturbed"}}, {"draft": {"width": 3, "sibling_routing": 0.5}},
            {"study": {"start": "cold"}}, {"study": {"warmup": 3}},
            {"cache": {"objects": "slices"}, "grid": {"bits": [4]}},
            {"cache": {"scope": "global"}, "grid": {"pool": [6, 15, 30]}}, {"acceptance": {"model": "ngram"}},
            {"acceptance": {"model": "captured"}}, {"grid": {"batch": [2, 3]}},
        ]
        for tables in studies:
            grid = {"depth": [0, 3], "policy": POLICIES, "capacity": [2, 5, 10], **tables.get("grid", {})}
            for point in self.results(**{**tables, "grid": grid})["points"]:
                design = {key: point[key] for key in ("batch", "depth", "policy", "capacity")}
                with self.subTest(tables=tables, **design):
                    metrics = point["metrics"]
                    self.assertGreaterEqual(metrics["oracle_hit_rate"]["value"], metrics["hit_rate"]["value"])
                    if point["policy"] == "belady-bypass":
                        self.assertEqual(metrics["oracle_hit_rate"]["value"], metrics["hit_rate"]["value"])

    def test_coverage_has_an_oracle_too(self):
        policies = [policy for policy in POLICIES if "belady" not in policy]
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
