"""What a file is, is seen from its content: every format under a name that says nothing; axes, experts and layers that
files do not name; and every command of the page about importers."""

import base64
import io
import json
import random
import shlex
import unittest
from contextlib import redirect_stderr

import numpy as np

import common
import layouts
from common import INPUT, USAGE
from importer import IDS, MODEL, OPTIONS, RNG, ImporterTest, save_safetensors

from routertrace import formats
from routertrace.keys import Notes
from routertrace.refusal import Refusal

FIELD = common.ROOT.parent / "shared/field/formats"
PAGE = common.ROOT / "docs/importers.md"
WHOLE = {1: [1, 1, 2, 0, 0, 3, 0, 1], 2: [1, 0, 0, 4, 1, 0, 2, 0]}
SPLIT = {1: [1, 1, 1, 0, 0, 2, 0, 1], 2: [1, 0, 0, 3, 1, 0, 1, 0]}
THREE = {1: [1, 0, 2, 0, 0, 2, 0, 1], 2: [1, 0, 0, 3, 1, 0, 1, 0]}
VERIFIED = {0: [1, 1, 3, 0, 0, 4, 0, 1], 1: [1, 0, 0, 5, 1, 0, 3, 0]}
RECORDED = {0: [3, 1, 0, 2], 1: [2, 2, 1, 1]}
SAMPLES = {  # name: (format, experts, tokens per expert by layer, phases)
    "sglang_generate.json": ("sglang", 8, WHOLE, [0, 0, 0, 1]),
    "sglang_generate_uint8.json": ("sglang", 8, WHOLE, [0, 0, 0, 1]),
    "sglang_recorder_per_token.pt": ("sglang-recorder", 4, RECORDED, [0, 0, 1]),
    "vllm_completion_npy.json": ("vllm", 8, WHOLE, [0, 0, 0, 1]),
    "vllm021_completion.json": ("vllm", 8, SPLIT, [0, 0, 1]),
    "vllm021_split.npz": ("vllm", 8, SPLIT, [0, 0, 1]),
    "moetrace_layer_expert.csv": ("moe-trace", 8, THREE, None),
    "moetrace_pos_layer_ids.csv": ("moe-trace", 8, THREE, [0, 0, 1]),
    "moetrace_phase_rank.csv": ("moe-trace", 8, THREE, [0, 0, 1]),
    "moetrc01_tiny.moetrace": ("moe-trace", 8, THREE, [0, 0, 1]),
    "moe_cache_lab_v1.jsonl": ("moe-cache-lab", 8, THREE, [0, 0, 1]),
    "routes_rank0.npz": ("routecap", 8, VERIFIED, None),
}
TABLES = {  # name: (format, tokens per expert by layer)
    "sglang_recorder_stat.pt": ("eplb", {0: [3, 1, 0, 2], 1: [1, 3, 1, 1]}),
    "sglang_recorder_per_pass.pt": ("sglang-recorder", RECORDED),
    "imatrix_tiny.gguf": ("imatrix", {0: [3, 0, 4, 1], 1: [2, 2, 2, 2]}),
    "logical_count.json": ("eplb", {0: [5, 1, 0, 2], 1: [2, 2, 2, 2]}),
    "eplb_weight.npy": ("eplb", {0: [5, 1, 0, 2], 1: [2, 2, 2, 2]}),
}


def response(ids=IDS, prompt=20, **more):
    raw = base64.b64encode(ids.astype("<i4").tobytes()).decode()
    return {"meta_info": dict(prompt_tokens=prompt, completion_tokens=len(ids) + 1 - prompt, routed_experts=raw, **more)}


def completion(*choices, prompt=20):
    def npy(ids):
        with io.BytesIO() as file:
            np.save(file, ids.astype(np.uint8))
            return base64.b64encode(file.getvalue()).decode()

    return {"choices": [{"routed_experts": ids if ids is None else npy(ids)} for ids in choices],
            "usage": {"prompt_tokens": prompt}}


