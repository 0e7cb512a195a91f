"""The report in a browser: no error, no request, no violation of axe's rules (light, dark and at 400 pixels, folded and
open), at most eight pages on paper, and every number of its tables is one of summary.json. Needs Chromium and the package
axe-core-python. Usage: page_test.py [MOECARLO]
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path

if len(sys.argv) > 1:
    os.environ["MOECARLO"] = sys.argv[1]
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "host/python"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
try:
    import axe_core_python
    import numpy as np

    import moecarlo
    if CHROMIUM is None:
        raise ImportError("no Chromium here")
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
CHECK = """<script>%s</script><script>
const said = [];
window.addEventListener("error", event => said.push(String(event.message)));
window.addEventListener("load", async () => {
  const found = await axe.run(document, {resultTypes: ["violations"], ...%r});
  const wide = document.documentElement.scrollWidth > window.innerWidth;
  const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
  const told = found.violations.map(
    one => ({id: one.id, nodes: one.nodes.slice(0, 3).map(node => node.html.slice(0, 200))}));
  document.body.textContent = "ANSWER" + JSON.stringify({violations: told, wide, loaded, said}) + "END";
});</script></body>"""


class Tables(HTMLParser):
    """Texts of the cells of each table, by the first words of its caption."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.caption, self.cell, self.inside = {}, None, None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "caption":
            self.caption = ""
        self.inside = tag if tag in ("caption", "td", "th") else self.inside
        if tag in ("td", "th"):
            self.cell = ""
        if tag == "tr" and self.caption is not None:
            self.tables.setdefault(self.caption, []).append([])

    def handle_data(self, data):
        if self.inside == "caption":
            self.caption += data
        elif self.inside in ("td", "th") and self.cell is not None:
            self.cell += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[self.caption][-1].append(self.cell)
            self.cell = None
        if tag in ("caption", "td", "th"):
            self.inside = None


