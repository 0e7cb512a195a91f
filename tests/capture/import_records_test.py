"""Logs, answers of servers, JSON lines and fingerprints become the trace they describe; what is wrong is named."""

import base64
import importlib.util
import json
import struct
import subprocess
import sys
import unittest

import h5py
import numpy as np

import common
from common import INPUT, USAGE
from importer import IDS, MODEL, WEIGHTS, ImporterTest


class ImportLog(ImporterTest):
    """What formats leave to be checked, and what they say twice."""

    def answer(self, **more):
        raw = base64.b64encode(IDS.astype("<i4").tobytes()).decode()
        meta = dict(prompt_tokens=20, completion_tokens=11, routed_experts=raw)
        return {"text": "", "meta_info": {key: value for key, value in {**meta, **more}.items() if value is not None}}

    def imported(self, value, *options, name="a.json"):
        (self.folder / name).write_text(json.dumps(value) if not isinstance(value, str) else value)
        return ["import_trace.py", name, "-o", "trace.h5", *MODEL, *options]

    def test_an_answer_with_a_cached_prefix(self):
        self.done(*self.imported(self.answer(prompt_tokens=25, routed_experts_start_len=5), "--top-k", 4))
        data, _ = self.read()
        np.testing.assert_array_equal(data["expert_ids"], IDS)
        self.assertEqual(int((data["phase"] == 0).sum()), 20)

    def test_unknown_misspelt_and_contradictory_keys(self):
        top_k = ("--top-k", 4)
        for value, words in (
            (self.answer(routed_expert="x"), ["did you mean 'routed_experts'"]),
            (self.answer(prompt_tokens=19), ["bytes of routing (expected a multiple of 29 rows"]),
            (self.answer(routed_experts_dtype="int8"), ["routed_experts_dtype 'int8'"]),
            (self.answer(routed_experts="&&"), ["no base64"]),
            (self.answer(routed_experts=None), ["no routing"]),
            ({"choices": [{"routed_experts": None}]}, ["routed_experts is null"]),
            ({"choices": [{"routed_experts": [[[1, 2]], [[3]]]}]}, ["no array"]),
            ({"choices": [{"routed_experts": IDS[:3].tolist()}], "prompt_routed_experts": IDS[3:9].tolist(),
              "usage": {"prompt_tokens": 4}}, ["6 rows of the prompt (expected 4"]),
        ):
            with self.subTest(words):
                self.refused(INPUT, ["a.json", *words], *self.imported(value, *top_k))
        self.refused(USAGE, ["--top-k is needed"], *self.imported(self.answer()))
        for text, words in (
            ("phase,token,layer,rank,expert\nprefill,0,1,0,5\nprefill,0,1,0,6\n", ["rank 0 twice"]),
            ("phase,token,layer,rank,expert\nprefill,0,1,1,5\n", ["ranks [1]"]),
            ("phase,token,layer,rank,expert\nwarm,0,1,0,5\n", ["warm"]),
            ("0,1,5,2\n0,1\n", ["no layout that is known"]),
            ("1,5\n1,2\n2,3\n", ["1 rows of layer 2 (expected 1 tokens x top-2"]),
            ("token,layer,expert\n", ["expected whole numbers"]),
        ):
            with self.subTest(words):
                self.refused(INPUT, words, *self.imported(text, "--top-k", 2, name="a.csv"))
        self.refused(INPUT, ["expected metadata, 1"], *self.imported({"record_type": "x"}, name="a.jsonl"))
        unread = self.done(*self.imported(self.answer(input_expert_ids="x"), *top_k)).stderr
        self.assertIn("note: a.json: 'input_expert_ids' is not read", unread)

    def test_headers_of_logs(self):
        def binary(head, ids=IDS):
            head = json.dumps(head).encode()
            records = b"".join(struct.pack("<IHHIBBH", 0, layer, ids.shape[2], len(ids), 0, 0, 0)
                               + ids[:, layer].astype("<u2").tobytes() for layer in range(ids.shape[1]))
            (self.folder / "a.moetrace").write_bytes(b"MOETRC01" + len(head).to_bytes(4, "little") + head + records)
            return ["import_trace.py", "a.moetrace", "-o", "trace.h5", *MODEL]

        def lines(**head):
            events = [dict(record_type="routing_selection", layer=layer, phase="prompt", token_position=token,
                           selected_experts=IDS[token, layer].tolist(), selected_probabilities=None)
                      for layer in range(3) for token in range(30)]
            events[0].update(head.pop("event", {}))
            head = dict(record_type="metadata", format_version=1, **head)
            return self.imported("\n".join(map(json.dumps, (head, *events))), name="a.jsonl")

        self.done(*binary(dict(n_expert=16, n_expert_used=4)))
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS)
        self.done(*lines(num_experts=16, experts_per_token=4))
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS)
        self.assertIn("'host' is not read", self.done(*binary(dict(host="x"))).stderr)
        self.assertIn("'host' is not read", self.done(*lines(host="x")).stderr)
        for make, head, words in (
            (binary, dict(n_experts=16), "did you mean 'n_expert'"),
            (binary, dict(n_expert_used=3), "n_expert_used is 3 (found [4]"), (binary, dict(n_expert=15), "n_expert is 15"),
            (binary, dict(n_expert="16"), "n_expert is 16"), (binary, [], "no JSON object"),
            (lambda head: binary(head, IDS[:0]), {}, "0 rows of 4"),
            (lambda head: binary(head, IDS[..., :0]), {}, "30 rows of 0"),
            (lambda head: lines(**head), dict(experts_per_token=3), "experts_per_token is 3 (found [4]"),
            (lambda head: lines(**head), dict(num_experts=15), "num_experts is 15"),
            (lambda head: lines(**head), dict(num_expert=15), "did you mean 'num_experts'"),
            (lambda head: lines(**head), dict(event=dict(phase=[])), "not a routing_selection"),
            (lambda head: lines(**head), dict(event=dict(selected_expert=1)), "did you mean 'selected_experts'"),
            (lambda head: lines(**head), dict(event=dict(selected_probabilities=["a"] * 4)), "selected_probabilities"),
        ):
            with self.subTest(words):
                self.refused(INPUT, [words], *make(head))
        (self.folder / "a.moetrace").write_bytes(b"MOETRC01\x02\0\0\0{}\x01\0")
        self.refused(INPUT, ["damaged or cut off"], "import_trace.py", "a.moetrace", "-o", "t.h5", *MODEL)

    def test_fewer_rows_of_the_last_layer_are_those_of_the_last_tokens(self):
        """Of a prompt's last layer engines compute only the rows that are put out."""
        def binary(rows):
            records = b"".join(struct.pack("<IHHIBBH", step, layer, 4, len(ids), step, 0, 0) + ids.astype("<u2").tobytes()
                               for step, layer, ids in rows)
            (self.folder / "a").write_bytes(b"MOETRC01\2\0\0\0{}" + records)

        prompt = [(0, 0, IDS[:9, 0]), (0, 1, IDS[:9, 1]), (0, 2, IDS[8:9, 2])]
        answer = [(1, n, IDS[9:10, n]) for n in range(3)]
        binary(prompt + answer)
        said = self.done("import_trace.py", "a", "-o", "trace.h5", *MODEL).stderr
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS[8:10])
        for words in ("8 of 10 tokens cut: they lack a layer", "taken for those of its last tokens"):
            self.assertIn(words, said)
        text = "".join(f"{n},{expert}\n" for _, n, ids in prompt + answer for row in ids for expert in row)
        self.assertIn("taken for those", self.done(*self.imported(text, "--top-k", 4, name="a.csv")).stderr)
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS[8:10])
        binary([prompt[0], (0, 1, IDS[8:9, 1]), (0, 2, IDS[:9, 2])])
        self.refused(INPUT, ["1 rows of 4", "expected 9 rows"], "import_trace.py", "a", "-o", "t.h5", *MODEL)

    def test_tokens_that_lack_a_layer_are_cut(self):
        """A prompt's last layer is computed for its last row alone."""
        rows = [(token - 9, layer, *IDS[token, layer]) for token in range(12) for layer in range(3)
                if layer < 2 or token >= 8]
        text = "".join(",".join(map(str, row)) + "\n" for row in rows)
        self.assertIn("8 of 12 tokens cut: they lack a layer", self.done(*self.imported(text, name="a.csv")).stderr)
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS[8:12])
        self.refused(INPUT, ["no token has all 2 layers"], *self.imported("0,1,5,2\n1,2,5,2\n", name="a.csv"))


