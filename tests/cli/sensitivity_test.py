"""Elasticities in summary.json against whole runs of the program on edited presets."""

import math
import os
import re
import shutil
from pathlib import Path

import program

PRESETS = Path(__file__).resolve().parents[2] / "hw/presets"
MODEL = "gpt-oss-20b"
FIGURES = {"speed_elasticity": "tokens_per_second", "elasticity": "speedup",
           "energy_elasticity": "energy_mj_per_token", "energy_gain_elasticity": "energy_gain"}

# Of each preset some constants: energies and powers, rates, whole numbers, what is assumed and what is not.
SAMPLE = [("systems/elmoe3d-4gb", key) for key in ("logic.energy", "static.logic", "hb.read_energy", "ext.bandwidth",
                                                   "streamline.energy", "logic.bits_per_pass")]
SAMPLE += [("systems/xpu", key) for key in ("ext.bandwidth", "ext.energy", "static.ext")]
SAMPLE += [("schemes/eagle", key) for key in ("head.bits", "head.scale_bits")]
SAMPLE += [(f"models/{MODEL}", key) for key in ("attention.kv_bits", "layers.vocabulary", "experts.ffn", "experts.bits")]


def label(row):
    return "{system} {scheme}, batch {batch}, depth {depth}, {policy}, {capacity:.4g} experts per layer, {bits} bits".format(
        **row)


def name_in(row, preset, key):
    """What the constant is called on a row whose label begins with its system and scheme; none where it has no part."""
    kind, name = preset.split("/")
    system, scheme = row.split(",")[0].split(" ")
    if kind == "systems":
        return key if name == system else f"{name}: {key}" if name == "xpu" else None
    return f"{name}: {key}" if kind == "models" or name == scheme else None


