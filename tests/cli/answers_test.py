"""No answer that its own table contradicts: of random studies every verdict, card, sentence and table row of the report
is worked out again from the rows of summary.json, and hardware.csv finds all its points in points.csv.

MOECARLO_ANSWERS_STUDIES=200 in the environment tries so many of them."""

import itertools
import csv
import math
import os
import re

import answers
import elastic
import program
import random_studies
import report_reader
from report_reader import estimate_cell, number, three_digits

STUDIES = int(os.environ.get("MOECARLO_ANSWERS_STUDIES", 12))
SHOWN = 40  # rows of a break-even table
DESIGN = answers.DESIGN


class RandomStudies(elastic.Elastic):
    def setUp(self):
        super().setUp()
        self.elastic_trace()
        random_studies.write_model(self.folder)
        self.seen = {"rows": 0, "verdicts": set(), "left out": 0, "variants": 0, "tied": 0, "refused": 0}

    def test_every_answer_is_that_of_its_own_rows(self):
        for number_ in range(STUDIES):
            tables = random_studies.random_study(number_)
            with self.subTest(study=number_, tables=tables):
                self.check_study(tables, self.folder / f"run-{number_}")
        self.assertEqual(self.seen["verdicts"], {True, False, None})
        self.assertGreater(self.seen["rows"], 20 * STUDIES)
        self.assertLess(self.seen["refused"], STUDIES / 10)
        for what in ("left out", "variants", "tied"):
            self.assertGreater(self.seen[what], STUDIES / 20, what)

    def check_study(self, tables, output):
        (self.folder / "study.toml").write_text(program.toml(**tables))
        result = program.run("--quiet", "simulate", self.folder / "study.toml", "-o", output, "--backend", "cpu",
                             "--threads", 1)
        if result.returncode == program.USAGE:  # nothing fits, which is known before anything is simulated
            self.assertIn("no scheme of hardware.schemes is possible", result.stderr)
            self.assertFalse(output.exists())
            self.seen["refused"] += 1
            return
        self.assertEqual(result.returncode, 0, result.stderr)
        summary = program.summary(output)
        found = answers.Answers(summary)
        report = report_reader.Report(output)
        self.check_rows(found)
        self.check_bits(found)
        self.check_combinations(summary)
        self.check_answer(found, report)
        self.check_tables(found, report)
        self.check_figures(found, output)
        self.check_join(summary, output)

    # ---- the rows themselves ----

    def check_rows(self, found):
        self.assertEqual(len({(row["system"], row["scheme"], *answers.design(row)) for row in found.rows}),
                         len(found.rows), "two rows of one name")
        for row in found.rows:
            self.seen["rows"] += 1
            gain = row["speedup_over_autoregressive"]
            if row["depth"] == 0:
                self.assertIsNone(gain)
                self.assertIsNone(row["break_even_acceptance"])
                continue
            plain = found.autoregressive(row)
            speeds = [one["tokens_per_second"]["value"] for one in (row, plain)]
            self.assertAlmostEqual(gain["value"] / (speeds[0] / speeds[1]), 1, 9)
            verdict = answers.is_above(gain)
            self.seen["verdicts"].add(verdict)
            # Tokens of a round in its time, at the speed of the other mode.
            tokens = row["breakdown"]["seconds"] * speeds[1] / row["batch"]
            self.assertAlmostEqual(row["break_even_acceptance"], (tokens - 1) / row["depth"], 9)
            has = found.acceptance(row)["value"]
            if abs(has - row["break_even_acceptance"]) > 1e-9:
                self.assertEqual(has > row["break_even_acceptance"], gain["value"] > 1)

    def check_bits(self, found):
        """What is said of a line of equal bytes is what its hardware rows say."""
        for trade in found.summary["bit_trades"]:
            row, = (row for row in found.rows if all(row[key] == trade[key] for key in ("system", "scheme", *DESIGN)))
            self.assertEqual(trade["tokens_per_second"], row["tokens_per_second"])
            line = found.line_of(trade, found.summary["bit_trades"])
            fastest = max(one["tokens_per_second"]["value"] for one in line)
            self.assertAlmostEqual(trade["lead"]["value"] * trade["tokens_per_second"]["value"] / fastest, 1, 9)
            if trade["fastest"]:
                self.assertEqual(trade["tokens_per_second"]["value"], fastest)

    def check_combinations(self, summary):
        """Each is either there or left out with a reason; a variant has its own name."""
        if "hardware" not in summary["study"]:
            self.assertEqual(summary["hardware"] + summary["left_out"], [])
            return
        hardware, grid = summary["study"]["hardware"], summary["study"]["grid"]
        names = {}
        for system in hardware["systems"]:
            names[system] = (None, {})
            has_hb = "hb-" in system or "elmoe" in system
            vary = {key: factors for key, factors in hardware.get("vary", {}).items() if has_hb or "hb" not in key}
            for factors in itertools.product(*vary.values()):
                chosen = {key: factor for key, factor in zip(vary, factors) if factor != 1}
                if chosen:
                    name = ", ".join(f"{key} x{factor:g}" for key, factor in sorted(chosen.items()))
                    names[f"{system}[{name}]"] = (system, chosen)
        there = {(row["system"], row["scheme"], row["batch"]) for row in summary["hardware"]}
        for row in summary["hardware"]:
            self.assertEqual((row["variant_of"], row["vary"]), names[row["system"]])
            self.seen["variants"] += row["variant_of"] is not None
        out = set()
        for one in summary["left_out"]:
            self.assertTrue(one["reason"])
            self.seen["left out"] += 1
            for batch in grid["batch"] if one["batch"] is None else [one["batch"]]:
                out.add((one["system"], one["scheme"], batch))
        everything = {(system, scheme, batch) for system in names for scheme in hardware["schemes"]
                      for batch in grid["batch"]}
        self.assertFalse(there & out)
        self.assertEqual(there | out, everything)

    # ---- what the report says ----

    def check_answer(self, found, report):
        text = " ".join(report.paragraphs)
        start = re.match(r"(?:[\d,]+ trajectories of batched decoding|Batched decoding, every case enumerated,) on the "
                         r"recorded routing of random: 320 tokens in 8 sequences, 3 MoE layers of 16 experts, top-2\. ",
                         text)
        self.assertIsNotNone(start, text[:200])
        self.assertEqual(text[start.end():], " ".join(found.sentences()))
        cards = [(row["figure"], row["value"], row["at"]) for row in report.table("Key figures")]
        self.assertEqual(cards, found.cards())
        self.seen["tied"] += "cannot be told apart (ratio" in text

    def expect_rows(self, shown, expected, most=math.inf):
        """All that are expected in their order, or some of them where they are too many."""
        rows = [list(row.values()) for row in shown]
        if len(expected) <= most:
            self.assertEqual(rows, expected)
        else:
            self.assertTrue(rows)
            for row in rows:
                self.assertIn(row, expected)

    def check_tables(self, found, report):
        in_time = [[row["system"], row["scheme"], row["policy"], number(row["capacity"]), str(row["bits"]),
                    str(row["batch"]), str(row["depth"]), estimate_cell(row["speedup_over_autoregressive"]),
                    three_digits(row["break_even_acceptance"]), estimate_cell(found.acceptance(row)),
                    answers.VERDICTS[answers.is_above(row["speedup_over_autoregressive"])]] for row in found.drafting]
        self.expect_rows(report.table("In time, against"), in_time, SHOWN)
        for caption, cost in (("In experts fetched", "misses"), ("In experts touched", "distinct_experts")):
            self.check_break_even(found, report, caption, cost)
        self.check_workload(found, report)
        self.check_speed(found, report)
        reasons = [[one["system"], one["scheme"], "all" if one["batch"] is None else str(one["batch"]), one["reason"]]
                   for one in found.summary["left_out"]]
        self.expect_rows(report.table("What was left out"), reasons)

    def check_break_even(self, found, report, caption, cost):
        typical = found.typical
        rows = [row for row in found.summary["break_even"] if row["cost"] == cost and row["bits"] == typical["bits"]]
        if cost == "distinct_experts":
            rows = [row for row in rows if all(row[key] == typical[key] for key in ("policy", "capacity"))]
        expected = [[row["policy"], number(row["capacity"]), str(row["batch"]), str(row["depth"]),
                     estimate_cell(row["utility"]), estimate_cell(row["needed_tokens"]),
                     estimate_cell(found.points[answers.design(row)]["metrics"]["tokens_per_round"]),
                     three_digits(row["needed_acceptance"]), three_digits(found.acceptance(row)["value"]),
                     answers.VERDICTS[answers.is_above(row["utility"])]] for row in rows]
        self.expect_rows(report.table(caption), expected, SHOWN)
        depths = {}
        for row in rows:
            depths.setdefault((row["batch"], row["policy"], row["capacity"]), []).append(row)
        shown = [row for row in report.table("Which depth")
                 if row["cost"] == {"misses": "experts fetched", "distinct_experts": "experts touched"}[cost]]
        for row in shown:
            mine, = (rows for (batch, policy, capacity), rows in depths.items()
                     if [str(batch), policy, number(capacity)] == [row[key] for key in (
                         "batch", "policy", "experts per layer")])
            self.check_depth(row, mine)

    def check_depth(self, shown, rows):
        """The depth of largest utility, with those whose intervals reach it; the first that pays."""
        def reach(row):
            return sum(row["utility"][key] or 0 for key in ("mc_half_width", "trace_half_width"))

        best = max(rows, key=lambda row: row["utility"]["value"])
        close = [str(row["depth"]) for row in rows if row is not best and
                 best["utility"]["value"] - row["utility"]["value"] <= reach(best) + reach(row)]
        self.assertEqual(shown["depth of largest utility"], " or ".join([str(best["depth"]), *close]))
        self.assertEqual(shown["that utility"], estimate_cell(best["utility"]))
        verdicts = {row["depth"]: answers.is_above(row["utility"]) for row in rows}
        first = min((depth for depth, verdict in verdicts.items() if verdict), default=None)
        none = "cannot be told apart" if None in verdicts.values() else "none"
        self.assertEqual(shown["first depth that pays"], none if first is None else str(first))

    def check_workload(self, found, report):
        typical = found.typical
        self.assertIn(report_reader.cache(typical), report.caption("Workload by batch and depth"))
        for row in report.table("Workload by batch and depth"):
            point = found.points[int(row["batch"]), int(row["depth"]), typical["policy"], typical["capacity"],
                                 typical["bits"]]
            for title, metric in (("tokens per round", "tokens_per_round"), ("distinct experts", "distinct_experts"),
                                  ("hit rate", "hit_rate"), ("misses", "misses"), ("only for rejected", "rejected_only")):
                self.assertEqual(row[title], estimate_cell(point["metrics"][metric]))
        caption = f"batch {typical['batch']}, {report_reader.cache(typical)}. Marginal"
        held = {one["depth"]: one for one in found.distributions(typical) if one["batch"] == typical["batch"]}
        for row in report.table("Acceptance by draft position"):
            self.assertIn(caption, report.caption("Acceptance by draft position"))
            odds = found.odds(held[int(row["depth"])]["accepted_length"])
            which = 0 if row["acceptance"] == "marginal" else 1
            self.assertEqual([cell for cell in list(row.values())[2:] if cell],
                             [three_digits(pair[which]) for pair in odds])

    def check_speed(self, found, report):
        best = {}
        for row in found.rows:
            key = (row["system"], row["scheme"], row["batch"])
            if row["variant_of"] is None and (key not in best or row["tokens_per_second"]["value"]
                                              > best[key]["tokens_per_second"]["value"]):
                best[key] = row
        expected = []
        for row in best.values():
            lead, second = found.lead("scheme", row)
            gain, last = row["speedup_over_autoregressive"], ""
            if lead:
                speeds = [one["tokens_per_second"]["value"] for one in (row, second)]
                self.assertAlmostEqual(lead["value"] * speeds[1] / speeds[0], 1, 9)
                tied = "" if answers.is_above(lead) else "cannot be told apart from "
                last = f"{tied}{report_reader.choice(second)}: {estimate_cell(lead)}"
            expected.append(
                [row["system"], row["scheme"], row["policy"], str(row["batch"]), str(row["depth"]),
                 number(row["capacity"]), str(row["bits"]),
                 *(estimate_cell(row[key]) if row[key] else "n/a" for key in (
                     "tokens_per_second", "speedup", "energy_mj_per_token", "energy_gain")),
                 estimate_cell(gain) if gain else "", last])
        self.expect_rows(report.table("Speed and energy"), expected)

    def check_figures(self, found, output):
        """Bars name the design whose number they show."""
        drawn = output / "figures/speedup.svg"
        if not drawn.exists():
            return
        notes = re.findall(r">([\d.]+)× · depth (\d+), ([\w-]+), ([\d.,]+) experts(?:, (\d) bits)?<",
                           drawn.read_text())
        self.assertTrue(notes)
        bars = {(f"{row['speedup']['value']:.2f}", str(row["depth"]), row["policy"], number(row["capacity"]),
                 "" if row["bits"] == 8 else str(row["bits"])) for row in found.rows if row["speedup"]}
        self.assertLessEqual(set(notes), bars)

    # ---- the tables for programs ----

    def check_join(self, summary, output):
        def rows(name):
            with open(output / name, newline="") as file:
                return list(csv.DictReader(file))

        points = {tuple(row[key] for key in DESIGN) for row in rows("points.csv")}
        hardware = rows("hardware.csv")
        self.assertEqual(len({tuple(row[key] for key in ("system", "scheme", *DESIGN)) for row in hardware}),
                         len(summary["hardware"]))
        self.assertFalse({tuple(row[key] for key in DESIGN) for row in hardware} - points)
        self.assertEqual(len(points), len(summary["points"]))


