"""What a report has to say, worked out again from the rows of summary.json: verdicts, cards, sentences, tables.

Nothing here reads the report. Rules: a verdict is the row's own speed over that of its autoregressive mode, with the two
half-widths added; the best of many leads where the interval of its lead lies above 1.
"""

from report_reader import cache, estimate_text, known, number, point_text, row_text, scaled, three_digits

DESIGN = ("batch", "depth", "policy", "capacity", "bits")
VERDICTS = {True: "pays", False: "does not pay", None: "cannot be told apart"}  # as the report writes them


def is_above(estimate, threshold=1):
    """True, False, or None where the interval holds both."""
    widths = [estimate["mc_half_width"], estimate["trace_half_width"]]
    if not known(estimate["value"]) or widths == [None, None]:
        return None
    reach = sum(width or 0 for width in widths)
    if estimate["value"] - reach > threshold:
        return True
    return False if estimate["value"] + reach <= threshold else None


def design(row):
    return tuple(row[key] for key in DESIGN)


def with_unit(estimate, unit):
    """"1.42× ± 0.01 (simulation) ± 0.02 (trace)"."""
    value, space, widths = estimate_text(estimate).partition(" ")
    return value + unit + space + widths


def middle(values):
    values = sorted(set(values))
    return values[(len(values) - 1) // 2]


class Answers:
    def __init__(self, summary):
        self.summary = summary
        self.experts = summary["trace"]["experts"]
        self.points = {design(point): point for point in summary["points"]}
        self.own = [point for point in summary["points"] if not point["implied"]]
        self.rows = summary["hardware"]
        self.reference = summary["reference"]
        self.drafting = [row for row in self.rows if row["depth"] > 0]
        self.typical = self.typical_point()

    def typical_point(self):
        depths = {point["depth"] for point in self.own}
        batch = middle(point["batch"] for point in self.own)
        depth = middle(depths - {0} or depths)
        here = [point for point in self.own if (point["batch"], point["depth"]) == (batch, depth)]
        policy, bits = here[0]["policy"], here[0]["bits"]
        capacity = middle(point["capacity"] for point in here if point["policy"] == policy)
        return self.points[batch, depth, policy, capacity, bits]

    def value(self, point, metric):
        return point["metrics"][metric]["value"]

    def acceptance(self, row):
        point = self.points[design(row)]
        return scaled(point["metrics"]["accepted_length"], 1 / row["depth"])

    def autoregressive(self, row):
        """The same machine, scheme, batch and policy without a draft."""
        found, = [other for other in self.rows if other["depth"] == 0 and all(
            other[key] == row[key] for key in ("system", "scheme", "batch", "policy"))]
        return found

    # ---- whether speculation pays ----

    def case(self, row, gain, unit, needed, words):
        """One design that speculates: where it is, how it is named, and what is said of it."""
        need = ("no acceptance" if needed <= 0 else f"an acceptance of {three_digits(needed)}" +
                (", more than there can be," if needed > 1 else ""))
        return {"batch": row["batch"], "depth": row["depth"], "gain": gain["value"], "pays": is_above(gain),
                "where": f"batch {row['batch']}, depth {row['depth']} ({words})",
                "says": f"{estimate_text(gain)} {unit}; it needs {need} and has "
                        f"{three_digits(self.acceptance(row)['value'])}"}

    def in_time(self, variants):
        """{place: cases} of each system, or of each variant."""
        places = {}
        for row in self.drafting:
            if bool(row["variant_of"]) == variants:
                places.setdefault(f"on {row['system']}", []).append(self.case(
                    row, row["speedup_over_autoregressive"], "times as fast as its autoregressive mode",
                    row["break_even_acceptance"], f"scheme {row['scheme']}, {cache(row)}"))
        return places

    def in_experts_fetched(self):
        cases = [self.case(row, row["utility"], "times the tokens for what is fetched", row["needed_acceptance"],
                           cache(row))
                 for row in self.summary["break_even"] if row["cost"] == "misses" and known(row["utility"]["value"])
                 and all(row[key] == self.typical[key] for key in ("policy", "capacity", "bits"))]
        return {"in experts fetched": cases} if cases else {}

    @staticmethod
    def first_that_pay(cases):
        """{batch: case} of the shallowest that pay, of these the largest gain."""
        paying = sorted((case for case in cases if case["pays"]), key=lambda case: (case["depth"], -case["gain"]))
        first = {}
        for case in paying:
            first.setdefault(case["batch"], case)
        return dict(sorted(first.items()))

    def sentences_about(self, place, cases):
        paying = self.first_that_pay(cases)
        if not paying:
            best = max(cases, key=lambda case: case["gain"])
            start = ("It cannot be told apart whether speculation pays" if None in [case["pays"] for case in cases]
                     else "No design of the study pays")
            return [f"{start} {place}: at its best, {best['where']}, it is {best['says']}."]
        (batch, first), *also = paying.items()
        said = [f"Speculation pays {place} at {first['where']}, the shallowest draft that does: it is {first['says']}."]
        others = {case["batch"] for case in cases} - set(paying)
        open_ = sorted({case["batch"] for case in cases if case["pays"] is None} & others)
        none = sorted(others - set(open_))
        parts = (["it also pays at " + ", at ".join(case["where"] for _, case in also)] if also else []) + (
            ["no design pays at batch " + ", ".join(map(str, none))] if none else []) + (
            ["it cannot be told apart at batch " + ", ".join(map(str, open_))] if open_ else [])
        text = "; ".join(parts)
        return said + ([text[0].upper() + text[1:] + "."] if parts else [])

    def about_variants(self):
        pays, none, open_ = [], [], []
        for place, cases in self.in_time(variants=True).items():
            paying = self.first_that_pay(cases)
            if paying:
                pays.append(f"it pays {place} at {next(iter(paying.values()))['where']}")
            else:
                (open_ if None in [case["pays"] for case in cases] else none).append(place)
        parts = pays + (["no design pays " + ", ".join(none)] if none else []) + (
            ["it cannot be told apart " + ", ".join(open_)] if open_ else [])
        return [f"Variants: {'; '.join(parts)}."] if parts else []

    def speculation(self):
        places = self.in_time(variants=False) if self.drafting else self.in_experts_fetched()
        return [said for place, cases in places.items() for said in self.sentences_about(place, cases)
                ] + self.about_variants()

    # ---- the fastest design ----

    def lead(self, among, row):
        for lead in self.summary["leads"]:
            if lead["among"] == among and self.rows[lead["first"]] is row:
                return lead, self.rows[lead["second"]]
        return None, None

    def fastest(self, batch):
        """None where a batch has no row."""
        rows = [row for row in self.rows if row["batch"] == batch and not row["variant_of"]]
        return max(rows, key=lambda row: row["tokens_per_second"]["value"], default=None)

    def worth(self, row):
        speed = (f"{number(row['speedup']['value'], 3)} times autoregressive decoding on {self.reference}"
                 if row["speedup"] else f"{number(row['tokens_per_second']['value'], 3)} tokens per second")
        return f"{speed}, at {number(row['energy_mj_per_token']['value'], 3)} mJ per token"

    def fastest_in_words(self, batch):
        best = self.fastest(batch)
        lead, second = self.lead("batch", best)
        name = f"At batch {batch} the fastest design is {row_text(best)}: {self.worth(best)}."
        if lead is None:
            return [name]
        if is_above(lead):
            return [name, f"It is {estimate_text(lead)} times as fast as the next, {row_text(second)}."]
        return [f"At batch {batch} the two fastest designs cannot be told apart (ratio {estimate_text(lead)}): "
                f"{row_text(best)}, {self.worth(best)}; and {row_text(second)}, {self.worth(second)}."]

    def worth_in_words(self):
        batches = sorted({point["batch"] for point in self.own})
        return [said for batch in dict.fromkeys((batches[0], batches[-1])) if self.fastest(batch)
                for said in self.fastest_in_words(batch)]

    # ---- experts or bits ----

    @staticmethod
    def line_of(trade, trades):
        """The rows that differ in kept bits alone, bits ascending."""
        line = ("system", "scheme", "batch", "depth", "policy")
        return sorted((other for other in trades if all(other[key] == trade[key] for key in line)),
                      key=lambda one: one["bits"])

    def about_bits(self):
        """Of the fastest line of the smallest batch: which bits, and which others cannot be told apart from them."""
        trades = [trade for trade in self.summary["bit_trades"] if not trade["is_variant"]]
        if not trades:
            return []
        best = min(trades, key=lambda trade: (trade["batch"], -trade["tokens_per_second"]["value"]))
        others = [trade for trade in self.line_of(best, trades) if trade is not best]
        if not others:
            return []

        def named(trade):
            return f"{trade['bits']} bits with {number(trade['capacity'], 3)} experts per layer"

        second = min(others, key=lambda trade: trade["lead"]["value"])
        equal = [named(trade) for trade in others if not is_above(trade["lead"])]
        lead = estimate_text(second["lead"])
        return [f"{best['system']}, scheme {best['scheme']}, batch {best['batch']}, depth {best['depth']}, policy "
                f"{best['policy']}: at equal bytes {named(best)} yield most, "
                f"{three_digits(best['tokens_per_second']['value'])} tokens per second" +
                (f", but cannot be told apart from {', '.join(equal)} ({lead} times as fast as the second)." if equal
                 else f", {lead} times those of the second, {named(second)}.")]

    # ---- the typical point ----

    def about_a_pass(self):
        point, value = self.typical, self.value
        return [f"At {point_text(point)}, a verification pass touches {number(value(point, 'distinct_experts'), 3)} of "
                f"the {self.experts} experts of a layer.",
                f"With {number(point['capacity'])} of them kept in fast memory (policy {point['policy']}), "
                f"{number(100 * value(point, 'hit_rate'), 3)} % of those touched are resident.",
                f"Of the {number(value(point, 'misses'), 3)} experts that must be fetched, "
                f"{number(value(point, 'rejected_only'), 3)} serve only tokens that are then rejected."]

    def distributions(self, point):
        """Those that hold for its policy, capacity and bits."""
        return [one for one in self.summary["distributions"] if all(
            one[key] in (None, point[key]) for key in ("policy", "capacity", "bits"))]

    @staticmethod
    def odds(lengths):
        """[(marginal, conditional)] of draft token 1, 2, ..."""
        marginal = [sum(lengths[i:]) for i in range(len(lengths))]
        return [(marginal[i], marginal[i] / marginal[i - 1] if marginal[i - 1] else None)
                for i in range(1, len(lengths))]

    def about_a_round(self):
        said = [f"A round there emits {number(self.value(self.typical, 'tokens_per_round'), 3)} tokens per request."]
        held = self.distributions(self.typical)
        deepest = min((one for one in held if one["depth"] == max(one["depth"] for one in held)),
                      key=lambda one: one["batch"])
        odds = self.odds(deepest["accepted_length"])
        if len(odds) >= 2:
            depth, (marginal, conditional) = len(odds), odds[-1]
            said.append(
                f"At batch {deepest['batch']}, depth {depth}, {cache(self.typical)}, draft token 1 is accepted in "
                f"{number(100 * odds[0][0], 3)} % of rounds and token {depth} in {number(100 * marginal, 3)} % (marginal); "
                f"given that all before it were accepted, token {depth} is accepted in "
                f"{number(None if conditional is None else 100 * conditional, 3)} % (conditional).")
        return said

    def how_sure(self):
        rate = self.typical["metrics"]["hit_rate"]
        simulation, trace = rate["mc_half_width"], rate["trace_half_width"]
        if simulation is None or simulation == trace == 0:
            return []
        if trace is None:
            return [f"At {point_text(self.typical)}, the hit rate's simulation error is ± {number(100 * simulation, 2)} "
                    "points; how much more the length of the trace adds cannot be told from this run (see the notes)."]
        advice = ("The length of the trace limits what can be said: more traffic, not more trajectories, would narrow the "
                  "intervals." if trace > simulation else
                  "Simulation noise limits what can be said: more trajectories would narrow the intervals.")
        return [advice, f"Of the hit rate's error at {point_text(self.typical)}, ± {number(100 * simulation, 2)} points "
                        f"are simulation and ± {number(100 * trace, 2)} points are the trace."]

    def sentences(self):
        """All of the answer but its first sentence, which is about the trace."""
        return (self.about_a_pass() + self.about_a_round() + self.speculation() + self.worth_in_words()
                + self.about_bits() + self.how_sure())

    # ---- key figures ----

    def cards(self):
        """[(label, value with intervals, condition)]."""
        found = []
        for label, metric, factor, unit in (
                ("tokens per round", "tokens_per_round", 1, ""),
                ("distinct experts per layer and pass", "distinct_experts", 1, ""), ("hit rate", "hit_rate", 100, " %"),
                ("fetched only for rejected tokens", "rejected_only", 1, "")):
            found.append((label, with_unit(scaled(self.typical["metrics"][metric], factor), unit),
                          point_text(self.typical)))
        best = self.fastest(self.typical["batch"])
        if best is None:
            return found
        lead, second = self.lead("batch", best)
        at = f"batch {best['batch']}, {row_text(best)}"
        if lead and not is_above(lead):
            at += f"; cannot be told apart from {row_text(second)}"
        if best["speedup"]:
            found.append((f"speed-up over {self.reference}", with_unit(best["speedup"], "×"), at))
        if best["speedup_over_autoregressive"]:
            found.append(("speed-up over its autoregressive mode",
                          with_unit(best["speedup_over_autoregressive"], "×"), at))
        found.append(("energy per token", with_unit(best["energy_mj_per_token"], " mJ"), at))
        return found