class FormatsTest(ImporterTest):
    def write(self, data, name="file"):
        (self.folder / name).write_bytes(data if isinstance(data, bytes) else
                                         (data if isinstance(data, str) else json.dumps(data)).encode())

    def imported(self, *arguments):
        """(data, attributes, what was said) of the trace; the program has to accept it."""
        result = self.done("import_trace.py", *arguments, "-o", "trace.h5")
        if common.MOECARLO:
            self.inspected("trace.h5")
        return *self.read(), result.stderr + result.stdout

    def by_layer(self, data, experts):
        layers = data["layer_numbers"].tolist() if "layer_numbers" in data else range(data["expert_ids"].shape[1])
        return {layer: np.bincount(data["expert_ids"][:, i].ravel(), minlength=experts).tolist()
                for i, layer in enumerate(layers)}


@unittest.skipUnless(FIELD.is_dir(), "no shared/field beside the checkout")
class Samples(FormatsTest):
    """Samples have the counts of the page of byte layouts, whatever their names; a format that is named has to be theirs."""

    def test_traces(self):
        for name, (form, experts, counts, phases) in SAMPLES.items():
            with self.subTest(name):
                self.write((FIELD / name).read_bytes())
                numbers = ["--layer-numbers", "1,2"] if "vllm021" in name else []
                data, _, _ = self.imported(form, "file", "--model", "m", "--experts", experts, "--top-k", 2, *numbers)
                self.assertEqual(self.by_layer(data, experts), counts)
                self.assertEqual(data["phase"].tolist() if "phase" in data else None, phases)
                other = "json-lines" if form != "json-lines" else "vllm"
                self.refused(INPUT, [f"(expected {other})"], "import_trace.py", other, "file", "-o", "t.h5", "--model", "m",
                             "--experts", experts, "--top-k", 2)

    def test_tables(self):
        for name, (form, counts) in TABLES.items():
            with self.subTest(name):
                self.write((FIELD / name).read_bytes())
                self.done("import_trace.py", form, "file", "-o", "loads.csv")
                rows = [line.split(",") for line in (self.folder / "loads.csv").read_text().splitlines()[1:]]
                self.assertEqual({int(layer): list(map(int, row)) for layer, *row in rows}, counts)

    def test_acceptance_is_no_routing(self):
        self.write((FIELD / "speculation_profile_full.json").read_bytes())
        self.refused(INPUT, ["acceptance, no routing", "profile"], "import_trace.py", "file", "-o", "t.h5", *MODEL)


