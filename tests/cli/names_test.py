"""Nothing in a file that is not understood is ignored: what each reader says of an unknown, a misspelt and a contradictory
name. Studies have more contradictions than stand here (elastic_refusals_test.py)."""

import json
import shutil

import h5py
import numpy as np

import program
from program import INPUT, USAGE

PRESET = program.CROSS_CHECK.parents[1] / "hw/presets/systems/xpu.toml"
ROW = '{ value = 1, unit = "GHz", status = "assumed", source = "test" }'
PUBLISHED = "hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup\n4,gpt-oss-20b,elastic,1,0.4,2.5,3.1\n"
CONFIG = {"model_type": "qwen3_moe", "hidden_size": 512, "num_hidden_layers": 3, "vocab_size": 1000,
          "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 64, "num_experts": 16,
          "num_experts_per_tok": 2, "moe_intermediate_size": 256, "intermediate_size": 1024}
PROFILE = {"conditional_accept_rates": [0.8, 0.7, 0.5]}
HARDWARE = {"model": "config.json", "systems": ["xpu"], "schemes": ["ar"], "context": 64}


def replaced(old, new):
    def change(text):
        assert old in text, old
        return text.replace(old, new, 1)
    return change


def after(line, more):
    return replaced(line, f"{line}\n{more}")


def merged(*where, **more):
    """Adds keys to a JSON object; `where` leads to it."""
    def change(text):
        value = inner = json.loads(text)
        for step in where:
            inner = inner[step]
        inner.update(more)
        return json.dumps(value)
    return change


def renamed(*where, old, new):
    def change(text):
        value = inner = json.loads(text)
        for step in where:
            inner = inner[step]
        inner[new] = inner.pop(old)
        return json.dumps(value)
    return change


def twice(key):
    return lambda text: text.replace(f'"{key}"', f'"{key}": 0, "{key}"', 1)


STUDY = [
    (after("[study]", "speed = 3"), "study.toml:2: unknown key study.speed (expected one of: "),
    (replaced("trace =", "traec ="), "study.toml:2: unknown key study.traec (is it trace?)"),
    (replaced("trajectories", "trajectorys"), "unknown key study.trajectorys (expected one of: "),
    (replaced("trajectories", "trajectorys"), "(is it trajectories?)"),
    (replaced("capacity =", "capacty ="), "unknown key grid.capacty (is it capacity?)"),
    (replaced("alpha =", "aplha ="), "unknown key acceptance.aplha (is it alpha?)"),
    (replaced('"lru"', '"lur"'), "found lur) (is it lru?)"),
    (replaced("[acceptance]", "[acceptence]"), "unknown key acceptence (expected one of: "),
    (after("[grid]", "capacity = 4"), "study.toml:8: not valid TOML"),
    (after("[grid]", "pool = 4"), 'grid.pool counts the slots of all layers together'),
    (after("[acceptance]", 'model = "lengths"\nlengths = [1, 2]'), "unknown key acceptance.alpha"),
    (after("[acceptance]", 'model = "positions"\npositions = [0.5]\nprofile = "profile.json"'), "positions or profile"),
]
SYSTEM = [
    (after("[logic]", f"cloud = {ROW}"), "preset.toml:8: unknown constant 'logic.cloud'"),
    (replaced("\nclock =", "\nclok ="), "unknown constant 'logic.clok' (is it logic.clock?)"),
    (after("[logic]", f"clok = {ROW}"), "unknown constant 'logic.clok' (is it logic.clock?)"),
    (replaced("unit = ", "unti = "), "unknown key 'unti' (expected value, unit, status, source, range) (is it unit?)"),
    (after("[logic]", f"clock = {ROW}\nclock = {ROW}"), "preset.toml:9: not valid TOML"),
]
MODEL = [
    (merged(num_memory_slots=8), '"num_memory_slots": unknown, and may change what the model is made of'),
    (renamed(old="num_key_value_heads", new="num_key_value_head"), "unknown (is it num_key_value_heads?)"),
    (merged(num_local_experts=8), "contradicts"),
    (twice("hidden_size"), 'key "hidden_size" twice in one object'),
]
RATES = [
    (merged(mystery=1), '"mystery": unknown key'),
    (renamed(old="conditional_accept_rates", new="conditional_acceptance_rates"), "(is it conditional_accept_rates?)"),
    (merged(marginal_accept_rates=[0.8, 0.7, 0.5]), "contradicts conditional_accept_rates"),
    (twice("conditional_accept_rates"), 'key "conditional_accept_rates" twice in one object'),
]
SUMMARY = [
    (merged(verdict=1), 'summary.json: unknown key "verdict"'),
    (merged("points", 0, "metrics", "hit_rate", p99=1), 'points[0].metrics.hit_rate: unknown key "p99"'),
    (merged("hardware", 0, speedupp=1), 'hardware[0]: unknown key "speedupp" (is it speedup?)'),
    (renamed("hardware", 0, old="speedup", new="spedup"), 'unknown key "spedup" (is it speedup?)'),
    (renamed("trace", old="layers", new="layer"), 'unknown key "layer" (is it layers?)'),
    (twice("seed"), 'key "seed" twice in one object'),
    (merged("differences", 0, first=999), "names what is not there"),
]
SLICES = [
    (merged(verdict=1), 'bitslice.json: unknown key "verdict"'),
    (merged("total", "slices", "4", lossless=1), 'total.slices.4: unknown key "lossless"'),
    (renamed("total", old="entropy_bits", new="entropy_bit"), 'unknown key "entropy_bit" (is it entropy_bits?)'),
    (renamed("total", "slices", old="4", new="many"), "slices: a key that is no number of kept bits"),
    (twice("schema_version"), 'key "schema_version" twice in one object'),
]
CELLS = [
    (replaced("alpha", "beta"), "published.csv:1: expected the header hb_gb,"),
    (replaced("scheme", "schmee"), "published.csv:1: expected the header hb_gb,"),
    (replaced("gpt-oss-20b", "gpt-oss-20"), "published.csv:2: no such cell"),
    (lambda text: text + text.splitlines()[1] + "\n", "published.csv:3: the cell of "),
]