class WithoutNumPy(common.ScriptTest):
    def test_a_plain_line_instead_of_a_traceback(self):
        for script in ("import_trace.py", "import_arrays.py", "export_weights.py", "capture_router.py"):
            result = subprocess.run([sys.executable, "-S", common.SCRIPTS / script, "--help"], capture_output=True,
                                    text=True)
            self.assertEqual(result.returncode, common.MACHINE)
            self.assertRegex(result.stderr, rf"^{script}: numpy, h5py missing in .*\n$")

    def test_help_of_the_capture_needs_no_model(self):
        result = self.done("capture_router.py", "--help")
        self.assertIn("--acceptance", result.stdout)
        if importlib.util.find_spec("torch") is None:
            self.refused(common.MACHINE, ["torch", "missing in"], "capture_router.py", "model", "prompts.txt", "-o", "t.h5")


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
        self.done("import_trace.py", "r.jsonl", "-o", "trace.h5", *MODEL)
        with h5py.File(self.folder / "trace.h5") as trace:
            np.testing.assert_array_equal(trace["expert_ids"][:], IDS)
            np.testing.assert_allclose(trace["expert_weights"][:], WEIGHTS, rtol=1e-6)
            np.testing.assert_array_equal(trace["sequence_offsets"][:], [0, 15, 30])
            self.assertEqual(int(trace["phase"][:].sum()), 20)
        if common.MOECARLO:
            self.inspected("trace.h5")

    def test_refusals(self):
        self.write(drop=(17, 1))
        self.refused(INPUT, ["sequence 1 lacks token 2, layer 1"], "import_trace.py", "r.jsonl", "-o", "t.h5", *MODEL)
        (self.folder / "r.jsonl").write_text('{"sequence": 0, "token": 0, "layer": 0}\n')
        self.refused(INPUT, ["r.jsonl:1", "experts"], "import_trace.py", "r.jsonl", "-o", "t.h5", *MODEL)
        (self.folder / "r.jsonl").write_text('{"sequence": 0, "token": 0, "layer": 0, "experts": [1, 2]}\n{\n')
        self.refused(INPUT, ["r.jsonl:2", "no JSON"], "import_trace.py", "r.jsonl", "-o", "t.h5", *MODEL)

    def test_unknown_misspelt_and_contradictory_keys(self):
        good = dict(sequence=0, token=0, layer=0, experts=[1, 2, 3, 4], weights=[0.4, 0.3, 0.2, 0.1], token_id=7)
        for first, second, words in (
            (dict(good, expert=[1]), None, ["r.jsonl:1", "did you mean 'experts'"]),
            (dict(good, weights=[1.0]), None, ["1 weights for 4 experts"]),
            (dict(good, experts="5"), None, ["experts is '5'"]),
            (dict(good, token=-1), None, ["token is -1"]),
            (dict(good, token=True), None, ["token is True"]),
            (good, dict(good, layer=1, token_id=8), ["r.jsonl:2: token_id 8 (expected 7"]),
            (good, {k: v for k, v in dict(good, layer=1).items() if k != "weights"}, ["weights in some records"]),
            (good, good, ["comes twice"]),
        ):
            lines = [json.dumps(record) for record in (first, second) if record]
            (self.folder / "r.jsonl").write_text("\n".join(lines) + "\n")
            self.refused(INPUT, words, "import_trace.py", "r.jsonl", "-o", "t.h5", *MODEL)
        (self.folder / "r.jsonl").write_text(json.dumps(good)[:-1] + ', "layer": 1}\n')
        self.refused(INPUT, ["key 'layer' twice"], "import_trace.py", "r.jsonl", "-o", "t.h5", *MODEL)
        (self.folder / "r.jsonl").write_text(json.dumps(dict(good, text="ok")) + "\n")
        result = self.done("import_trace.py", "r.jsonl", "-o", "t.h5", *MODEL)
        self.assertIn("note: r.jsonl: 'text' is not read", result.stderr)

    def test_dense_layers_and_missing_tokens(self):
        with open(self.folder / "r.jsonl", "w") as file:
            for token in (0, 1, 2, 6, 7):
                for layer in (0, 3, 4):
                    experts = [0, 0, 0, 0] if layer == 0 else IDS[token, layer - 2].tolist()
                    record = dict(sequence="a", token=token, layer=layer, experts=experts, label="code")
                    file.write(json.dumps(record) + "\n")
        result = self.done("import_trace.py", "r.jsonl", "-o", "t.h5", *MODEL)
        self.assertIn("layers 0 left out", result.stderr)
        self.assertIn("1 sequences more", result.stderr)
        with h5py.File(self.folder / "t.h5") as trace:
            np.testing.assert_array_equal(trace["expert_ids"][:], IDS[[0, 1, 2, 6, 7], 1:])
            np.testing.assert_array_equal(trace["layer_numbers"][:], [3, 4])
            np.testing.assert_array_equal(trace["sequence_offsets"][:], [0, 3, 5])
            self.assertEqual(trace["sequence_label"].asstr()[:].tolist(), ["code", "code"])


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
            self.done("import_trace.py", f"{form}.json", "-o", f"{form}.h5", *MODEL, "--scoring", "topk_softmax")
            with h5py.File(self.folder / f"{form}.h5") as trace:
                np.testing.assert_array_equal(trace["expert_ids"][:], IDS)
                np.testing.assert_allclose(trace["expert_weights"][:], WEIGHTS, rtol=1e-6)
                np.testing.assert_array_equal(trace["sequence_offsets"][:], [0, 18, 30])
                np.testing.assert_array_equal(trace["token_ids"][:], np.arange(30))

    def test_refusals(self):
        (self.folder / "a.json").write_text('{"tokens": []}')
        self.refused(INPUT, ["no token records"], "import_trace.py", "a.json", "-o", "t.h5", *MODEL)
        (self.folder / "a.json").write_text("[")
        self.refused(INPUT, ["no JSON"], "import_trace.py", "a.json", "-o", "t.h5", *MODEL)

    def test_unknown_misspelt_and_contradictory_keys(self):
        def run(tokens, words):
            (self.folder / "a.json").write_text(json.dumps({"tokens": tokens}))
            self.refused(INPUT, ["a.json", *words], "import_trace.py", "a.json", "-o", "t.h5", *MODEL)

        keyed, flat = [self.layers(t, "keyed") for t in range(3)], [self.layers(t, "flat") for t in range(3)]
        run([dict(flat[0]), dict(flat[1]), {"selected_expert": 1}], ["2 of 3 records"])
        run([{"selected_expert": [[1, 2, 3, 4]]}], ["did you mean 'selected_experts'"])
        run([dict(keyed[0], selected_experts=[[1, 2, 3, 4]])], ["layers and selected_experts in one token"])
        run([dict(flat[0], token_id=3), flat[1]], ["token_id in some tokens"])
        run([dict(flat[0], token_ids=3)], ["did you mean 'token_id'"])
        run([{"layers": {"layer_1": keyed[0]["layers"]["layer_1"], "1": keyed[0]["layers"]["layer_1"]}}], ["comes twice"])
        del keyed[1]["layers"]["layer_1"]["selected_probs"]
        run(keyed, ["selected_probs in some layers"])
        (self.folder / "a.json").write_text(json.dumps([dict(token, text="a") for token in flat]))
        result = self.done("import_trace.py", "a.json", "-o", "t.h5", *MODEL)
        self.assertIn("'text' is not read", result.stderr)


if __name__ == "__main__":
    unittest.main()
