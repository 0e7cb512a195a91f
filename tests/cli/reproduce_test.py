"""`reproduce elmoe3d` prints the published table beside ours, by law and counted."""

import json
import sys
from pathlib import Path

import numpy as np
import program

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "results" / "elmoe3d"))
import hypotheses  # noqa: E402
import table_cells  # noqa: E402
import table_model  # noqa: E402

PUBLISHED = program.RECORDED_TRACES / ".." / "published" / "elmoe3d_table3.csv"
HEADER = "hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup\n"


class Reproduce(program.ProgramTest):
    def table(self, *options):
        return json.loads(self.done("--quiet", "reproduce", "elmoe3d", "--json", *options).stdout)

    def published(self, lines):
        path = self.folder / "table.csv"
        path.write_text(HEADER + lines)
        return path

    def test_without_published_cells_there_is_no_acceptance_and_no_speculative_cell(self):
        table = self.table("--law-only")
        self.assertEqual(len(table["cells"]), 2 * 4 * 4 * 4)
        for cell in table["cells"]:
            self.assertIsNone(cell["alpha"])
            self.assertEqual(cell["sd"], {"ours": None, "counted": None, "published": None,
                                          "error": None, "counted_error": None})
            self.assertIsNone(cell["ar"]["counted"])
            self.assertGreaterEqual(cell["ar"]["ours"], 1)
        self.assertNotIn("errors", table)
        self.assertEqual({row["status"] for row in table["fitted"]}, {"derived", "assumed"})

    def test_an_acceptance_gives_the_speculative_cell_of_its_design_only(self):
        file = self.published("8,Qwen3-30B-A3B,elastic,4,0.5,3.78,\n4,GLM-4.7-Flash,eagle,1,0.25,2.50,1.0\n")
        table = self.table("--law-only", "--published", file)
        drafting = [cell for cell in table["cells"] if cell["sd"]["ours"] is not None]
        self.assertEqual([(cell["hb_gb"], cell["model"], cell["scheme"], cell["batch"]) for cell in drafting],
                         [(4, "glm-4.7-flash", "eagle", 1), (8, "qwen3-30b-a3b", "elastic", 4)])
        self.assertEqual(drafting[0]["sd"]["published"], 1.0)
        self.assertIsNone(drafting[1]["sd"]["published"])
        # Twice the accepted tokens in the same round.
        more = self.published("8,Qwen3-30B-A3B,elastic,4,1,3.78,\n")
        twice = [cell for cell in self.table("--law-only", "--published", more)["cells"] if cell["alpha"]][0]
        self.assertAlmostEqual(twice["sd"]["ours"] / drafting[1]["sd"]["ours"], (1 + 8) / (1 + 4), places=12)

    def test_counted_cells_respect_the_roof_and_agree_with_the_law_where_nothing_is_cached(self):
        table = self.table("--trajectories", 64)
        for cell in table["cells"]:
            counted = cell["ar"]["counted"]
            design = (cell["hb_gb"], cell["model"], cell["scheme"], cell["batch"])
            self.assertLess(counted, 1.03 * cell["ar"]["roof"], design)
            if cell["slots"] == 0:
                self.assertAlmostEqual(counted / cell["ar"]["ours"], 1, delta=0.03, msg=design)

    def test_a_trace_takes_the_place_of_synthetic_routing(self):
        def counted(*options):
            return [cell["ar"]["counted"] for cell in self.table("--trajectories", 64, *options)["cells"]
                    if cell["model"] == "deepseek-v2-lite"]

        trace = self.folder / "sticky.h5"
        self.done("--quiet", "synth", "-o", trace, "--layers", 2, "--experts", 64, "--top-k", 6, "--sequences", 16,
                  "--tokens-per-sequence", 128, "--stickiness", 0.8)
        for sticky, independent in zip(counted("--trace", f"deepseek-v2-lite={trace}"), counted()):
            self.assertGreater(sticky, independent * 0.999)

    def test_the_whole_published_table(self):
        if not PUBLISHED.exists():
            self.skipTest(f"{PUBLISHED} is not there")
        table = self.table("--law-only", "--published", PUBLISHED)
        self.assertEqual(table["errors"]["elastic"]["ar, law"]["cells"], 32)
        self.assertLess(table["errors"]["elastic"]["sd, law"]["median"], 0.08)
        text = self.done("reproduce", "elmoe3d", "--law-only", "--published", PUBLISHED).stdout
        self.assertIn("above the roof", text)
        self.assertIn("as without a cache", text)
        self.assertIn("Energy per token on the xPU over that of Elastic's faster mode", text)
        energy = table["energy_gain"]
        self.assertEqual(energy["published"], 4.4)
        self.assertLess(energy["mean"], energy["published"])
        self.assertGreater(energy["missing_watts"], 0)
        for cell in table["cells"]:
            self.assertAlmostEqual(cell["ar"]["error"], cell["ar"]["ours"] / cell["ar"]["published"] - 1, 12)

    def test_every_cell_is_that_of_the_second_model_in_closed_form(self):
        """Of cells that nobody published: designs and acceptances of our own."""
        names = {"Qwen3-30B-A3B": 0.3, "GLM-4.7-Flash": 0.5, "DeepSeek-V2-Lite": 0.7, "GPT-OSS-20B": 0.9}
        lines = [f"{gib},{model},{scheme},{batch},{alpha},1,1" for gib in (4, 8) for model, alpha in names.items()
                 for scheme in ("elastic", "eagle", "slm", "quant") for batch in (1, 16)]
        file = self.published("\n".join(lines) + "\n")
        ours = {(cell["hb_gb"], cell["model"], cell["scheme"], cell["batch"]): cell
                for cell in self.table("--law-only", "--published", file)["cells"] if cell["alpha"]}
        rows = table_model.preset("reproductions", "elmoe3d")
        table = table_cells.Table(table_model.published(file))
        chosen = next(one for one in hypotheses.HYPOTHESES if one.name == hypotheses.CHOSEN)
        reuse = {"quant": rows["draft_reuse"]["quant"], "elastic": rows["draft_reuse"]["elastic"]}
        parts = {scheme: hypotheses.logarithms(chosen, table, rows["hits"]["degradation"], rows["verify"]["reuse"],
                                               reuse.get(scheme, 0.5), rows["depth"][scheme])
                 for scheme in rows["depth"]}
        for at, cell in enumerate(table.cells):
            program_cell = ours[cell.gib, cell.model.name, cell.scheme, cell.batch]
            self.assertAlmostEqual(program_cell["ar"]["ours"] / cell.ar(), 1, 9)
            expected = np.exp(parts[cell.scheme][at])  # over a published 1
            self.assertAlmostEqual(program_cell["sd"]["ours"] / expected, 1, 3, msg=lines[at])

    def test_baselines_and_means_stand_beside_the_published_means(self):
        if not PUBLISHED.exists():
            self.skipTest(f"{PUBLISHED} is not there")
        table = self.table("--law-only", "--published", PUBLISHED)
        self.assertEqual({row["system"] for row in table["baselines"]},
                         {"xpu-pim", "xpu-logicpim", "xpu-nmp", "hb-xpu"})
        means = table["aggregates"]
        self.assertEqual(means["over_reference"]["speed"]["published"], 6.6)
        self.assertEqual(means["over_best_prior"]["energy"]["published"], 1.4)
        self.assertEqual(means["over_reference"]["cells"], 16)
        self.assertLess(means["over_best_prior"]["speed"]["ours"],
                        means["over_best_prior_without_near_memory"]["speed"]["ours"])
        self.assertIn("other datasets", means["datasets"]["missing"])
        text = self.done("reproduce", "elmoe3d", "--law-only", "--published", PUBLISHED).stdout
        self.assertIn("speed over the best prior machine of each cell", text)
        self.assertIn("Missing: the paper's other datasets", text)

    def test_mistakes_are_named(self):
        self.refused(2, "reproduce", "elmoe3d", "--trace", "gpt-4=a.h5",
                     says=["expected MODEL=FILE with a model of the table, found gpt-4=a.h5"])
        self.refused(2, "reproduce", "elmoe3d", "--law-only", "--trace", "a=b",
                     says=["expected no --law-only beside it"])
        self.refused(3, "reproduce", "elmoe3d", "--published", "missing.csv", says=["missing.csv: cannot be read"])
        self.refused(2, "reproduce", "other", says=["TABLE"])


if __name__ == "__main__":
    program.main()
