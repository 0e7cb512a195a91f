"""`systems` lists machines; the page on machines of one's own works as it is written; `evaluate` takes other numbers."""

import csv
import json
import re

import program

ROOT = program.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/machines.md"
PEOPLE = ["rtx3060-ddr4", "rtx3090-ddr4", "rtx4090-ddr5", "rtx5090-ddr5", "h100-pcie", "gh200", "gb10", "strix-halo",
          "m3-max", "mi210-x2", "r9700-x2"]


class Systems(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.output = self.folder / "out"

    def results(self, **tables):
        self.simulate(self.study(**tables), self.output)
        return program.summary(self.output)

    def systems(self, *arguments):
        return json.loads(self.done("systems", *arguments, "--json").stdout)["systems"]

    def test_every_preset_is_listed_with_tiers_units_and_links(self):
        listed = {one["name"]: one for one in self.systems()}
        shipped = {path.stem for path in (ROOT / "hw/presets/systems").glob("*.toml")}
        self.assertEqual(set(listed), shipped)
        self.assertLessEqual({*PEOPLE, "pim-gpt", "xpu", "elmoe3d-8gb"}, shipped)
        for one in listed.values():
            self.assertTrue(one["tiers"] and one["units"], one["name"])
            self.assertTrue(all(tier["bytes_per_second"] > 0 for tier in one["tiers"]))
        self.assertAlmostEqual(listed["elmoe3d-8gb"]["tiers"][0]["bytes_per_second"], 0.97 * 1638.4e9, delta=1)
        self.assertEqual({link["name"] for link in listed["elmoe3d-8gb"]["links"]}, {"streamline", "aggregation"})
        self.assertEqual(listed["mi210-x2"]["devices"], 2)
        self.assertAlmostEqual(listed["mi210-x2"]["tiers"][0]["capacity_bytes"], 128 * 2**30)

    def test_one_preset_has_every_constant_with_its_source(self):
        (one,) = self.systems("rtx4090-ddr5")
        keys = {constant["key"] for constant in one["constants"]}
        self.assertLessEqual({"vram.bandwidth", "pcie.latency", "miss.fetch", "overhead.layer"}, keys)
        self.assertTrue(all(constant["source"] for constant in one["constants"]))
        self.assertEqual(sum(one["statuses"].values()), len(one["constants"]))
        self.refused(program.USAGE, "systems", "rtx4090", says="no such preset")

    def test_the_page_on_machines_of_ones_own_works(self):
        (text,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
        mine = self.folder / "my-machine.toml"
        mine.write_text(text)
        (shown,) = self.systems(mine)
        self.assertEqual([tier["name"] for tier in shown["tiers"]], ["vram", "ram"])
        self.trace(layers=24, experts=32, top_k=4)
        results = self.results(grid={"depth": [0]}, hardware={"model": "gpt-oss-20b", "systems": [str(mine), "xpu"],
                                                             "schemes": ["ar"], "reference": "none"})
        rows = {row["system"]: row for row in results["hardware"]}
        self.assertEqual(set(rows), {"my-machine", "xpu"})
        parts = rows["my-machine"]["breakdown"]
        self.assertAlmostEqual(parts["verify.overhead"], 24 * 15e-6, delta=1e-12)
        (csv,) = re.findall(r"```csv\n(.*?)```", PAGE.read_text(), re.DOTALL)
        (self.folder / "measured.csv").write_text(csv)
        fitted = self.folder / "elsewhere" / "fitted.toml"
        fitted.parent.mkdir()
        self.done("calibrate", self.folder / "measured.csv", "--hardware", mine, "--fit", "overhead.layer,pcie.efficiency",
                  "-o", fitted)
        (one,) = self.systems(fitted)
        self.assertEqual(one["statuses"]["fitted"], 2)
        self.assertEqual([tier["name"] for tier in one["tiers"]], ["vram", "ram"])
        again = json.loads(self.done("evaluate", self.output, "--hardware", mine, "--schemes", "ar", "--json").stdout)
        self.assertEqual({row["system"] for row in again["hardware"]}, {"my-machine"})

    def test_constants_and_context_can_be_set_for_one_evaluation(self):
        self.trace(layers=24, experts=32, top_k=4)
        own = self.results(grid={"depth": [0]}, hardware={"model": "gpt-oss-20b", "systems": ["xpu"], "schemes": ["ar"]})

        def evaluated(*arguments):
            printed = self.done("evaluate", self.output, *arguments, "--json").stdout
            return json.loads(printed)["hardware"][0]

        base = own["hardware"][0]
        twice = evaluated("--set", "ext.bandwidth=204.8GB/s")
        self.assertAlmostEqual(twice["tokens_per_second"]["value"], 2 * base["tokens_per_second"]["value"], delta=1e-6)
        self.assertEqual(evaluated("--set", "ext.bandwidth=204800MB/s")["tokens_per_second"], twice["tokens_per_second"])
        longer = evaluated("--context", 4096)
        self.assertLess(longer["tokens_per_second"]["value"], base["tokens_per_second"]["value"])
        for wrong, says in (("ext.bandwidth=2GHz", "not a value"), ("ext.bandwidht=2", "is it ext.bandwidth?"),
                            ("ext.bandwidth", "expected CONSTANT=VALUE")):
            self.refused(program.USAGE, "evaluate", self.output, "--set", wrong, says=says)
        self.assertEqual(json.loads((self.output / "summary.json").read_text())["hardware"], own["hardware"])

    def test_a_band_holds_every_row_and_is_there_on_demand_alone(self):
        self.trace(layers=24, experts=32, top_k=4)
        own = self.results(grid={"depth": [0, 2], "policy": ["lru"]}, hardware={
            "model": "gpt-oss-20b", "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "eagle"]})
        self.assertTrue(all(row["band"] is None for row in own["hardware"]))
        banded = json.loads(self.done("evaluate", self.output, "--band", "--json").stdout)
        for row, before in zip(banded["hardware"], own["hardware"], strict=True):
            band = row["band"]
            self.assertEqual({**row, "band": None}, before)
            for figure, low_high in (("tokens_per_second", band), ("speedup", band["speedup"]),
                                     ("energy_mj_per_token", band["energy_mj_per_token"]),
                                     ("energy_gain", band["energy_gain"])):
                self.assertLessEqual(low_high["low"], row[figure]["value"] * (1 + 1e-9), figure)
                self.assertGreaterEqual(low_high["high"], row[figure]["value"] * (1 - 1e-9), figure)
            self.assertGreaterEqual(band["alone"]["low"], band["low"])
            self.assertLessEqual(band["alone"]["high"], band["high"])
            self.assertGreater(band["constants"], 0)
            self.assertLess(band["energy_mj_per_token"]["low"], band["energy_mj_per_token"]["high"])

    def test_each_part_says_how_it_uses_the_machine(self):
        self.trace(layers=24, experts=32, top_k=4)
        results = self.results(grid={"batch": [1, 4], "depth": [0, 2], "policy": ["lru"]}, hardware={
            "model": "gpt-oss-20b", "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "elastic"]})
        self.assertEqual(set(results["ridges"]), {"xpu", "elmoe3d-4gb"})
        self.assertAlmostEqual(results["ridges"]["xpu"]["compute"] / (2 * 16 * 16384e9 / (0.99 * 102.4e9)), 1, 9)
        for row in results["hardware"]:
            parts, breakdown = row["parts"], row["breakdown"]
            self.assertEqual(set(parts), {name for name in breakdown
                                          if re.fullmatch(r"(draft|verify)\.\w+", name) and breakdown[name] > 0})
            read = sum(breakdown[f"bytes_read.{name}"] for name in parts)
            done = sum(breakdown[f"operations.{name}"] for name in parts)
            self.assertAlmostEqual(done / read / row["operations_per_byte"], 1, 9)
            for resource, share in row["busy"].items():
                own = sum(part["busy"][resource] * breakdown[name] for name, part in parts.items())
                self.assertAlmostEqual(own / breakdown["seconds"], share, 9)
            for name, part in parts.items():
                self.assertTrue(all(0 <= share <= 1 + 1e-9 for share in part["busy"].values()), (name, part))
        self.assertIn("figures/use.svg", self.files(self.output))
        with (self.output / "hardware.csv").open() as file:
            metrics = {row["metric"] for row in csv.DictReader(file)}
        self.assertLessEqual({"busy.ext", "busy.verify.experts.ext", "operations_per_byte.verify.experts",
                              "energy.published", "energy.derived", "energy.assumed"}, metrics)

    def test_nothing_resident_is_a_point_like_any_other(self):
        self.trace()
        policies = ["static", "lru", "fifo", "lfu", "lfu-kept", "slru", "random", "belady", "belady-bypass", "hotness"]
        results = self.results(grid={"depth": [0, 2], "policy": policies, "capacity": [0, 4]})
        nothing = [point["metrics"] for point in results["points"] if point["capacity"] == 0]
        self.assertEqual(len(nothing), 2 * len(policies))
        for metrics in nothing:
            self.assertEqual((metrics["hit_rate"]["value"], metrics["hit_rate"]["mc_half_width"]), (0, 0))
            self.assertEqual(metrics["misses"]["value"], metrics["distinct_experts"]["value"])
            self.assertEqual(metrics["cache_writes"]["value"], 0)

    def test_a_machine_that_cannot_hold_the_model_is_a_row_that_says_so(self):
        self.trace(layers=48, experts=128, top_k=8)
        results = self.results(grid={"depth": [0]}, hardware={
            "model": "qwen3-30b-a3b", "systems": ["pim-gpt", "gb10"], "schemes": ["ar"], "reference": "gb10"})
        self.assertEqual({row["system"] for row in results["hardware"]}, {"gb10"})
        (left_out,) = results["left_out"]
        self.assertEqual(left_out["system"], "pim-gpt")
        self.assertRegex(left_out["reason"], r"does not fit in gddr \(short by [\d.]+ GB")


if __name__ == "__main__":
    program.main()