class ToldApart(FormatsTest):
    def test_content_decides_and_not_the_name(self):
        np.savez(self.folder / "a.npz", routed_experts=IDS)
        layouts.save_torch(self.folder / "a.pt", {"expert_ids": IDS.astype(np.int32)})
        save_safetensors(self.folder / "a.safetensors", {"expert_ids": ("I32", IDS.astype(np.int32))})
        np.save(self.folder / "a.npy", IDS)
        records = "".join(json.dumps(dict(sequence=0, token=t, layer=n, experts=IDS[t, n].tolist())) + "\n"
                          for t in range(30) for n in range(3))
        rows = "".join(f"{t},{n},{','.join(map(str, IDS[t, n]))}\n" for t in range(30) for n in range(3))
        tokens = [{"selected_experts": IDS[t].tolist()} for t in range(30)]
        for name in ("a.npz", "a.pt", "a.safetensors", "a.npy", records, rows, tokens, response(), completion(IDS),
                     {"routed_experts": IDS.tolist()}):
            with self.subTest(str(name)[:40]):
                is_file = isinstance(name, str) and name.startswith("a.")
                self.write((self.folder / name).read_bytes() if is_file else name)
                data, _, _ = self.imported("file", *MODEL, "--top-k", 4)
                np.testing.assert_array_equal(data["expert_ids"], IDS)

    def test_what_is_no_format_is_refused_in_one_line(self):
        for data, words in ((b"", ["no layout"]), (b"\xff\xfe\x00", ["no layout that is known", "vllm"]), ("{", ["no JSON"]),
                            ("[1, 2]", ["no token records"]), ("hello\n", ["no layout"]), (b"\x89HDF\r\n\x1a\n", ["HDF5"]),
                            (b"MOE2\1\0\0\0", ["MOE2", "not known"]), (b"PK\3\4", ["no array"]), ({"a": 1}, ["no token"]),
                            (b"RTRACE01" + b"\x7f" * 40, ["experts, version"]), ({"choices": [1]}, ["no routing"]),
                            ({"meta_info": 3}, ["no routing"]), ([response(), 3], ["answer 1: no JSON object"])):
            with self.subTest(data[:20] if isinstance(data, (bytes, str)) else data):
                self.write(data)
                self.refused(INPUT, ["file", *words], "import_trace.py", "file", "-o", "t.h5", *MODEL, "--top-k", 4)
        big = 10 ** 30
        event = dict(record_type="routing_selection", layer=big, phase="prompt", token_position=0, selected_experts=[1, 2])
        for value in (f"0,1,{big},2\n", f"0,{big},1,2\n", f"{big},{big}\n{big},1\n", {"routed_experts": [[[1, big]]]},
                      dict(sequence=0, token=0, layer=0, experts=[big, 1]), [{"selected_experts": [[big, 2]]}],
                      {"choices": [{"routed_experts": [[[big, 2]]]}]},
                      {"choices": [{"routed_experts": [[[1, 2]]], "token_ids": [[1], [2, 3]]}]},
                      {"choices": [{"routed_experts": [[[1, 2]]], "token_ids": [1], "prompt_token_ids": [[2]]}]},
                      {"routed_experts": [[[1, 2]]], "layer_numbers": [[1]]}, {"logical_count": [[big, 1]]},
                      {"routed_experts": [[[1, 2]]], "sequence_offsets": ["a", "b"]}, {"routed_experts": 3},
                      json.dumps(dict(record_type="metadata", format_version=1)) + "\n" + json.dumps(event)):
            with self.subTest(value):
                self.write(value)
                self.refused(INPUT, ["file"], "import_trace.py", "file", "-o", "t.h5", *MODEL, "--top-k", 2)
        self.refused(USAGE, ["no file"], "import_trace.py", "vllm", "-o", "t.h5", *MODEL)

    def test_the_first_name_of_the_script_still_works(self):
        np.save(self.folder / "a.npy", IDS)
        self.done("import_arrays.py", "a.npy", "-o", "trace.h5", *MODEL)
        np.testing.assert_array_equal(self.read()[0]["expert_ids"], IDS)

    def test_files_say_what_they_say_of_the_model(self):
        head = dict(record_type="metadata", format_version=1, num_experts=16, model_id="found")
        events = (dict(record_type="routing_selection", layer=n, phase="prompt", token_position=t,
                       selected_experts=IDS[t, n].tolist()) for t in range(9) for n in range(3))
        self.write("\n".join(map(json.dumps, (head, *events))))
        _, attributes, _ = self.imported("file")
        self.assertEqual((attributes["num_experts"], attributes["model"]), (16, "found"))
        self.assertEqual(self.imported("file", "--model", "given")[1]["model"], "given")
        self.refused(USAGE, ["--experts 8 (expected 16"], "import_trace.py", "file", "-o", "t.h5", "--experts", 8)
        self.write(response())
        self.refused(USAGE, ["--model is needed"], "import_trace.py", "file", "-o", "t.h5", "--experts", 16, "--top-k", 4)

    def test_the_help_names_every_format_and_where_it_is_known_from(self):
        text = self.done("import_trace.py", "--help").stdout
        for name in (*formats.NAMES, *formats.ALIASES):
            self.assertIn(name, text)
        for words in ("from its documents", "a reader; no writer was found", "[documents]"):
            self.assertIn(words, " ".join(text.split()))


