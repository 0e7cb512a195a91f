"""Elastic studies on captured traces, against what the files themselves say and what other subcommands count."""

import json

import h5py
import numpy as np

import elastic
import program

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


class RecordedTraces(elastic.Elastic):
    def recorded(self, name):
        path = program.RECORDED_TRACES / name
        if not path.exists():
            self.skipTest(f"{name} is not in {program.RECORDED_TRACES}")
        return str(path)

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
                                       lambda chosen, rank=rank: sorted(chosen, key=rank.get, reverse=True))
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


if __name__ == "__main__":
    program.main()