def browser(*options):
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        rng = np.random.default_rng(1)
        sequences = [np.argsort(rng.gumbel(size=(30, 6, 32)), axis=2)[:, :, :4] for _ in range(20)]
        moecarlo.write_trace(cls.folder / "t.h5", sequences, 32)
        study = moecarlo.Study(
            cls.folder / "t.h5", {"batch": [1, 4], "depth": [0, 2, 4], "policy": ["static", "lru"], "capacity": [8, 16],
                                  "bits": [4, 8]},
            {"alpha": 0.7}, trajectories=512, rounds=2,
            hardware={"model": "gpt-oss-20b-int8", "systems": ["xpu", "elmoe3d-8gb"], "schemes": ["ar", "elastic"]})
        cls.results = moecarlo.run(study, cls.folder / "out")
        cls.text = (cls.folder / "out/report.html").read_text()

    def answer(self, text, only, *options):
        page = self.folder / "out/checked.html"
        check = CHECK.replace("%r", json.dumps({"runOnly": only} if only else {})).replace("%s", AXE)
        page.write_text(text.replace("</body>", check))
        found = re.search(r"ANSWER(.*?)END", browser("--dump-dom", *options, page.as_uri()), re.S)
        return json.loads(found[1].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))

    def test_no_violation_no_error_no_request_and_no_sideways_scrolling(self):
        opened = self.text.replace("<details>", "<details open>")
        contrast = ["color-contrast"]
        for name, text, only, *options in (
            ("folded", self.text, None, "--window-size=1280,900"), ("open", opened, None, "--window-size=1280,900"),
            ("dark", opened, contrast, "--window-size=1280,900", "--blink-settings=preferredColorScheme=0"),
            ("narrow", opened, contrast, "--window-size=500,900"),
        ):
            with self.subTest(name):
                clean = {"violations": [], "wide": False, "loaded": [], "said": []}
                self.assertEqual(self.answer(text, only, *options), clean)

    def test_at_400_pixels_tables_and_figures_scroll_inside_themselves(self):
        # A headless window is at least 500 pixels wide: a frame is not.
        opened = self.text.replace("<details>", "<details open>")
        (self.folder / "out/inner.html").write_text(opened)
        outer = ('<html><body style="margin:0"><iframe src="inner.html" width="400" height="800"></iframe><script>'
                 'window.addEventListener("load", () => { const inner = document.querySelector("iframe").contentDocument; '
                 'document.title = "WIDTH" + (inner.documentElement.scrollWidth - '
                 'inner.documentElement.clientWidth) + "END"; });</script></body></html>')
        (self.folder / "out/outer.html").write_text(outer)
        shown = browser("--dump-dom", "--allow-file-access-from-files", (self.folder / "out/outer.html").as_uri())
        self.assertEqual(re.search(r"WIDTH(-?\d+)END", shown)[1], "0")

    def test_it_prints_to_at_most_eight_pages(self):
        paper = self.folder / "paper.pdf"
        browser(f"--print-to-pdf={paper}", (self.folder / "out/report.html").as_uri())
        pages = len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
        self.assertTrue(1 <= pages <= 8, pages)

    def test_it_is_small_and_asks_for_nothing(self):
        self.assertLess(len(self.text), 400_000)
        self.assertNotRegex(self.text, r"<script|<link|@import|url\(|src=")

    def test_the_decision_is_that_of_summary_json(self):
        """Recomputed from the rows: of each batch the fastest design, its speed and its gain as they are written."""
        rows = self.results.summary["hardware"]
        (caption, table), = [(c, t) for c, t in Tables(self.text).tables.items() if c.startswith("The best design of each")]
        header, *shown = table
        self.assertEqual([int(row[0]) for row in shown], [1, 4])
        for cells in shown:
            found = dict(zip(header, cells))
            best = max((row for row in rows if row["batch"] == int(found["batch"]) and not row["variant_of"]),
                       key=lambda row: row["tokens_per_second"]["value"])
            design = f"{best['system']} with scheme {best['scheme']} (depth {best['depth']}, policy {best['policy']}, "
            self.assertTrue(found["best design"].startswith(design))
            self.same(found["tokens per second"], best["tokens_per_second"])
            gain = best["speedup_over_autoregressive"]
            if gain is None:
                self.assertEqual((found["times"], found["speculation"]), ("no draft", "does not pay"))
                continue
            self.same(found["times"], gain)
            reach = (gain["mc_half_width"] or 0) + (gain["trace_half_width"] or 0)
            expected = ("pays" if gain["value"] - reach > 1 else "does not pay" if gain["value"] + reach <= 1
                        else "cannot be told apart")
            self.assertEqual(found["speculation"], expected)
            self.assertIn(f"batch {best['batch']}", self.text)

    def same(self, cell, figure):
        """ "1.42 ± 0.01 ± 0.02" is the figure, rounded to the digits that are written."""
        written = [float(word.replace(",", "")) for word in cell.replace("n/a", "nan").split(" ± ")]
        for number, word, key in zip(written, cell.split(" ± "), ("value", "mc_half_width", "trace_half_width")):
            decimals = len(word.partition(".")[2])
            if figure[key] is None:
                self.assertTrue(np.isnan(number))
            else:
                self.assertAlmostEqual(number, round(figure[key], decimals), 9)

    def test_every_estimate_of_the_page_is_one_of_summary_json(self):
        """Each "value ± simulation ± trace" of a table is a figure, 100 times one, or one of a draft token."""
        known = []

        def collect(item):
            if isinstance(item, dict):
                if {"value", "mc_half_width"} <= set(item):
                    known.append(item)
                for each in item.values():
                    collect(each)
            elif isinstance(item, list):
                for each in item:
                    collect(each)

        collect(self.results.summary)
        values = np.array(sorted({figure["value"] for figure in known if figure["value"] is not None}))
        values = np.unique(np.concatenate([values, 100 * values] + [values / depth for depth in (2, 4)]))
        seen = 0
        for table in Tables(self.text).tables.values():
            for row in table:
                for cell in row:
                    for word in re.findall(r"(-?[\d,]+\.?\d*) ± ", cell)[:1]:
                        unit = 0.5000001 * 10 ** -len(word.partition(".")[2])
                        number = float(word.replace(",", ""))
                        self.assertLessEqual(np.abs(values - number).min(), unit, f"{cell!r} is nowhere in summary.json")
                        seen += 1
        self.assertGreater(seen, 50)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