class Damaged(FormatsTest):
    def test_damaged_files_are_read_or_refused_and_nothing_else(self):
        np.savez(self.folder / "a.npz", **{f"layers.{n}": RNG.normal(size=(2, 6, 8)) for n in range(2)})
        events = "".join(f"{json.dumps(record)}\n" for record in (
            dict(record_type="metadata", format_version=1, num_experts=8),
            *(dict(record_type="routing_selection", layer=n, phase="prompt", token_position=0, selected_experts=[5, 2])
              for n in range(2))))
        header = "phase,token,layer,rank,expert\nprefill,0,1,0,5\nprefill,0,1,1,2\n"
        for value in ((self.folder / "a.npz").read_bytes(), response(IDS[:4], 2), completion(IDS[:4], prompt=2), events,
                      header, "1,5\n1,2\n2,3\n2,6\n", [{"selected_experts": IDS[0].tolist()}],
                      {"routed_experts": IDS[:2].tolist()}):
            self.write(value)
            whole = (self.folder / "file").read_bytes()
            for seed in range(40):
                rng, data = random.Random(seed), bytearray(whole)
                for _ in range(rng.choice((1, 2, 4))):
                    at = rng.randrange(len(data))
                    data[at:at + rng.choice((0, 1, 4))] = rng.choice((b"", b"\xff" * 4, b"[]", b"null", b"-1", b"9" * 9))
                self.write(bytes(data))
                with self.subTest(f"{whole[:40]}, seed {seed}"), redirect_stderr(io.StringIO()):
                    try:
                        list(formats.read(self.folder / "file", OPTIONS, Notes())[1])
                    except Refusal:
                        pass


class Answers(FormatsTest):
    def test_every_choice_is_a_sequence_and_requests_without_routing_are_counted(self):
        self.write([completion(IDS, IDS[::-1]), completion(None), completion(IDS)])
        data, _, said = self.imported("file", *MODEL)
        np.testing.assert_array_equal(data["expert_ids"], np.concatenate([IDS, IDS[::-1], IDS]))
        self.assertEqual(data["sequence_offsets"].tolist(), [0, 30, 60, 90])
        self.assertIn("1 of 4 requests left out", said)

    def test_ids_of_prompt_and_answer_in_lists_of_sglang(self):
        value = response()
        del value["meta_info"]["routed_experts"]
        value["meta_info"].update(input_expert_ids=IDS[:19].tolist(), output_expert_ids=IDS[19:].tolist(),
                                  expert_ids_schema={"moe_layer_ids": [1, 2, 5]})
        self.write(value)
        data, _, _ = self.imported("file", *MODEL)
        np.testing.assert_array_equal(data["expert_ids"], IDS)
        self.assertEqual(data["layer_numbers"].tolist(), [1, 2, 5])
        self.assertEqual(data["phase"].tolist(), [0] * 20 + [1] * 10)
        value["meta_info"]["expert_ids_schema"] = {}
        self.write(value)
        self.refused(INPUT, ["moe_layer_ids"], "import_trace.py", "file", "-o", "t.h5", *MODEL)


