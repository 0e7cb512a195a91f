"""`bitslice` counts what NumPy counts, refuses weights that break the format, and its results change a study."""

import csv
import json
import sys

import h5py
import numpy as np

import program
from program import CROSS_CHECK, INPUT, USAGE

sys.path.insert(0, str(CROSS_CHECK))
import bitslice  # noqa: E402

LAYERS, EXPERTS, SHAPE = (0, 3), (1, 2, 7), {"gate": (46, 100), "up": (46, 100), "down": (100, 46)}
CONFIG = {"hidden_size": 512, "num_hidden_layers": 3, "vocab_size": 1000, "num_attention_heads": 8,
          "num_key_value_heads": 2, "head_dim": 64, "num_experts": 16, "num_experts_per_tok": 2,
          "moe_intermediate_size": 256, "intermediate_size": 1024}


def write_matrix(file, layer, expert, projection, w, scale, original):
    group = file.create_group(f"matrices/layers.{layer}.experts.{expert}.{projection}")
    group.attrs.update(layer=layer, expert=expert, projection=projection)
    group.create_dataset("int8", data=w.astype(np.int8), compression="gzip", shuffle=True)
    group["scale"] = scale
    group["original"] = original.astype(np.float16 if projection == "up" else np.float32)


def write_weights(path, model="small", sigma=0.02):
    """Gaussian weights, a few of them odd: a group of zeros, scales far apart, matrices whose scales need rounding."""
    with h5py.File(path, "w") as file:
        file.attrs.update(schema="moecarlo-weights", schema_version=1, model=model, source="random numbers")
        for seed, (layer, expert, projection) in enumerate(
                (layer, expert, projection) for layer in LAYERS for expert in EXPERTS for projection in SHAPE):
            w, scale, original = bitslice.gaussian(*SHAPE[projection], seed, sigma * 10.0 ** (seed % 4))
            w[5, :32], scale[5, 0], original[5, :32] = 0, 0, 0
            w[6, 32:64], original[6, 32:64] = w[6, 32:64] // 2, original[6, 32:64] / 2
            write_matrix(file, layer, expert, projection, w, scale, original)


