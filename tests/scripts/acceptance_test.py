#!/usr/bin/env python3
"""The arithmetic of results/acceptance/compare.py, on designs few enough to do by hand."""

import sys
import tomllib
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "results/acceptance"
sys.path.insert(0, str(FOLDER))
import compare  # noqa: E402


def row(model, depth, value, bits=4, tokens=1, half_width=0.0, **others):
    return dict(dict(model=model, figure="speedup", policy="static", batch=1, bits=bits, memory=8, depth=depth,
                     share=0.5, value=value, tokens=tokens, mc_half_width=half_width, trace_half_width=None), **others)


class Comparison(unittest.TestCase):
    def test_the_study_is_run_under_other_models_and_bits_only(self):
        text = (FOLDER / "study.toml").read_text()
        base, made = tomllib.loads(text), tomllib.loads(
            compare.with_model(text, 3, {"model": "ratio", "alpha": 0.25}))
        self.assertEqual(made["grid"].pop("bits"), [3])
        self.assertEqual(made.pop("acceptance"), {"model": "ratio", "alpha": 0.25})
        self.assertTrue(Path(made["study"].pop("trace")).is_file())
        for table, name in (("grid", "bits"), ("study", "trace")):
            base[table].pop(name)
        base.pop("acceptance")
        self.assertEqual(made, base)

    def test_rows_are_read_from_a_summary(self):
        estimate = dict(value=2.0, mc_half_width=0.1, trace_half_width=None)
        design = dict(policy="lru", batch=2, bits=4, depth=4, capacity=16.0, implied=False)
        projected = dict(design, scheme="elastic", vary={"hb.capacity": 1.5}, capacity=8, speedup=estimate,
                         tokens_per_second=dict(value=30.0), breakdown=dict(seconds=0.2))
        length, speed = compare.rows_of(
            dict(trace=dict(experts=32), hardware=[projected, {**projected, "scheme": "ar"}],
                 points=[{**design, "metrics": {"accepted_length": {**estimate, "per_layer": None}}},
                         {**design, "depth": 0}, {**design, "implied": True}]), "captured")
        self.assertEqual((length["figure"], length["memory"], length["tokens"]), ("accepted_length", 0.5, 3))
        self.assertEqual((speed["memory"], speed["share"], speed["tokens"]), (12, 0.25, 3))
        self.assertEqual((speed["value"], speed["mc_half_width"], speed["trace_half_width"]), (2, 0.1, None))

    def test_one_alpha_of_its_own_makes_lengths_geometric(self):
        captured = [row("captured", 0, 1.5), row("captured", 1, 2, tokens=1.5), row("captured", 2, 3, tokens=2)]
        first, second = compare.own_alpha(captured)
        self.assertEqual((first["value"], first["tokens"]), (2, 1.5))
        self.assertEqual((second["value"], second["tokens"]), (3 * 1.75 / 2, 1.75))  # 1 + 1/2 + 1/4 tokens, not 2
        length = [{**one, "figure": "accepted_length", "value": one["tokens"] - 1} for one in captured[1:]]
        self.assertEqual([one["value"] for one in compare.own_alpha(length)], [0.5, 0.75])

    def test_errors_are_relative_and_their_noise_adds_in_squares(self):
        true, other = compare.add_errors([row("captured", 2, 2, half_width=0.06), row("ratio", 2, 3, half_width=0.12)])
        self.assertEqual((true["error"], true["error_half_width"]), (0, None))
        self.assertAlmostEqual(other["error"], 50)
        self.assertAlmostEqual(other["error_half_width"], 100 * 1.5 * 0.05)  # 3 % and 4 %
        rows = [true, other, *compare.add_errors([row("captured", 4, 2), row("ratio", 4, 1)])]
        self.assertEqual(compare.spread(rows, "ratio"), (0, 50, -50, 50))

    def test_a_wrong_choice_costs_what_captured_says(self):
        rows = [row("captured", 2, 2.0), row("captured", 4, 1.5), row("captured", 2, 1.0, bits=2),
                row("captured", 4, 1.25, bits=2), row("ratio", 2, 2.0), row("ratio", 4, 3.0),
                row("ratio", 2, 1.0, bits=2), row("ratio", 4, 4.0, bits=2)]
        depth = compare.choices(rows, "ratio", ["depth"])
        self.assertEqual(sorted(depth.values()), [(False, 25), (True, 0)])
        both, = compare.choices(rows, "ratio", ["depth", "bits"]).values()
        self.assertEqual(both, (False, 100 * (1 - 1.25 / 2)))
        self.assertEqual(set(compare.choices(rows, "captured", ["depth"]).values()), {(True, 0)})

    def test_a_draft_pays_where_it_beats_the_same_machine_without(self):
        rows = [row("captured", 0, 1.75, bits=8), row("captured", 2, 2), row("captured", 4, 1.5),
                row("constant", 2, 1), row("constant", 4, 4)]
        self.assertEqual(list(compare.verdicts(rows, "captured").values()), [True, False])
        self.assertEqual(list(compare.verdicts(rows, "constant").values()), [False, True])


if __name__ == "__main__":
    unittest.main()