class Layers(FormatsTest):
    def test_numbers_of_layers_that_an_array_does_not_say(self):
        """TensorRT-LLM: [tokens - 1, layers with experts, k], int16."""
        np.save(self.folder / "a.npy", IDS.astype(np.int16))
        data, _, said = self.imported("tensorrt-llm", "a.npy", *MODEL, "--layer-numbers", "1,2,5")
        self.assertEqual(data["layer_numbers"].tolist(), [1, 2, 5])
        self.assertIn("trace.h5: 1 sequence, 30 tokens, 3 layers, top-4 of 16 experts; next: moecarlo inspect trace.h5",
                      said)
        self.refused(INPUT, ["layers [1, 2] (expected 3 "], "import_trace.py", "a.npy", "-o", "t.h5", *MODEL,
                     "--layer-numbers", "1,2")
        np.savez(self.folder / "a.npz", routed_experts=IDS, layer_numbers=[0, 1, 2])
        self.refused(USAGE, ["--layer-numbers [1, 2, 5] (expected [0, 1, 2]"], "import_trace.py", "a.npz", "-o", "t.h5",
                     *MODEL, "--layer-numbers", "1,2,5")

    def test_logits_of_samples_a_layer_are_so_many_sequences(self):
        """moe-lrc: bfloat16 [samples, tokens, experts] a layer."""
        upper = (RNG.normal(size=(3, 5, 12, 16)).astype(np.float32).view("<u4") >> 16).astype("<u2")
        expected = (upper.astype("<u4") << 16).view("<f4").reshape(3, 60, 16).transpose(1, 0, 2)
        save_safetensors(self.folder / "a", {f"layers.{n}": ("BF16", upper[i]) for i, n in enumerate((3, 4, 10))})
        layouts.save_torch(self.folder / "b", {n: upper[i].view("V2") for i, n in enumerate((3, 4, 10))})
        for name in "ab":
            data, _, _ = self.imported("moe-lrc", name, "--model", "m", "--top-k", 4)
            np.testing.assert_array_equal(data["router_logits"], expected)
            self.assertEqual(data["layer_numbers"].tolist(), [3, 4, 10])
            self.assertEqual(data["sequence_offsets"].tolist(), [0, 12, 24, 36, 48, 60])

    def test_experts_that_compute_nothing(self):
        ids = IDS.astype(np.int16)
        ids[3, 1, :2], ids[4, 0, 3], ids[:, 2, 0] = -1, 17, 16
        np.save(self.folder / "a.npy", ids)
        self.done("import_trace.py", "a.npy", "-o", "trace.h5", *MODEL, "--zero-experts", 2)
        data, attributes = self.read()
        np.testing.assert_array_equal(data["expert_ids"], ids)
        self.assertEqual((attributes["num_experts"], attributes["zero_computation_experts"]), (16, 2))
        self.refused(INPUT, ["expected 0 to 16, found 17"], "import_trace.py", "a.npy", "-o", "t.h5", *MODEL,
                     "--zero-experts", 1)
        self.refused(INPUT, ["out of range", "--zero-experts"], "import_trace.py", "a.npy", "-o", "t.h5", *MODEL)
        np.save(self.folder / "a.npy", np.ones((2, 3, 16), np.float32))
        self.refused(USAGE, ["--zero-experts 1"], "import_trace.py", "a.npy", "-o", "t.h5", "--model", "m", "--top-k", 2,
                     "--zero-experts", 1)


