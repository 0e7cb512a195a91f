#!/usr/bin/env python3
"""What the speculative cells of ELMoE-3D's Table 3 follow: hypotheses, each with its error on the given cells.

    results/elmoe3d/hypotheses.py --published ../shared/published/elmoe3d_table3.csv

writes hypotheses.csv and hypotheses.md beside this file. The criterion was fixed before anything was
fitted: constants are shared by all models; the error is the mean of |ln(ours / published)| over the given speculative
cells; a hypothesis is taken up only if it also lowers the error of predicting each model from a fit to the other one.
Settings within a tenth of the least error count as fitting as well. Every constant runs over a grid, all of which is
looked at.
"""

import argparse
import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import table_model as tm
from table_cells import Table

HERE = Path(__file__).resolve().parent
NEARLY = 1.1
DEPTHS = range(5, 13)
CHOSEN = "the same; their alpha is a share of the tokens that a round may emit, bonus token included"


@dataclass
class Hypothesis:
    """A way that the paper may have counted. Unions of a request: of `tokens` independent ones, of a tree whose tokens
    are alike (`overlap`), or by `reuse`, over so many tokens. `emitted`: what a round of d draft steps emits: 1 + alpha
    d; "within": alpha (d + 1), the bonus token among the accepted ones; "alone": alpha d."""
    name: str
    union: str = "reuse"
    over: int = 8
    degrade: tuple = (None,)
    degrades: str = "others"           # all schemes but Elastic, or "all"
    emitted: tuple = ("bonus", "bonus")  # of schemes with a drafter of their own, and of the target's own drafts
    one_depth: bool = False
    chain: bool = False
    head_factor: float = 1

    def verify_axis(self):
        return {"overlap": np.arange(0.11, 0.36, 0.02), "tokens": np.arange(2, 6.1, 0.25),
                "reuse": np.arange(0.2, 1.21, 0.05)}[self.union]

    def draft_axis(self):
        if self.union == "overlap" or self.chain:
            return [None]
        return np.arange(2, 6.1, 0.25) if self.union == "tokens" else np.arange(0.2, 0.96, 0.05)

    def request_unions(self, table, verify, draft):
        if self.union == "overlap":
            of_tree, of_level = (1 / (verify + (1 - verify) / n) for n in (tm.VERIFIED, tm.WIDTH))
            return table.independent(of_tree), table.independent(of_level), of_level
        verified = table.independent(verify) if self.union == "tokens" else table.reused(self.over, verify)
        if self.chain:
            return verified, table.top_k, 1.0
        if self.union == "tokens":
            return verified, table.independent(draft), draft
        drafted = table.reused(tm.WIDTH, draft)
        return verified, drafted, drafted / table.top_k


def emitted(how, alpha, depth):
    return {"bonus": 1 + alpha * depth, "within": alpha * (depth + 1), "alone": alpha * depth}[how]


def logarithms(hypothesis, table, exponent, verify, draft, depth):
    """ln(ours / published) of every cell."""
    degrades = np.ones(len(table.cells), bool) if hypothesis.degrades == "all" else ~table.elastic
    verified, drafted, alike = hypothesis.request_unions(table, verify, draft)
    union = table.of_requests(verified)
    share = table.hit_share(union, exponent, degrades)
    check = table.verify_dense + table.verify(share * union, (1 - share) * union)
    union = table.of_requests(drafted)
    share = table.hit_share(union, exponent, degrades)
    hits = np.where(table.elastic, table.residents(table.batch * alike), share * union)
    step = table.draft_dense + table.draft(hits, np.where(table.scheme == "quant", (1 - share) * union, 0))
    tokens = np.where(table.own, emitted(hypothesis.emitted[0], table.alpha, depth),
                      emitted(hypothesis.emitted[1], table.alpha, depth))
    return np.log(tokens * table.reference / (depth * step + check) / table.published)


def settings(hypothesis, table):
    """Every setting of the grid: exponent, verify, {(draft, depth): errors by cell}. Cells of a scheme depend only on
    some of the axes, so that these are looked at apart."""
    for exponent, verify in itertools.product(hypothesis.degrade, hypothesis.verify_axis()):
        parts = {(draft, depth): logarithms(hypothesis, table, exponent, verify, draft, depth)
                 for draft in hypothesis.draft_axis() for depth in DEPTHS}
        yield exponent, verify, parts


