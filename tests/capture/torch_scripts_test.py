"""The scripts that run models, capture_router.py and the training of the reference model, from arguments to files."""

import contextlib
import io
import json
import resource
import signal
import types
import unittest
from unittest import mock

import h5py
import numpy as np

import common
from common import INPUT, INTERRUPTED, USAGE
from routertrace.refusal import Refusal

import torch  # noqa: E402
import transformers  # noqa: E402

import capture_router  # noqa: E402
import families  # noqa: E402
import train  # noqa: E402
from routertrace import session  # noqa: E402

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_grad_enabled(False)
PROMPTS = [[3, 1, 4, 1, 5, 9, 2, 6], [5, 3, 5], [8, 9, 7, 9, 3, 2]]


class ReferenceModel(common.ScriptTest):
    def test_padded_experts_compute_what_the_family_does(self):
        model = families.model("qwen3_moe")
        ids = torch.tensor([PROMPTS[0]])
        expected = model(input_ids=ids).logits
        for module in model.modules():
            if hasattr(module, "gate_up_proj"):
                module.forward = types.MethodType(train.padded_experts, module)
        torch.testing.assert_close(model(input_ids=ids).logits, expected, atol=1e-4, rtol=1e-4)

    def test_training_learns_and_reports(self):
        """Text that repeats every seven tokens is soon better than its unigram entropy."""
        text = np.tile(np.arange(1, 8), 300).astype(np.uint16)
        tokenizer = json.dumps({"model": {"vocab": {str(i): i for i in range(8)}}})
        domain = dict(packages=[], documents=1, bytes=2100, tokens=2100, heldout_documents=1, heldout_bytes=2100,
                      heldout_tokens=2100)
        card = json.dumps({"packages": {}, "domains": {"count": domain}})
        np.savez(self.folder / "corpus.npz", train_count=text, heldout_count=text,
                 tokenizer=np.frombuffer(tokenizer.encode(), np.uint8), card=np.frombuffer(card.encode(), np.uint8))
        arguments = [
            "train.py",
            str(self.folder / "corpus.npz"),
            "-o",
            str(self.folder / "model"),
            "--steps",
            "40",
            "--batch",
            "8",
            "--length",
            "16",
            "--layers",
            "2",
            "--hidden",
            "32",
            "--experts",
            "4",
            "--top-k",
            "2",
            "--expert-hidden",
            "16",
            "--rate",
            "0.01",
        ]
        with mock.patch("sys.argv", arguments), contextlib.redirect_stdout(io.StringIO()), torch.enable_grad(), \
                contextlib.redirect_stderr(io.StringIO()):
            train.main()
        report = json.loads((self.folder / "model/training.json").read_text())
        self.assertAlmostEqual(report["unigram_bits_per_token"]["mean"], np.log2(7), delta=0.01)
        self.assertLess(report["heldout_bits_per_token"]["mean"], 1.5)
        self.assertEqual(np.shape(report["expert_load"]), (2, 4))