class Resolved(elastic.Elastic):
    """What systems and schemes demand is known before the first trajectory."""

    def setUp(self):
        super().setUp()
        self.elastic_trace()
        random_studies.write_model(self.folder)

    def test_captured_acceptance_serves_schemes_that_keep_whole_weights(self):
        hardware = {"model": "config.json", "systems": ["elmoe3d-8gb"],
                    "schemes": ["ar", "elastic", "eagle", "slm", "quant"]}
        results = self.results(grid={"bits": [4], "depth": [0, 2]}, acceptance={"model": "captured"}, hardware=hardware)
        bits = {(row["scheme"], row["bits"]) for row in results["hardware"] if row["depth"] > 0}
        self.assertEqual(bits, {("elastic", 4), ("eagle", 8), ("slm", 8), ("quant", 8)})

    def test_one_batch_that_does_not_fit_leaves_the_others(self):
        hardware = {"model": "config.json", "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "elastic"],
                    "context": 65_536}
        results = self.results(grid={"batch": [1, 16]}, hardware=hardware)
        self.assertEqual({(row["system"], row["batch"]) for row in results["hardware"]},
                         {("xpu", 1), ("xpu", 16), ("elmoe3d-4gb", 1)})
        reasons = {(one["system"], one["scheme"], one["batch"]): one["reason"] for one in results["left_out"]}
        self.assertCountEqual(reasons, [("xpu", "elastic", None), ("elmoe3d-4gb", "ar", 16),
                                        ("elmoe3d-4gb", "elastic", 16)])
        self.assertRegex(reasons["elmoe3d-4gb", "ar", 16],
                         r"does not fit in hb \(dense weights [\d.]+ GB \+ KV cache [\d.]+ GB")
        self.assertRegex(" ".join(results["notes"]), r"Left out at batch 16: \S+ on elmoe3d-4gb with ar: does not fit")

    def test_a_study_of_which_nothing_fits_is_refused_with_the_numbers(self):
        # 2^24 positions are 206 GB of keys and values: more than the xPU stores.
        hardware = {"model": "config.json", "systems": ["xpu"], "schemes": ["ar"], "context": 16_777_216}
        (self.folder / "study.toml").write_text(program.toml(
            study={"trace": "trace.h5"}, grid={"depth": [0], "policy": ["lru"], "capacity": [5]},
            acceptance={"alpha": 0.5}, hardware=hardware))
        self.refused(program.USAGE, "simulate", self.folder / "study.toml", "-o", self.folder / "out",
                     says=["no scheme of hardware.schemes is possible", "does not fit in ext (short by"])

    def test_where_the_xpu_is_too_small_speeds_have_no_speed_up(self):
        # 52 GB of keys and values fit into ten times the hybrid-bonded memory, and not beside the weights on the xPU.
        hardware = {"model": "config.json", "systems": ["elmoe3d-8gb"], "schemes": ["ar"],
                    "vary": {"hb.capacity": [10]}, "context": 4_200_000}
        results = self.results(grid={"depth": [2]}, hardware=hardware)
        self.assertEqual({row["system"] for row in results["hardware"]}, {"elmoe3d-8gb[hb.capacity x10]"})
        for row in results["hardware"]:
            self.assertIsNone(row["speedup"])
            self.assertIsNone(row["energy_gain"])
            self.assertGreater(row["tokens_per_second"]["value"], 0)
        self.assertIn("No speed-up and no energy gain at batch 1: ", " ".join(results["notes"]))

    def test_speed_ups_are_over_the_reference_that_the_study_names(self):
        hardware = {"model": "config.json", "systems": ["xpu", "elmoe3d-8gb"], "schemes": ["ar"],
                    "reference": "elmoe3d-8gb"}
        results = self.results(grid={"depth": [0]}, hardware=hardware)
        self.assertEqual(results["reference"], "elmoe3d-8gb")
        speeds = {row["system"]: row["tokens_per_second"]["value"] for row in results["hardware"]}
        for row in results["hardware"]:
            speedup = row["tokens_per_second"]["value"] / speeds["elmoe3d-8gb"]
            self.assertAlmostEqual(row["speedup"]["value"], speedup, 12)

    def test_without_a_reference_there_are_no_speed_ups(self):
        hardware = {"model": "config.json", "systems": ["elmoe3d-8gb"], "schemes": ["ar"], "reference": "none"}
        results = self.results(grid={"depth": [2]}, hardware=hardware)
        self.assertIsNone(results["reference"])
        self.assertTrue(results["hardware"])
        for row in results["hardware"]:
            self.assertIsNone(row["speedup"])
            self.assertIsNone(row["energy_gain"])
            self.assertGreater(row["tokens_per_second"]["value"], 0)
        self.assertIn("No speed-ups, no energy gains", " ".join(results["notes"]))


if __name__ == "__main__":
    program.main()
