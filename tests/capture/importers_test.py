"""Every importer writes what it read, in a trace that `moecarlo inspect` accepts, and names what it refuses."""

import json
import unittest

import h5py
import numpy as np

import common
from common import INPUT, USAGE

RNG = np.random.default_rng(7)
IDS = common.random_ids(RNG, 30, 3, 16, 4)
WEIGHTS = RNG.dirichlet(np.ones(4), (30, 3)).astype(np.float32)
MODEL = ["--model", "tiny", "--experts", 16]


def save_safetensors(path, tensors):
    """The format by hand, so that no package is needed: length, JSON header, data."""
    header, data = {}, b""
    for name, (kind, array) in tensors.items():
        raw = array.tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


class ImportArrays(common.ScriptTest):
    def read(self, name="trace.h5"):
        with h5py.File(self.folder / name) as trace:
            return {key: value[:] for key, value in trace.items()}, dict(trace.attrs)

    def test_routed_experts_of_several_requests(self):
        np.save(self.folder / "a.npy", IDS[:20].astype(np.int16))
        np.savez(
            self.folder / "b.npz", routed_experts=IDS[20:].astype(np.int16), token_ids=np.arange(10), prompt_tokens=4
        )
        with self.assertRaises(AssertionError):  # one has token ids, the other has none
            self.done("import_arrays.py", "a.npy", "b.npz", "-o", "trace.h5", *MODEL)
        np.savez(
            self.folder / "a.npz", routed_experts=IDS[:20].astype(np.int16), token_ids=np.arange(20), prompt_tokens=5
        )
        self.done("import_arrays.py", "a.npz", "b.npz", "-o", "trace.h5", *MODEL)
        data, attributes = self.read()
        np.testing.assert_array_equal(data["expert_ids"], IDS)
        np.testing.assert_array_equal(data["sequence_offsets"], [0, 20, 30])
        np.testing.assert_array_equal(data["phase"], [0] * 5 + [1] * 15 + [0] * 4 + [1] * 6)
        self.assertEqual((attributes["num_experts"], attributes["top_k"]), (16, 4))
        if common.MOECARLO:
            self.assertEqual(self.inspected("trace.h5")["tokens"], 30)

    def test_rows_that_were_never_routed_are_dropped(self):
        ids = IDS.astype(np.int16)
        ids[-1] = -1
        np.save(self.folder / "a.npy", ids)
        self.done("import_arrays.py", "a.npy", "-o", "trace.h5", *MODEL)
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS[:-1])

    def test_logits_in_one_array_or_one_a_layer(self):
        logits = RNG.normal(size=(30, 3, 16)).astype(np.float32)
        np.savez(self.folder / "a.npz", router_logits=logits, sequence_offsets=[0, 12, 30])
        np.savez(self.folder / "b.npz", **{f"router_logits.{layer}": logits[:, layer] for layer in range(3)})
        for name, sequences in (("a.npz", 2), ("b.npz", 1)):
            self.done("import_arrays.py", name, "-o", f"{name}.h5", "--model", "tiny", "--top-k", 4)
            data, _ = self.read(f"{name}.h5")
            np.testing.assert_array_equal(data["router_logits"], logits)
            self.assertEqual(len(data["sequence_offsets"]), sequences + 1)

    def test_safetensors_with_bfloat16(self):
        logits = RNG.normal(size=(30, 3, 16)).astype(np.float32)
        upper = (logits.view(np.uint32) >> 16).astype(np.uint16)
        save_safetensors(self.folder / "a.safetensors", {"router_logits": ("BF16", upper)})
        self.done("import_arrays.py", "a.safetensors", "-o", "trace.h5", "--model", "tiny", "--top-k", 4)
        np.testing.assert_array_equal(self.read()[0]["router_logits"], (upper.astype(np.uint32) << 16).view(np.float32))

    def test_refusals_name_the_file(self):
        bad = IDS.copy()
        bad[3, 1, 2] = 16
        np.save(self.folder / "range.npy", bad)
        bad[3, 1, 2] = bad[3, 1, 1]
        np.save(self.folder / "twice.npy", bad)
        np.save(self.folder / "flat.npy", IDS[:, 0])
        np.savez(self.folder / "other.npz", something=IDS)
        np.save(self.folder / "nan.npy", np.full((2, 3, 16), np.nan))
        (self.folder / "text.npy").write_text("no array")
        save_safetensors(self.folder / "cut.safetensors", {"expert_ids": ("I32", IDS.astype(np.int32))})
        (self.folder / "cut.safetensors").write_bytes((self.folder / "cut.safetensors").read_bytes()[:-4])
        for name, words in (("range.npy", ["out of range", "found 16"]), ("twice.npy", ["twice at token 3, layer 1"]),
                            ("flat.npy", ["shape [30, 4]"]), ("other.npz", ["found something"]),
                            ("text.npy", ["not an array"]), ("absent.npy", ["absent.npy: No such file"]),
                            ("cut.safetensors", ["truncated at tensor expert_ids"])):
            self.refused(INPUT, words, "import_arrays.py", name, "-o", "trace.h5", *MODEL)
        self.refused(INPUT, ["NaN"], "import_arrays.py", "nan.npy", "-o", "t.h5", "--model", "m", "--top-k", 4)
        np.save(self.folder / "good.npy", IDS)
        self.refused(USAGE, ["--experts"], "import_arrays.py", "good.npy", "-o", "trace.h5", "--model", "m")
        self.assertFalse((self.folder / "trace.h5").exists())


