"""`model` shows what is understood of a preset or a config.json, and refuses the rest by its key."""

import json

import program

CONFIGS = program.Path(__file__).resolve().parents[1] / "hw/configs/published.jsonl"

# Parameters in all and for each token, in 10^9, of configurations that people have.
FIELD = {"llama-4-scout": (107.77, 16.14), "llama-4-maverick": (400.7, None), "ling-coder-lite": (16.80, 2.49),
         "granite-1b-a400m": (1.33, None), "ernie-4.5-21b-a3b": (21.83, 3.35), "hunyuan-a13b": (80.4, None),
         "python-infinity": (46.70, None)}


class Model(program.ProgramTest):
    def figures(self, name):
        return json.loads(self.done("model", name, "--json").stdout)

    def config(self, name, **changes):
        rows = [json.loads(line) for line in CONFIGS.read_text().splitlines()]
        config = next(row["config"] for row in rows if row["name"] == name) | changes
        path = self.folder / "config.json"
        path.write_text(json.dumps(config))
        return path

    def test_a_preset_has_its_sizes(self):
        figures = self.figures("qwen3-30b-a3b")
        self.assertAlmostEqual(figures["total_parameters"] / 1e9, 30.53, delta=0.01)
        self.assertAlmostEqual(figures["dense_bytes"] / 1e9, 1.31, delta=0.005)
        self.assertAlmostEqual(figures["expert_bytes"] / 1e6, 5.01, delta=0.005)
        self.assertAlmostEqual(figures["kv_bytes_per_token"] / 1e3, 98.3, delta=0.05)
        self.assertEqual((figures["moe_layers"], figures["layers"]), (48, 48))

    def test_configurations_that_people_have(self):
        folder = program.RECORDED_TRACES.parent / "field/configs"
        if not folder.exists():
            self.skipTest(f"{folder} is not there")
        for name, (total, active) in FIELD.items():
            with self.subTest(name):
                figures = self.figures(folder / f"{name}.json")
                self.assertAlmostEqual(figures["total_parameters"] / 1e9 / total, 1, delta=0.005)
                if active:
                    self.assertAlmostEqual(figures["active_parameters"] / 1e9 / active, 1, delta=0.005)

    def test_layers_are_listed_by_kind(self):
        kinds = self.figures(self.config("qwen3-next"))["kinds"]
        self.assertEqual({(k["mixer"], k["feed_forward"]): k["count"] for k in kinds},
                         {("delta", "experts"): 36, ("attention", "experts"): 12})
        text = self.done("model", self.folder / "config.json").stdout
        self.assertIn("79.67 billion parameters, 3.56 of them for each token", text)
        self.assertLessEqual(len(text.splitlines()), 5)

    def test_an_unknown_key_is_refused_in_one_line(self):
        self.refused(program.INPUT, "model", self.config("olmoe", wormholes=4), says=['"wormholes": unknown'])


program.main()