class TextFiles(program.ProgramTest):
    """`names`: (change of the valid file, what the line on stderr says of it)."""

    def answers(self, status, file, names, *command):
        path = self.folder / file
        valid = path.read_text()
        self.done(*command)
        for change, says in names:
            path.write_text(change(valid))
            shutil.rmtree(self.folder / "new", ignore_errors=True)
            with self.subTest(f"{file}: {says}"):
                self.refused(status, *command, says=[file, says])
        path.write_text(valid)

    def simulation(self, **tables):
        self.trace()
        (self.folder / "config.json").write_text(json.dumps(CONFIG))
        (self.folder / "profile.json").write_text(json.dumps(PROFILE))
        study = self.study(hardware=HARDWARE, **tables)
        return ["--quiet", "simulate", study, "-o", self.folder / "out", "--backend", "cpu", "--resume"]

    def test_study(self):
        command = self.simulation()
        self.answers(USAGE, "study.toml", STUDY, *command)

    def test_preset_of_a_system(self):
        self.done(*self.simulation())
        shutil.copy(PRESET, self.folder / "preset.toml")
        self.answers(USAGE, "preset.toml", SYSTEM, "evaluate", self.folder / "out", "--json", "--hardware",
                     self.folder / "preset.toml")

    def test_config_of_a_model(self):
        self.simulation()
        self.answers(INPUT, "config.json", MODEL, "model", self.folder / "config.json")

    def test_profile_of_a_drafter(self):
        command = self.simulation(acceptance={"model": "positions", "profile": "profile.json"})
        self.answers(INPUT, "profile.json", RATES, *command[:-1], "--trajectories", 16, "--resume")

    def test_summary_of_a_study(self):
        self.done(*self.simulation())
        shutil.move(self.folder / "out/summary.json", self.folder / "summary.json")
        (self.folder / "out/summary.json").symlink_to(self.folder / "summary.json")
        valid = (self.folder / "summary.json").read_text()
        for change, says in SUMMARY:
            (self.folder / "out/summary.json").unlink(missing_ok=True)
            (self.folder / "out/summary.json").write_text(change(valid))
            with self.subTest(says):
                self.refused(INPUT, "report", self.folder / "out", says=["summary.json", says])

    def test_bit_slices_of_a_study(self):
        write_weights(self.folder / "weights.h5")
        self.done("bitslice", self.folder / "weights.h5", "-o", self.folder / "bits")
        shutil.copy(self.folder / "bits/bitslice.json", self.folder / "bitslice.json")
        self.simulation()
        study = self.study(hardware={**HARDWARE, "systems": ["elmoe3d-4gb"], "schemes": ["elastic"],
                                     "bit_slices": "bitslice.json"})
        command = ["--quiet", "simulate", study, "-o", self.folder / "new", "--backend", "cpu"]
        self.answers(INPUT, "bitslice.json", SLICES, *command)

    def test_published_cells(self):
        (self.folder / "published.csv").write_text(PUBLISHED)
        self.answers(INPUT, "published.csv", CELLS, "reproduce", "elmoe3d", "--law-only", "--json", "--published",
                     self.folder / "published.csv")


def write_weights(path):
    rng = np.random.default_rng(2)
    with h5py.File(path, "w") as file:
        file.attrs.update(schema="moecarlo-weights", schema_version=1, model="small", source="random numbers")
        for expert in range(2):
            group = file.create_group(f"matrices/0.{expert}.gate")
            group.attrs.update(layer=0, expert=expert, projection="gate")
            group["int8"] = rng.integers(-127, 128, (12, 40)).astype(np.int8)
            group["scale"] = np.ones((12, 2), np.float16)