class Sensitivity(program.ProgramTest):
    def setUp(self):
        super().setUp()
        self.trace(layers=24, experts=32, top_k=4)

    def simulated(self, preset=None, key=None, value=None, **hardware):
        """summary.json where one constant of the presets has another value; what the program is told by default."""
        presets = self.folder / "presets"
        shutil.rmtree(presets, ignore_errors=True)
        shutil.copytree(PRESETS, presets)
        if preset:
            file = presets / f"{preset}.toml"
            table, name = key.split(".")
            before = file.read_text()
            after = re.sub(rf"(\[{table}\]\n(?:[^\[].*\n)*?{name} = {{ value = )[^,]*,", rf"\g<1>{value!r},", before)
            self.assertNotEqual(after, before, f"{preset}: no {key}")
            file.write_text(after)
        study = self.study(grid={"depth": [3], "capacity": [8], "policy": ["static"], "bits": [8]}, hardware={
            "model": MODEL, "systems": ["xpu", "elmoe3d-4gb"], "schemes": ["ar", "eagle"], **hardware})
        output = self.folder / "out"
        shutil.rmtree(output, ignore_errors=True)
        self.done("--quiet", "simulate", study, "-o", output, "--backend", "cpu",
                  env={**os.environ, "MOECARLO_PRESETS": str(presets)})
        return program.summary(output)

    def values_beside(self, preset, key):
        table, name = key.split(".")
        text = (PRESETS / f"{preset}.toml").read_text()
        found = re.search(rf"\[{table}\]\n(?:[^\[].*\n)*?{name} = {{ value = ([^,]*), unit = \"([^\"]*)\"", text)
        value, unit = float(found[1]), found[2]
        if unit in ("count", "bit"):
            return int(value) - 1, int(value) + 1
        return 0.99 * value, 1.01 * value

    def test_they_are_the_differences_between_runs_on_edited_presets(self):
        results = self.simulated()
        compared, moving = set(), set()
        for preset, key in SAMPLE:
            values = self.values_beside(preset, key)
            low, high = ({label(row): row for row in self.simulated(preset, key, value)["hardware"]}
                         for value in values)
            for row in results["sensitivity"]:
                if row["constant"] != name_in(row["row"], preset, key) or "either way" not in row["method"]:
                    continue
                if "between the counted" in row["method"]:
                    continue
                for elasticity, figure in FIGURES.items():
                    before, after = (side[row["row"]][figure]["value"] for side in (low, high))
                    expected = math.log(after / before) / math.log(values[1] / values[0])
                    self.assertAlmostEqual(row[elasticity], expected, 6, (row, figure))
                    if abs(expected) > 1e-3:
                        moving.add((preset, key))
                compared.add((preset, key))
        self.assertEqual(compared, set(SAMPLE))
        self.assertLessEqual(set(SAMPLE) - moving, {("systems/elmoe3d-4gb", "logic.bits_per_pass")})

    def test_energy_adds_up_over_the_constants_that_cost_it(self):
        results = self.simulated()
        for row in {row["row"] for row in results["sensitivity"]}:
            taken = {one["constant"]: one for one in results["sensitivity"] if one["row"] == row}
            costs = [one for name, one in taken.items()
                     if re.fullmatch(r"static\.\w+|\w+\.(read_|write_)?energy", name)]
            self.assertAlmostEqual(sum(one["energy_elasticity"] for one in costs), 1, 3, row)
            # Fixed residents are never written.
            assumed = [one for one in costs if one["status"] == "assumed" and one["constant"] != "hb.write_energy"]
            self.assertTrue(assumed)
            self.assertTrue(all(one["energy_elasticity"] > 0 for one in assumed), assumed)

    def test_every_constant_has_elasticities_or_the_reason_for_none(self):
        results = self.simulated()
        named = [constant["name"] for constant in results["constants"]]
        of = {name: [constant.split(": ")[1] for constant in named if constant.startswith(f"{name}: ")]
              for name in ("elmoe3d-4gb", "xpu", "eagle", MODEL)}
        rows = {}
        for row in results["sensitivity"]:
            rows.setdefault(row["row"], []).append(row)
            refused = row["method"].startswith("not ")
            self.assertTrue(row["method"])
            for elasticity in FIGURES:
                self.assertEqual(row[elasticity] is None, refused, row)
        self.assertEqual({row.split(",")[0] for row in rows},
                         {f"{system} {scheme}" for system in ("xpu", "elmoe3d-4gb") for scheme in ("ar", "eagle")})
        for row, taken in rows.items():
            system, scheme = row.split(",")[0].split(" ")
            expected = of[system] + [f"{MODEL}: {key}" for key in of[MODEL]]
            expected += [f"xpu: {key}" for key in of["xpu"]] if system != "xpu" else []
            expected += [f"eagle: {key}" for key in of["eagle"]] if scheme == "eagle" else []
            self.assertCountEqual([one["constant"] for one in taken], expected)

    def test_only_the_reference_itself_has_no_elasticity_of_its_speed_up(self):
        largest = {}
        for row in self.simulated()["sensitivity"]:
            if row["elasticity"] is None:
                continue
            name = row["row"].split(",")[0]
            sizes = largest.setdefault(name, {})
            for elasticity in FIGURES:
                sizes[elasticity] = max(sizes.get(elasticity, 0), abs(row[elasticity]))
        self.assertEqual(largest["xpu ar"]["elasticity"], 0)
        self.assertEqual(largest["xpu ar"]["energy_gain_elasticity"], 0)
        self.assertGreater(largest["xpu ar"]["speed_elasticity"], 0.9)
        self.assertGreater(largest["xpu ar"]["energy_elasticity"], 0.5)
        for name in ("xpu eagle", "elmoe3d-4gb ar", "elmoe3d-4gb eagle"):
            for elasticity in FIGURES:
                self.assertGreater(largest[name][elasticity], 0.05, (name, elasticity))

    def test_what_moves_the_cache_is_taken_between_the_capacities_beside_it(self):
        study = self.simulated(vary={"hb.capacity": [0.95, 1.05]}, schemes=["ar"])
        for key in ("hb.capacity", f"{MODEL}: experts.scale_bits", f"{MODEL}: dense.scale_bits"):
            row = [one for one in study["sensitivity"] if one["row"].startswith("elmoe3d") and one["constant"] == key]
            self.assertRegex(row[0]["method"], r"between the counted [\d.]+ and [\d.]+ experts a layer; ", key)
            self.assertIsNotNone(row[0]["energy_elasticity"])


if __name__ == "__main__":
    program.main()