class BitSlice(program.ProgramTest):
    def weights(self, name="weights.h5", **options):
        write_weights(self.folder / name, **options)
        return self.folder / name

    def bitslice(self, *arguments):
        return json.loads(self.done("bitslice", self.weights(), "--backend", "cpu", "--json", *arguments).stdout)

    def test_counts_are_those_of_numpy(self):
        self.bitslice("-o", self.folder / "bits", "--bits", "2,3,4,5,6,7")
        self.assertEqual(bitslice.compare(self.folder / "weights.h5", self.folder / "bits"), [])
        # That the comparison can fail:
        with h5py.File(self.folder / "bits/counts.h5", "r+") as counts:
            counts["pattern_columns"][3, 2, 1] += 1
            counts["channel_planes"][4, 3, 2, 1] += 1
            counts["bfloat16_exponents"][1, 120] += 1
        self.assertEqual(len(bitslice.compare(self.folder / "weights.h5", self.folder / "bits")), 3)

    def test_without_original_weights_there_is_what_the_stored_ones_give(self):
        path = self.weights()
        with h5py.File(path, "r+") as file:
            for group in file["matrices"].values():
                del group["original"]
        results = json.loads(self.done("bitslice", path, "--backend", "cpu", "--json").stdout)["total"]
        self.assertIsNone(results["lossless"])
        self.assertIsNone(results["exponents"])
        self.assertIsNone(results["sign_magnitude"]["channel"])
        self.assertEqual(results["zero_point"], {})
        self.assertEqual(results["sign_magnitude"]["group"]["weights"], results["weights"])

    def test_counts_of_the_weights_that_ship_are_those_of_numpy(self):
        weights = CROSS_CHECK.parents[1] / "datasets/reference-weights.h5"
        self.done("bitslice", weights, "-o", self.folder / "bits")
        self.assertEqual(bitslice.compare(weights, self.folder / "bits"), [])

    def test_published_tables_of_gaussian_weights(self):
        w, scale, original = bitslice.gaussian(1024, 2048, 11)
        with h5py.File(self.folder / "weights.h5", "w") as file:
            file.attrs.update(schema="moecarlo-weights", schema_version=1, model="Gaussian", source="random numbers")
            write_matrix(file, 0, 0, "gate", w, scale, original)
        found = json.loads(self.done("bitslice", self.folder / "weights.h5", "--json").stdout)["total"]["draft"]
        for reading, expected in bitslice.GAUSSIAN_SQNR.items():
            for kept, decibels in zip("234", expected):
                self.assertAlmostEqual(found[kept][reading]["sqnr_db"], decibels, delta=0.1, msg=f"{reading} at {kept}")

    def test_every_matrix_expert_and_layer_is_there(self):
        results = self.bitslice("-o", self.folder / "bits")
        self.assertEqual([one["layer"] for one in results["layers"]], list(LAYERS))
        self.assertEqual([(one["layer"], one["expert"]) for one in results["experts"]],
                         [(layer, expert) for layer in LAYERS for expert in EXPERTS])
        self.assertEqual(len(results["matrices"]), 18)
        self.assertEqual(results["total"]["weights"], 18 * 4600)
        self.assertEqual(sum(one["weights"] for one in results["experts"]), 18 * 4600)
        self.assertEqual(list(results["total"]["slices"]), ["2", "3", "4", "5", "6"])
        for layer in results["layers"]:
            self.assertEqual({p: s["pairs"] for p, s in layer["similarity"].items()}, {p: 3 for p in SHAPE})
        for one in results["matrices"]:
            self.assertGreater(one["int8_sqnr_db"], 38)  # 127 steps of noise 1/12
        self.assertEqual(results, json.loads((self.folder / "bits/bitslice.json").read_text()))
        with open(self.folder / "bits/bitslice.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        row, = (r for r in rows if (r["scope"], r["kept"], r["figure"]) == ("total", "4", "round.sqnr_db"))
        self.assertEqual(float(row["value"]), results["total"]["draft"]["4"]["round"]["sqnr_db"])
        self.assertEqual(self.files(self.folder / "bits/figures"),
                         sorted(["figures.json"] + [f"{name}.{kind}" for kind in ("png", "svg") for name in
                                ("weight_values", "slice_values", "draft_sqnr", "draft_cosine", "plane_sizes")
                                if kind == "svg" or (self.folder / "bits/figures/draft_sqnr.png").exists()]))

    def test_threads_change_nothing(self):
        self.assertEqual(self.bitslice("--threads", "1"), self.bitslice("--threads", "4"))

    def test_the_table_shows_the_figures(self):
        table = self.done("bitslice", self.weights(), "--bits", "4").stdout
        for text in ("18 matrices of 6 experts in 2 layers, 82800 weights", "lsb_augmented", "dedicated"):
            self.assertIn(text, table)

    def test_what_breaks_the_format_is_refused(self):
        name = "matrices/layers.3.experts.2.gate"

        def refused(change, *says):
            path = self.weights("broken.h5")
            with h5py.File(path, "r+") as file:
                change(file)
            self.refused(INPUT, "bitslice", path, says=["broken.h5", *says])

        def put(member, index, value):
            def change(file):
                data = file[name][member][()]
                data[index] = value
                del file[name][member]
                file[name][member] = data
            return change

        def replace(member, data):
            def change(file):
                del file[name][member]
                file[name][member] = data
            return change

        refused(lambda f: f.attrs.update(schema="moecarlo-trace"), "wrong schema (expected moecarlo-weights")
        refused(lambda f: f.attrs.update(schema_version=2), "unknown version (expected 1, found 2)")
        refused(lambda f: f[name].attrs.update(projection="query"), "expected gate, up or down, found query")
        refused(lambda f: f[name].attrs.update(expert=1), "expert 1's gate matrix of layer 3 a second time")
        refused(lambda f: f[name].attrs.update(layer=-1), "@layer: out of range")
        refused(lambda f: f[name].attrs.__delitem__("layer"), "@layer: missing")
        refused(put("int8", (9, 40), -128), "int8: value out of range at [9, 40] (expected -127 to 127, found -128)")
        refused(put("scale", (9, 1), -0.5), "scale: scale at [9, 1] is no finite number of at least 0 (found -0.5)")
        refused(put("scale", (9, 1), np.nan), "scale at [9, 1]", "NaN")
        refused(put("scale", (9, 1), 0), "scale 0 at [9, 1] of weights that are not all 0")
        refused(put("original", (0, 0), np.inf), "original: NaN or infinite value at [0, 0]")
        refused(replace("scale", np.zeros((46, 3), np.float16)), "wrong extents (expected [rows, columns / 32] = [46, 4]")
        refused(replace("scale", np.zeros((46, 4), np.float32)), "wrong type (expected float16, found float32)")
        refused(replace("int8", np.zeros((46, 100), np.int16)), "wrong type (expected int8, found int16)")
        refused(lambda f: [f.__delitem__("matrices"), f.create_group("matrices")], "no matrix (expected at least one)")
        self.refused(INPUT, "bitslice", self.folder / "absent.h5", says="absent.h5: no such file")
        self.refused(USAGE, "bitslice", self.weights(), "--bits", "8", says="--bits")


class BitSliceStudy(program.ProgramTest):
    """A study that is given measured bit slices."""

    def setUp(self):
        super().setUp()
        self.trace()
        (self.folder / "config.json").write_text(json.dumps(CONFIG))
        write_weights(self.folder / "weights.h5", model="config")
        self.done("bitslice", self.folder / "weights.h5", "--backend", "cpu", "-o", self.folder / "bits")

    def results(self, bits=(4,), **hardware):
        hardware = {"model": "config.json", "systems": ["elmoe3d-4gb"], "schemes": ["ar", "elastic"], **hardware}
        self.simulate(self.study(grid={"depth": [0, 3], "policy": ["static"], "capacity": [5], "bits": list(bits)},
                                 hardware=hardware), self.folder / "out")
        return program.summary(self.folder / "out")

    def test_measured_rows_stand_beside_nominal_ones(self):
        results = self.results(bit_slices="bits/bitslice.json")
        rows = {(row["scheme"], row["depth"]): row["breakdown"] for row in results["hardware"]}
        self.assertEqual({scheme for scheme, _ in rows}, {"ar", "elastic", "elastic-measured"})
        nominal, measured = rows["elastic", 3], rows["elastic-measured", 3]
        self.assertLess(measured["bytes.hb"], nominal["bytes.hb"])
        self.assertLess(measured["draft.experts.compute"], nominal["draft.experts.compute"])
        self.assertLess(measured["verify.experts.compute"], nominal["verify.experts.compute"])
        self.assertLess(measured["joules"], nominal["joules"])
        self.assertEqual(measured["tokens"], nominal["tokens"])

        bits = json.loads((self.folder / "bits/bitslice.json").read_text())["total"]
        quantities = {one["name"]: one for one in results["bit_slices"]["quantities"]}
        upper = quantities["upper slice of 4 bits, with its scale"]
        self.assertEqual(upper["nominal"], 4.5)
        self.assertAlmostEqual(upper["measured"], bits["slices"]["4"]["upper"]["coded_bits"] + 0.5, 12)
        draft = quantities["multiplications of a draft at 4 bits, elmoe3d-4gb"]
        self.assertEqual(draft["nominal"], 1)
        self.assertAlmostEqual(draft["measured"], 1 - bits["slices"]["4"]["upper"]["zero_share"], 12)
        share = measured["draft.experts.compute"] / nominal["draft.experts.compute"]
        self.assertAlmostEqual(share, draft["measured"], 9)

        report = (self.folder / "out/report.md").read_text()
        for text in ("What the bits of the weights hold", "upper slice of 4 bits", "figures/draft_sqnr.svg"):
            self.assertIn(text, report)
        before = (self.folder / "out/summary.json").read_text()
        self.done("evaluate", self.folder / "out", "--force")
        self.assertEqual(program.summary(self.folder / "out")["hardware"], json.loads(before)["hardware"])
        self.done("report", self.folder / "out")
        self.assertEqual((self.folder / "out/report.md").read_text(), report)

    def test_codings_move_and_multiply_what_was_counted(self):
        results = self.results(bits=[8], bit_slices="bits/bitslice.json", systems=["xpu"],
                               schemes=["ar", "ar+bstc", "ar+brcr", "ar+bgpp", "eagle+bstc+brcr"])
        rows = {(row["scheme"], row["depth"]): row["breakdown"] for row in results["hardware"]}
        plain, bstc, brcr, bgpp = (rows[name, 0] for name in ("ar", "ar+bstc", "ar+brcr", "ar+bgpp"))
        counted = json.loads((self.folder / "bits/bitslice.json").read_text())["total"]
        merged = counted["sign_magnitude"]["group"]["rows"]["4"]
        self.assertAlmostEqual(bstc["verify.experts.ext"] / plain["verify.experts.ext"],
                               (merged["paying_bits"] + 0.5) / 8.5, 9)
        self.assertAlmostEqual(brcr["verify.experts.compute"] / plain["verify.experts.compute"],
                               1 / merged["dense_over_merged"], 9)
        self.assertLess(bgpp["bytes.ext"], plain["bytes.ext"])
        self.assertIn(("eagle+bstc+brcr", 3), rows)
        self.assertTrue(any("ar+bgpp" in note and "lossy" in note for note in results["notes"]), results["notes"])
        constants = {constant["name"]: constant for constant in results["constants"]}
        self.assertEqual(constants["ar+bstc: bstc.group"]["status"], "measured")

    def test_without_them_a_study_is_as_it_was(self):
        results = self.results()
        self.assertIsNone(results["bit_slices"])
        self.assertEqual({row["scheme"] for row in results["hardware"]}, {"ar", "elastic"})
        self.assertNotIn("What the bits", (self.folder / "out/report.md").read_text())

    def test_bit_slices_that_cannot_be_used_are_refused(self):
        def refused(status, says, **hardware):
            hardware = {"model": "config.json", "systems": ["elmoe3d-4gb"], "schemes": ["elastic"], **hardware}
            study = self.study(grid={"depth": [3], "capacity": [5]}, hardware=hardware)
            self.refused(status, "--quiet", "simulate", study, "-o", self.folder / "refused", says=says)

        refused(USAGE, "bstc: has to be counted of real weights", schemes=["ar+bstc"])
        refused(INPUT, "absent.json: cannot be read", bit_slices="absent.json")
        refused(INPUT, "config.json: not a readable bitslice.json", bit_slices="config.json")
        refused(USAGE, "expected elastic or speq in hardware.schemes", bit_slices="bits/bitslice.json", schemes=["ar"])


if __name__ == "__main__":
    program.main()