def attribute(group, name, value=1):
    return lambda file: file[group].attrs.__setitem__(name, value)


def dataset(name, like=None, value=0):
    """A dataset more, or one under another name."""
    def change(file):
        if like:
            file.move(like, name)
        else:
            file[name] = np.full(2, value, np.int32)
    return change


def renamed_attribute(group, old, new):
    def change(file):
        file[group].attrs[new] = file[group].attrs[old]
        del file[group].attrs[old]
    return change


MATRIX = "matrices/0.1.gate"
WEIGHTS = [
    (dataset("zero_points"), "/zero_points: unknown (expected matrices)"),
    (dataset(f"{MATRIX}/zero_point"), f"/{MATRIX}/zero_point: unknown (expected int8, original, scale)"),
    (attribute(MATRIX, "transposed"), f"/{MATRIX}/@transposed: unknown (expected expert, layer, projection)"),
    (dataset(f"{MATRIX}/sclae", like=f"{MATRIX}/scale"), "sclae: unknown (is it scale?)"),
    (dataset(f"{MATRIX}/orignal"), "orignal: unknown (is it original?)"),
    (renamed_attribute(MATRIX, "layer", "layr"), "@layr: unknown (is it layer?)"),
    (renamed_attribute("/", "source", "sources"), "@sources: unknown (is it source?)"),
    (attribute(MATRIX, "expert", 0), "expert 0's gate matrix of layer 0 a second time"),
]
TALLIES = [
    (attribute("/", "temperature"), "/@temperature: unknown (expected "),
    (attribute("cell_0000", "decay"), "/cell_0000/@decay: unknown (expected "),
    (dataset("cell_9999"), "/cell_9999: unknown (expected "),
    (dataset("cell_0000/histogram"), "/cell_0000/histogram: unknown (expected "),
    (dataset("cell_0000/draftd", like="cell_0000/drafted"), "draftd: unknown (is it drafted?)"),
    (renamed_attribute("/", "populations", "population"), "@population: unknown (is it populations?)"),
    (attribute("/", "experts", 17), "wrong extents"),
]
TRACE = [
    (dataset("phases"), "/phases: unknown (is it phase?)"),
    (attribute("/", "num_group", 8), "/@num_group: unknown (is it num_groups?)"),
    (dataset("rounds/verify_expert_id", like="rounds/verify_expert_ids"), "unknown (is it verify_expert_ids?)"),
    (dataset("lookups/sweep_offset"), "unknown (is it sweep_offsets?)"),
    (attribute("acceptance", "draftr", "x"), "@draftr: unknown (is it drafter?)"),
    (attribute("/", "top_k", 3), "expert_ids"),
]


class BinaryFiles(program.ProgramTest):
    def answers(self, file, names, *command):
        valid = (self.folder / file).read_bytes()
        self.done(*command)
        for change, says in names:
            (self.folder / file).write_bytes(valid)
            with h5py.File(self.folder / file, "r+") as opened:
                change(opened)
            with self.subTest(f"{file}: {says}"):
                self.refused(INPUT, *command, says=[file, says])
        (self.folder / file).write_bytes(valid)

    def test_weights(self):
        write_weights(self.folder / "weights.h5")
        self.answers("weights.h5", WEIGHTS, "bitslice", self.folder / "weights.h5", "--json")

    def test_tallies(self):
        self.trace()
        self.simulate(self.study(), self.folder / "out")
        self.answers("out/tallies.h5", TALLIES, "inspect", self.folder / "out/tallies.h5")

    def test_trace(self):
        attributes, datasets = program.trace_parts()
        tokens = len(datasets["expert_ids"])
        datasets |= {"acceptance/cache_fraction": np.array([0.5], np.float32),
                     "acceptance/weight_bits": np.array([4], np.uint8),
                     "acceptance/accept_probability": np.full((1, tokens), 0.5, np.float32),
                     "rounds/position": np.array([0]), "rounds/drafted": np.array([0]), "rounds/accepted": np.array([0]),
                     "rounds/verify_expert_ids": datasets["expert_ids"][None, :1].astype(np.int16),
                     **{f"lookups/{name}": np.zeros(4, np.int32) for name in ("layer", "expert", "part", "hit")}}
        program.write_trace(self.folder / "trace.h5", attributes, datasets)
        self.answers("trace.h5", TRACE, "inspect", self.folder / "trace.h5")
        with h5py.File(self.folder / "trace.h5", "r+") as trace:
            trace["hidden_states"], trace["acceptance/greedy"] = 1, 1
            trace["rounds"].attrs["temperature"] = 1
        facts = json.loads(self.done("inspect", self.folder / "trace.h5", "--json").stdout)
        self.assertEqual(sorted(facts["not_read"]), ["acceptance/greedy", "hidden_states", "rounds/@temperature"])


if __name__ == "__main__":
    program.main()