def best_of(table, all_settings, one_depth, among):
    """(mean error, setting, errors by cell) of the best setting for the cells `among`."""
    def sums(errors, cells):
        return np.abs(errors[cells & among]).sum()

    best = (np.inf, None, None)
    quant = table.scheme == "quant"
    for exponent, verify, parts in all_settings:
        drafts = list(dict.fromkeys(draft for draft, _ in parts))
        own = {depth: sums(parts[drafts[0], depth], table.own) for depth in DEPTHS}
        for depth in DEPTHS:
            of_quant, of_elastic = (min(((sums(parts[d, depth], cells), i) for i, d in enumerate(drafts)))
                                    for cells in (quant, table.elastic))
            own_depth = depth if one_depth else min(own, key=own.get)
            total = own[own_depth] + of_quant[0] + of_elastic[0]
            if total < best[0]:
                errors = np.select([table.own, quant], [parts[drafts[0], own_depth], parts[drafts[of_quant[1]], depth]],
                                   parts[drafts[of_elastic[1]], depth])
                best = (total, (exponent, verify, own_depth, depth, drafts[of_quant[1]], drafts[of_elastic[1]]), errors)
    return best[0] / max(1, among.sum()), best[1], best[2]


HYPOTHESES = [
    Hypothesis("one overlap for all tokens of a tree, one depth", "overlap", one_depth=True),
    Hypothesis("so many independent tokens, one depth", "tokens", one_depth=True),
    Hypothesis("unions grow by the model's locality, one depth", one_depth=True),
    Hypothesis("the same; hits degrade as the union grows", degrade=(1, 1.25, 1.5, 2), one_depth=True),
    Hypothesis("the same; drafters of their own have their own depth", degrade=(1, 1.25, 1.5, 2)),
    Hypothesis("the same; their alpha counts the bonus token, over depth", degrade=(1, 1.25, 1.5, 2),
               emitted=("alone", "bonus")),
    Hypothesis(CHOSEN, degrade=(1, 1.25, 1.5, 2), emitted=("within", "bonus")),
    Hypothesis("the same for all schemes", degrade=(1, 1.25, 1.5, 2), emitted=("within", "within")),
    Hypothesis("the same for all schemes, one depth", degrade=(1, 1.25, 1.5, 2), emitted=("within", "within"),
               one_depth=True),
    Hypothesis("chosen, hits do not degrade", emitted=("within", "bonus")),
    Hypothesis("chosen, Elastic's hits degrade too", degrade=(1, 1.25, 1.5, 2), degrades="all",
               emitted=("within", "bonus")),
    Hypothesis("chosen, so many independent tokens", "tokens", degrade=(1, 1.25, 1.5, 2), emitted=("within", "bonus")),
    Hypothesis("chosen, one overlap for all tokens of a tree", "overlap", degrade=(1, 1.25, 1.5, 2),
               emitted=("within", "bonus")),
    Hypothesis("chosen, unions of 16 tokens", over=16, degrade=(1, 1.25, 1.5, 2), emitted=("within", "bonus")),
    Hypothesis("chosen, drafts are chains", chain=True, degrade=(1, 1.25, 1.5, 2), emitted=("within", "bonus")),
    Hypothesis("chosen, drafters in FP16", head_factor=16 / 8.5, degrade=(1, 1.25, 1.5, 2),
               emitted=("within", "bonus")),
]


def errors_of(table, errors):
    """Median of |ours / published - 1| by scheme, of Elastic's, of the others', of all; the worst."""
    off = np.abs(np.expm1(errors))
    schemes = {name: float(np.median(off[table.scheme == name])) for name in ("elastic", "eagle", "slm", "quant")}
    return {**schemes, "others": float(np.median(off[~table.elastic])), "all": float(np.median(off)),
            "worst": float(off.max())}


def examine(hypothesis, table):
    everything = list(settings(hypothesis, table))
    every = np.ones(len(table.cells), bool)
    mean, setting, errors = best_of(table, everything, hypothesis.one_depth, every)
    across = {}
    for name, groups in (("models", [table.model == m for m in set(table.model)]),
                         ("sizes", [table.gib == g for g in set(table.gib)])):
        held_out = [np.abs(best_of(table, everything, hypothesis.one_depth, group)[2][~group]) for group in groups]
        across[name] = float(np.concatenate(held_out).mean())
    return {"mean": mean, "setting": setting, "errors": errors, "across": across, "all": everything}


def fitting_as_well(table, all_settings, least):
    """Of all settings whose mean error is within NEARLY of the least: the range of each constant, and of the medians."""
    quant, ranges, count = table.scheme == "quant", {}, 0

    def widen(**values):
        for name, value in values.items():
            low, high = ranges.get(name, (value, value))
            ranges[name] = (min(low, value), max(high, value))

    for exponent, verify, parts in all_settings:
        drafts = list(dict.fromkeys(draft for draft, _ in parts))
        off = {key: np.abs(errors) for key, errors in parts.items()}
        # Settings of one group of cells, apart: what each adds to the sum of errors.
        own = {depth: off[drafts[0], depth][table.own] for depth in DEPTHS}
        of_quant = {key: value[quant] for key, value in off.items()}
        of_elastic = {key: value[table.elastic] for key, value in off.items()}
        for depth in DEPTHS:
            left = NEARLY * least * len(table.cells) - min(of_elastic[d, depth].sum() for d in drafts)
            for own_depth, draft in itertools.product(DEPTHS, drafts):
                two = own[own_depth].sum() + of_quant[draft, depth].sum()
                if two > left:
                    continue
                others = float(np.median(np.expm1(np.concatenate([own[own_depth], of_quant[draft, depth]]))))
                for last in drafts:
                    cells = of_elastic[last, depth]
                    if two + cells.sum() > NEARLY * least * len(table.cells):
                        continue
                    count += 1
                    widen(exponent=exponent, verify=verify, own_depth=own_depth, depth=depth, quant_draft=draft,
                          elastic_draft=last, elastic_median=float(np.median(np.expm1(cells))), others_median=others)
    return count, ranges