class Axes(FormatsTest):
    LOGITS = RNG.normal(size=(30, 3, 16)).astype(np.float32)

    def test_any_order_of_axes(self):
        np.savez(self.folder / "a.npz", picked=IDS.transpose(1, 2, 0), gates=np.full((30, 4, 3), .25, np.float32),
                 token_ids=np.arange(30), noise=np.zeros(3))
        data, _, said = self.imported("a.npz", *MODEL, "--map", "picked=layers,k,tokens", "--map", "gates=tokens,k,layers")
        np.testing.assert_array_equal(data["expert_ids"], IDS)
        np.testing.assert_array_equal(data["token_ids"], np.arange(30))
        self.assertTrue((data["expert_weights"] == .25).all())
        self.assertIn("'noise' is not read", said)

    def test_axes_in_one_axis_of_length_one_and_of_sequences(self):
        for array, axes, sequences in ((IDS.reshape(30, 12), "tokens,layers*k", 1), (IDS[:, None], "tokens,1,layers,k", 1),
                                       (IDS.reshape(5, 6, 3, 4), "sequences,tokens,layers,k", 5),
                                       (IDS.reshape(5, 6, 3, 4).transpose(2, 0, 3, 1), "layers,sequences,k,tokens", 5)):
            with self.subTest(axes):
                np.save(self.folder / "a.npy", array)
                data, _, _ = self.imported("a.npy", *MODEL, "--top-k", 4, "--map", axes)
                np.testing.assert_array_equal(data["expert_ids"], IDS)
                self.assertEqual(len(data["sequence_offsets"]), sequences + 1)

    def test_an_array_a_layer_and_a_model_of_one_layer(self):
        np.savez(self.folder / "a.npz", **{f"gate.{n}.out": self.LOGITS[:, i].T for i, n in enumerate((2, 4, 11))})
        data, _, _ = self.imported("a.npz", "--model", "m", "--top-k", 4, "--map", "gate.{layer}.out=experts,tokens")
        np.testing.assert_array_equal(data["router_logits"], self.LOGITS)
        self.assertEqual(data["layer_numbers"].tolist(), [2, 4, 11])
        np.save(self.folder / "a.npy", IDS[:, 1])
        data, _, _ = self.imported("a.npy", *MODEL, "--map", "tokens,k")
        np.testing.assert_array_equal(data["expert_ids"], IDS[:, 1:2])

    def test_a_file_a_layer(self):
        for n in (3, 4):
            np.save(self.folder / f"{n}.npy", self.LOGITS[:, n - 3].reshape(5, 6, 16))
        data, _, _ = self.imported("3.npy", "4.npy", "--model", "m", "--top-k", 4, "--map", "sequences,tokens,experts",
                                   "--layer-numbers", "3,4")
        np.testing.assert_array_equal(data["router_logits"], self.LOGITS[:, :2])
        self.assertEqual((data["layer_numbers"].tolist(), data["sequence_offsets"].tolist()),
                         ([3, 4], [0, 6, 12, 18, 24, 30]))
        np.save(self.folder / "4.npy", self.LOGITS[:25, 1].reshape(5, 5, 16))
        self.refused(INPUT, ["4.npy: other shapes than 3.npy"], "import_trace.py", "3.npy", "4.npy", "-o", "t.h5", "--model",
                     "m", "--top-k", 4, "--map", "sequences,tokens,experts")

    def test_maps_that_do_not_fit_are_refused(self):
        np.savez(self.folder / "a.npz", a=IDS, b=IDS[:, 0])
        for maps, status, words in (
            (["a=tokens,layer,k"], USAGE, ["a=tokens,layer,k"]), (["a=layers,k"], USAGE, ["tokens always"]),
            (["a=tokens,layers,k,experts"], USAGE, ["either k or experts"]),
            (["tokens,layers,k"], USAGE, ["needs the name"]),
            (["a=tokens,layers*k"], INPUT, ["a.npz: a has shape [30, 3, 4]"]), (["c=tokens,k"], INPUT, ["no array c"]),
            (["a=1,tokens,k"], INPUT, ["axis 1 of extent 30"]), (["b=tokens,layers*k"], INPUT, ["multiple of 3"]),
            (["a=tokens,layers,k", "b=tokens,k"], INPUT, ["a kind once"]),
        ):
            with self.subTest(maps):
                self.refused(status, words, "import_trace.py", "a.npz", "-o", "t.h5", *MODEL, "--top-k",
                             3 if "b=tokens,layers*k" in maps else 4, *(f"--map={text}" for text in maps))
        self.write(response())
        self.refused(USAGE, ["--map"], "import_trace.py", "file", "-o", "t.h5", *MODEL, "--top-k", 4, "--map", "tokens,k")


class Page(FormatsTest):
    """docs/importers.md: its commands run, in this order, on small files of the names that it uses."""

    def test_every_command_runs(self):
        self.write(response(), "answer.json")
        for n in (3, 4):
            np.save(self.folder / f"layer{n}.npy", RNG.normal(size=(2, 5, 16)).astype(np.float32))
        self.write(completion(IDS), "completion.json")
        np.save(self.folder / "request.npy", IDS)
        np.savez(self.folder / "dump.npz", picked=IDS.transpose(1, 0, 2))
        np.savez(self.folder / "routes_rank0.npz", **layouts.RING)
        self.write(layouts.rtrace(layouts.PROBABILITIES.items()), "run.rtrace")
        layouts.save_torch(self.folder / "expert_distribution_rank0.pt", layouts.recorded_passes())
        self.write(layouts.importance(layouts.COUNTS), "imatrix.gguf")
        blocks = PAGE.read_text().split("```")[1::2]
        commands = [shlex.split(line) for block in blocks for line in block.replace("\\\n", "").splitlines()[1:] if line]
        self.assertGreater(len(commands), 8)
        for program, *arguments in commands:
            with self.subTest(program=program, arguments=arguments):
                if program == "moecarlo":
                    self.moecarlo(*arguments)
                else:
                    self.assertEqual(program, "scripts/capture/import_trace.py")
                    self.done("import_trace.py", *arguments)

    def test_it_has_the_table_of_the_help(self):
        for name in formats.NAMES:
            self.assertIn(f"| `{name}` |", PAGE.read_text())


if __name__ == "__main__":
    unittest.main()