class Script(common.ScriptTest):
    """capture_router.py, mostly in this process: loading torch takes longer than capturing from these models."""

    COMMON = ("--decode", "16", "--temperature", "1", "--batch", "4")

    def setUp(self):
        super().setUp()
        families.model("qwen3_moe").save_pretrained(self.folder / "model")
        rng = np.random.default_rng(1)
        with open(self.folder / "p.jsonl", "w") as file:
            for i in range(12):
                file.write(
                    json.dumps({"token_ids": rng.integers(0, 61, 6 + i % 3).tolist(), "label": f"d{i % 2}"}) + "\n"
                )

    def capture(self, output, *more, model="model", prompts="p.jsonl"):
        with contextlib.redirect_stderr(io.StringIO()):
            return session.Capture(capture_router.parse_arguments(
                [str(self.folder / model), str(self.folder / prompts), "-o", str(self.folder / output), *self.COMMON,
                 *more]))

    def run_quietly(self, capture):
        with contextlib.redirect_stderr(io.StringIO()):
            capture.run()

    def expect_refusal(self, status, words, call, *arguments, **options):
        with self.assertRaises(Refusal) as caught:
            call(*arguments, **options)
        self.assertEqual(caught.exception.status, status)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_captured_trace_serves_every_study(self):
        self.run_quietly(self.capture("t.h5", "--acceptance", "--truncation", "--rounds", "--depth", "4", "--fractions",
                                      "0.25,0.5,1", "--bits", "2,4,8"))
        self.assertFalse((self.folder / "t.h5.parts").exists())
        with h5py.File(self.folder / "t.h5") as trace:
            self.assertEqual(trace["router_logits"].dtype, np.float16)
            self.assertEqual(int(trace["phase"][:].sum()), 12 * 16)
            self.assertEqual(json.loads(trace["model_config"][()])["moe_intermediate_size"], 16)
            self.assertEqual(sorted(set(trace["sequence_label"].asstr()[:])), ["d0", "d1"])
            group = trace["acceptance"]
            full = (group["cache_fraction"][:] == 1) & (group["weight_bits"][:] == 8)
            self.assertGreater(group["accept_probability"][:][full].min(), 0.998)
        if common.MOECARLO is None:
            return
        self.assertEqual(self.inspected("t.h5")["acceptance_configurations"], 9)
        self.moecarlo("locality", "t.h5", "--json")
        grid = '[grid]\ndepth = [0, 4]\npolicy = ["static"]\ncapacity = [2, 4]\n'
        for name, mode, model in (
            ("captured", "random", 'model = "captured"'),
            ("coverage", "random", 'model = "coverage"'),
            ("rounds", "replay", 'model = "rounds"\nrejected_routing = "captured"'),
        ):
            (self.folder / f"{name}.toml").write_text(
                f'[study]\ntrace = "t.h5"\ntrajectories = 256\nmode = "{mode}"\n{grid}[acceptance]\n{model}\n')
            self.moecarlo("simulate", f"{name}.toml", "-o", name)
            self.assertTrue((self.folder / name / "summary.json").exists())

    def test_magnitudes_are_those_of_the_experts_inputs_and_probabilities_the_drafts_own(self):
        capture = self.capture("t.h5", "--acceptance", "--fractions", "0.5,1", "--bits", "4,8", "--channels",
                               "--rounds-fraction", "1", "--rounds-bits", "8")
        self.run_quietly(capture)
        with h5py.File(self.folder / "t.h5") as trace:
            offsets, ids, magnitude = (trace[name][:] for name in ("sequence_offsets", "token_ids", "channel_magnitude"))
            scale, own = trace["channel_magnitude"].attrs["scale"], trace["acceptance/draft_probability"]
            self.assertEqual((own.attrs["cache_fraction"], own.attrs["weight_bits"]), (1, 8))
            own = own[:]
        self.assertEqual((magnitude.shape, magnitude.dtype, scale.shape), ((len(ids), 3, 32), np.uint8, (3,)))
        found = []
        for layer in capture.model.model.layers:
            layer.mlp.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0][0].abs().numpy()))
        for first, end in zip(offsets[:3], offsets[1:]):
            found.clear()
            logits = capture.model(input_ids=torch.tensor(ids[None, first:end]).long()).logits[0]
            inputs = np.stack(found, 1)
            self.assertLess(np.abs(magnitude[first:end] * scale[:, None] - np.minimum(inputs, 255 * scale[:, None])).max(),
                            scale.max() * 0.51 + 2e-3 * inputs.max())
            best = torch.softmax(logits[:-1], -1).amax(-1).numpy()
            self.assertEqual(own[first], 1)
            np.testing.assert_allclose(own[first + 1:end], best, atol=2e-3)
        if common.MOECARLO is None:
            return
        said = self.inspected("t.h5")
        self.assertEqual((said["channels"], said["draft_probability"]), (32, True))
        (self.folder / "s.toml").write_text(
            '[study]\ntrace = "t.h5"\ntrajectories = 64\n[grid]\ndepth = [2]\ncapacity = [4]\n[acceptance]\n'
            'model = "captured"\n[demand]\nrule = ["all", "threshold"]\ntheta = [0.1]\nchannels = [0, 0.5]\n')
        self.moecarlo("simulate", "s.toml", "-o", "s")
        points = json.loads((self.folder / "s/summary.json").read_text())["points"]
        loaded = {point["demand"]: point["metrics"]["expert_equivalents"]["value"] for point in points}
        self.assertLess(loaded["all(channels 0.5)"], loaded["all"])

    def test_choices_of_a_model_whose_rule_no_trace_can_state(self):
        families.model("phimoe").save_pretrained(self.folder / "thresholds")
        self.expect_refusal(INPUT, ["no rule that a trace can state", "--routing ids"], self.capture, "t.h5",
                            model="thresholds")
        self.run_quietly(self.capture("t.h5", "--routing", "ids", model="thresholds"))
        with h5py.File(self.folder / "t.h5") as trace:
            self.assertEqual(trace["expert_ids"].shape, trace["expert_weights"].shape)
            self.assertEqual((trace["expert_ids"].shape[1:], trace.attrs["top_k"]), ((3, 2), 2))
            self.assertNotIn("router_logits", trace)
        if common.MOECARLO:
            self.assertEqual(self.inspected("t.h5")["form"], "expert_ids")

    def test_stopped_capture_is_readable_and_goes_on(self):
        self.run_quietly(self.capture("whole.h5", "--acceptance", "--fractions", "0.5", "--bits", "4"))
        stopped = self.capture("t.h5", "--acceptance", "--fractions", "0.5", "--bits", "4")
        step = stopped.capture_batch

        def stop_after_the_second(number, batch):
            step(number, batch)
            stopped.stop.asked = number == 1

        stopped.capture_batch = stop_after_the_second
        self.expect_refusal(INTERRUPTED, ["2 of 3 batches"], self.run_quietly, stopped)
        with h5py.File(self.folder / "t.h5") as trace:
            self.assertEqual(len(trace["sequence_offsets"]), 9)
        if common.MOECARLO:
            self.inspected("t.h5")
            self.inspected("t.h5.parts/sequences-00001.h5")
        self.expect_refusal(
            USAGE,
            ["another capture", "seed"],
            self.capture,
            "t.h5",
            "--acceptance",
            "--fractions",
            "0.5",
            "--bits",
            "4",
            "--seed",
            "2",
        )
        self.run_quietly(self.capture("t.h5", "--acceptance", "--fractions", "0.5", "--bits", "4"))
        with h5py.File(self.folder / "t.h5") as resumed, h5py.File(self.folder / "whole.h5") as once:
            for name in ("token_ids", "router_logits", "sequence_offsets", "acceptance/accept_probability"):
                np.testing.assert_array_equal(resumed[name][:], once[name][:])
        self.expect_refusal(USAGE, ["is there already", "--force"], self.capture, "t.h5")

    def test_full_disk_is_one_line(self):
        """A limit on the size of files stands for it."""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

        result = self.run_script("capture_router.py", "model", "p.jsonl", "-o", "t.h5", *self.COMMON, preexec_fn=limit)
        self.assertEqual(result.returncode, common.MACHINE, result.stderr)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertIn("cannot be written (File too large)", result.stderr)

    def test_refusals(self):
        config = transformers.LlamaConfig(vocab_size=61, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                                          num_attention_heads=2)
        transformers.AutoModelForCausalLM.from_config(config).save_pretrained(self.folder / "dense")
        self.expect_refusal(INPUT, ["no MoE router"], self.capture, "t.h5", model="dense")
        (self.folder / "text.jsonl").write_text('{"prompt": "a word"}\n')
        for prompts in ({}, {"prompts": "text.jsonl"}):  # a model that is not there is no model without a tokenizer
            self.expect_refusal(INPUT, ["absent: cannot be loaded"], self.capture, "u.h5", model="absent", **prompts)
        for text, words in (
            ('{"token_ids": [99]}', ["token 99", "0 to 60"]),
            ('{"ids": [9]}', ["bad.jsonl:1", "['ids']"]),
            ('{"token_id": [9]}', ["bad.jsonl:1", "did you mean 'token_ids'"]),
            ('{"token_ids": [9], "prompt": "a"}', ["both prompt and token_ids"]),
            ('{"token_ids": "9"}', ["token_ids 9"]),
            ("{", ["bad.jsonl:1", "no JSON"]),
            ("", ["no prompts"]),
        ):
            (self.folder / "bad.jsonl").write_text(text + "\n")
            self.expect_refusal(INPUT, words, self.capture, "v.h5", prompts="bad.jsonl")
        self.assertFalse(list(self.folder.glob("*.h5*")))


if __name__ == "__main__":
    unittest.main()