def per_cent(value):
    return f"{100 * value:.1f}"


def setting_text(setting):
    exponent, verify, own_depth, depth, quant, elastic = setting
    text = f"{verify:.2f}" + "".join("" if x is None else f", {x:.2f}" for x in (quant, elastic))
    return f"{own_depth} and {depth}", "-" if exponent is None else f"{exponent:g}", text


def markdown(rows, table, chosen, count, ranges):
    lines = ["# Speculative cells of Table 3: hypotheses and their errors", "",
             f"{len(table.cells)} given cells of two models. Made by `hypotheses.py`, which says what the criterion is.",
             "Mean: of |ln(ours / published)|, in per cent; *across*: of cells of one model (one memory size), with all "
             "constants fitted to", "the other. Medians and worst: of |ours / published - 1|, in per cent. Depths: of "
             "EAGLE and SLM, of Quant and Elastic.", "",
             "| hypothesis | mean | across models | across sizes | Elastic | others | EAGLE | SLM | Quant | worst | "
             "depths | degradation | unions: verify, Quant's and Elastic's draft |", "|" + "---|" * 13]
    for name, result, errors in rows:
        depths, exponent, unions = setting_text(result["setting"])
        mark = "**" if name == CHOSEN else ""
        figures = [result["mean"], result["across"]["models"], result["across"]["sizes"]]
        figures += [errors[key] for key in ("elastic", "others", "eagle", "slm", "quant", "worst")]
        lines.append("| " + " | ".join([f"{mark}{name}{mark}", *map(per_cent, figures), depths, exponent, unions]) + " |")
    lines += ["", f"{count} settings of the chosen hypothesis fit within {100 * (NEARLY - 1):.0f} % of its least error:", "",
              "| | from | to |", "|---|---|---|"]
    for name, (low, high) in ranges.items():
        median = name.endswith("median")
        ends = [per_cent(x) if median else f"{x:.4g}" for x in (low, high)]
        lines.append(f"| {name.replace('_', ' ')}{' error, %' if median else ''} | {ends[0]} | {ends[1]} |")
    lines += ["", "## The residue", "", "Ours / published - 1 in per cent, batch 1, 4, 8, 16, chosen setting.", "",
              "| model | scheme | 4 GB | 8 GB |", "|---|---|---|---|"]
    for model in sorted(set(table.model)):
        for scheme in ("elastic", "eagle", "slm", "quant"):
            by_size = [" ".join(f"{100 * np.expm1(e):+.0f}" for e in chosen["errors"][
                (table.model == model) & (table.scheme == scheme) & (table.gib == gib)]) for gib in (4, 8)]
            lines.append(f"| {model} | {scheme} | {' | '.join(by_size)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, required=True, help="cells as `moecarlo reproduce` reads them")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for the tables")
    options = parser.parse_args()
    cells = [cell for cell in tm.published(options.published) if cell.published]
    tables = {factor: Table(cells, factor) for factor in {h.head_factor for h in HYPOTHESES}}
    rows = []
    for hypothesis in HYPOTHESES:
        result = examine(hypothesis, tables[hypothesis.head_factor])
        rows.append((hypothesis.name, result, errors_of(tables[hypothesis.head_factor], result["errors"])))
    table = tables[1]
    chosen = next(result for name, result, _ in rows if name == CHOSEN)
    count, ranges = fitting_as_well(table, chosen["all"], chosen["mean"])
    (options.output / "hypotheses.md").write_text(markdown(rows, table, chosen, count, ranges))
    with open(options.output / "hypotheses.csv", "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["hypothesis", "mean", "across_models", "across_sizes", "elastic", "others", "eagle", "slm", "quant",
                      "all", "worst", "exponent", "verify", "own_depth", "depth", "quant_draft", "elastic_draft"])
        for name, result, errors in rows:
            figures = [result["mean"], *result["across"].values(),
                       *(errors[key] for key in ("elastic", "others", "eagle", "slm", "quant", "all", "worst"))]
            out.writerow([name, *(f"{x:.4f}" for x in figures),
                          *("" if x is None else f"{x:g}" for x in np.round(np.array(
                              [np.nan if x is None else x for x in result["setting"]], float), 4).tolist())])


if __name__ == "__main__":
    main()