class ImportJsonLines(common.ScriptTest):
    def write(self, drop=None, **more):
        with open(self.folder / "r.jsonl", "w") as file:
            for token in range(30):
                for layer in range(3):
                    if (token, layer) == drop:
                        continue
                    record = dict(
                        sequence=token // 15,
                        token=token % 15,
                        layer=layer,
                        experts=IDS[token, layer].tolist(),
                        weights=WEIGHTS[token, layer].tolist(),
                        phase=int(token % 15 > 4),
                        **more,
                    )
                    file.write(json.dumps(record) + "\n")

    def test_records_become_sequences(self):
        self.write()
        self.done("import_jsonl.py", "r.jsonl", "-o", "trace.h5", *MODEL)
        with h5py.File(self.folder / "trace.h5") as trace:
            np.testing.assert_array_equal(trace["expert_ids"][:], IDS)
            np.testing.assert_allclose(trace["expert_weights"][:], WEIGHTS, rtol=1e-6)
            np.testing.assert_array_equal(trace["sequence_offsets"][:], [0, 15, 30])
            self.assertEqual(int(trace["phase"][:].sum()), 20)
        if common.MOECARLO:
            self.inspected("trace.h5")

    def test_refusals(self):
        self.write(drop=(17, 1))
        self.refused(INPUT, ["sequence 1 lacks token 2, layer 1"], "import_jsonl.py", "r.jsonl", "-o", "t.h5", *MODEL)
        (self.folder / "r.jsonl").write_text('{"sequence": 0, "token": 0, "layer": 0}\n')
        self.refused(INPUT, ["r.jsonl:1", "experts"], "import_jsonl.py", "r.jsonl", "-o", "t.h5", *MODEL)
        (self.folder / "r.jsonl").write_text("{\n")
        self.refused(INPUT, ["r.jsonl:1", "no JSON"], "import_jsonl.py", "r.jsonl", "-o", "t.h5", *MODEL)


class ImportFingerprint(common.ScriptTest):
    def layers(self, token, form):
        records = [dict(selected_experts=IDS[token, layer].tolist(), selected_probs=WEIGHTS[token, layer].tolist())
                   for layer in range(3)]
        if form == "keyed":
            return {"layers": {f"layer_{layer}": record for layer, record in reversed(list(enumerate(records)))}}
        if form == "numbered":
            return {"layers": [dict(record, layer=layer) for layer, record in reversed(list(enumerate(records)))]}
        return {"selected_experts": [r["selected_experts"] for r in records],
                "selected_probs": [r["selected_probs"] for r in records]}

    def test_every_accepted_layout(self):
        for form in ("keyed", "numbered", "flat"):
            tokens = [dict(token_id=t, **self.layers(t, form)) for t in range(30)]
            value = [{"prompt": "a", "tokens": tokens[:18]}, {"prompt": "b", "tokens": tokens[18:]}]
            (self.folder / f"{form}.json").write_text(json.dumps(value))
            self.done("import_fingerprint.py", f"{form}.json", "-o", f"{form}.h5", *MODEL, "--scoring", "topk_softmax")
            with h5py.File(self.folder / f"{form}.h5") as trace:
                np.testing.assert_array_equal(trace["expert_ids"][:], IDS)
                np.testing.assert_allclose(trace["expert_weights"][:], WEIGHTS, rtol=1e-6)
                np.testing.assert_array_equal(trace["sequence_offsets"][:], [0, 18, 30])
                np.testing.assert_array_equal(trace["token_ids"][:], np.arange(30))

    def test_refusals(self):
        (self.folder / "a.json").write_text('{"tokens": []}')
        self.refused(INPUT, ["no token records"], "import_fingerprint.py", "a.json", "-o", "t.h5", *MODEL)
        (self.folder / "a.json").write_text("[")
        self.refused(INPUT, ["no JSON"], "import_fingerprint.py", "a.json", "-o", "t.h5", *MODEL)


if __name__ == "__main__":
    unittest.main()
