#!/usr/bin/env python3
"""Captures a router trace from a Hugging Face MoE model: prefill and decode, full logits, one HDF5 file.

    capture_router.py MODEL PROMPTS -o trace.h5
    capture_router.py allenai/OLMoE-1B-7B-0924 prompts.txt -o olmoe.h5 --decode 256 --temperature 1
    capture_router.py ./model prompts.jsonl -o trace.h5 --acceptance --rounds

MODEL is a folder or a name that transformers can load. PROMPTS is a text file with one prompt a line, or JSON lines
{"prompt": TEXT} or {"token_ids": [...]}, each with an optional "label". With --acceptance and --rounds the target is the
model with INT8 weights, and its elastic self-draft (some experts, upper bits of the weights) is measured against it.

A capture that is stopped goes on with the same command; what it had finished is in the file meanwhile.
Exit status: 0 done, 2 wrong usage, 3 model or prompts refused, 4 the machine failed us, 75 stopped.
"""

import argparse
import hashlib
import json
import signal
from pathlib import Path

import h5py
import numpy as np
import torch
import transformers

from routertrace import acceptance, elastic_draft, generation, refusal, rollouts, routers, selection
from routertrace.parts import Parts
from routertrace.progress import Progress
from routertrace.refusal import INPUT, INTERRUPTED, USAGE, Refusal
from routertrace.trace_file import Description, TraceWriter, concatenate

TOLERATED = 1e-3  # share of rows that may choose other experts than the model did; more means a wrong rule


def numbers(kind, lowest, highest):
    def parse(text):
        values = sorted({kind(word) for word in text.split(",")})
        if not all(lowest <= value <= highest for value in values):
            raise argparse.ArgumentTypeError(f"{text} (expected values from {lowest} to {highest})")
        return values
    return parse


def whole(lowest):
    def parse(text):
        if int(text) < lowest:
            raise argparse.ArgumentTypeError(f"{text} (expected at least {lowest})")
        return int(text)
    return parse


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("prompts", metavar="PROMPTS", type=Path)
    parser.add_argument("-o", "--output", metavar="TRACE", type=Path, required=True)
    parser.add_argument("--decode", type=whole(0), default=128, help="tokens to generate per prompt (128)")
    parser.add_argument("--prompt-tokens", type=whole(1), default=512, help="longest prompt; the rest is cut off (512)")
    parser.add_argument("--batch", type=whole(1), default=8, help="prompts at a time (8)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 = greedy (default), 1 = sampled as modelled")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ignore-end", action="store_true", help="do not stop at the model's end-of-text token")
    parser.add_argument("--logits", choices=["auto", "float16", "float32"], default="auto",
                        help="stored type; auto = float16, or float32 where a selection bias takes part")
    parser.add_argument("--weights", choices=["auto", "float32", "bfloat16", "float16"], default="auto",
                        help="type of the loaded weights; auto = as stored")
    parser.add_argument("--device", default="auto", help="auto = the first GPU, else the CPU")
    parser.add_argument("--model-name", default="", help="what the trace calls the model")
    parser.add_argument("--source", default="", help="where the prompts are from")
    parser.add_argument("--licence", default="", help="licence of the trace")
    group = parser.add_argument_group("the elastic self-draft")
    group.add_argument("--int8", action="store_true", help="the target has INT8 weights (implied by the next two)")
    group.add_argument("--acceptance", action="store_true", help="measure acceptance over fractions x bits")
    group.add_argument("--rounds", action="store_true", help="record speculative rounds with their rejected columns")
    group.add_argument("--fractions", type=numbers(float, 0, 1), default=[0.25, 0.375, 0.5, 0.625, 0.75, 1.0],
                       help="resident shares of the experts (0.25,0.375,0.5,0.625,0.75,1)")
    group.add_argument("--bits", type=numbers(int, 1, 8), default=[2, 3, 4, 5, 6, 8],
                       help="kept bits of each weight (2,3,4,5,6,8)")
    group.add_argument("--truncation", action="store_true", help="measure plain truncation as well")
    group.add_argument("--depth", type=whole(1), default=8, help="draft tokens of a recorded round (8)")
    group.add_argument("--rounds-fraction", type=float, default=0.5, help="resident share in recorded rounds (0.5)")
    group.add_argument("--rounds-bits", type=whole(1), default=4, help="kept bits in recorded rounds (4)")
    options = parser.parse_args(arguments)
    if options.temperature < 0:
        parser.error(f"--temperature {options.temperature} (expected 0 or more)")
    if not 0 <= options.rounds_fraction <= 1 or options.rounds_bits > 8:
        parser.error("--rounds-fraction, --rounds-bits (expected 0 to 1 and 1 to 8)")
    if options.rounds and options.decode < 2:
        parser.error("--rounds needs --decode 2 or more")
    options.int8 |= options.acceptance or options.rounds
    return options


def read_prompts(path, tokenizer, longest):
    """(token ids, label) of every prompt."""
    prompts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        record = {"prompt": line}
        if path.suffix in (".jsonl", ".json"):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise Refusal(INPUT, f"{path}:{number}: no JSON ({error})") from None
        if "token_ids" in record:
            ids = [int(token) for token in record["token_ids"]]
        elif "prompt" in record:
            ids = tokenizer()(record["prompt"])["input_ids"]
        else:
            raise Refusal(INPUT, f"{path}:{number}: expected the key prompt or token_ids, found {sorted(record)}")
        if not ids:
            raise Refusal(INPUT, f"{path}:{number}: empty prompt")
        prompts.append((ids[:longest], str(record.get("label", ""))))
    if not prompts:
        raise Refusal(INPUT, f"{path}: no prompts (expected one a line)")
    return prompts


def load_model(options):
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = options.weights if options.weights == "auto" else getattr(torch, options.weights)
    try:
        # The eager experts are the family's own reference; fast kernels route alike but are not everywhere.
        model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=kind, experts_implementation="eager")
        return model.to(device).eval()
    except (OSError, ValueError, KeyError, ImportError) as error:
        if isinstance(error, OSError) and "No space left" in str(error):
            raise
        raise Refusal(INPUT, f"{options.model}: cannot be loaded as a causal language model ({error})") from None
    except RuntimeError as error:
        raise Refusal(refusal.MACHINE, f"{options.model}: {error}") from None


class Stop:
    """SIGINT or SIGTERM asks for a stop after the batch in progress; a second one stops at once."""

    def __init__(self):
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, *_):
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


class Capture:
    """One capture: what it is, and its three stages over batches of prompts."""

    def __init__(self, options):
        self.options = options
        self.stop = Stop()
        self.settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()
                         if key not in ("device", "output")}
        self.settings["prompts_sha256"] = hashlib.sha256(options.prompts.read_bytes()).hexdigest()
        self.parts = Parts(options.output, self.settings)
        self.prompts = read_prompts(options.prompts, self._tokenizer, options.prompt_tokens)
        self.model = load_model(options)
        self.config = self.model.config.get_text_config()
        self._check_vocabulary()
        self.taps = routers.attach(self.model)
        self.draft = elastic_draft.ElasticDraft(self.model, self.taps) if options.int8 else None
        self.rule = routers.declared_rule(self.config, self.taps)
        self.bias = None
        if self.taps[0].bias is not None:
            self.bias = np.stack([tap.selection_bias() for tap in self.taps])
        stored = options.logits if options.logits != "auto" else "float32" if self.bias is not None else "float16"
        self.stored = np.dtype(stored).type
        self.repaired = 0

    def _tokenizer(self):
        try:
            return transformers.AutoTokenizer.from_pretrained(self.options.model)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise Refusal(INPUT, f"{self.options.model}: no tokenizer ({error}); give prompts as token_ids") from None

    def _check_vocabulary(self):
        size = self.model.get_input_embeddings().weight.shape[0]
        for number, (ids, _) in enumerate(self.prompts):
            if not 0 <= min(ids) <= max(ids) < size:
                raise Refusal(INPUT, f"{self.options.prompts}: prompt {number} has token {max(ids)} (expected 0 to "
                                     f"{size - 1}, the vocabulary of {self.options.model})")

    def batches(self):
        """(number, prompts with labels) of every batch. Prompts of like length go together, to pad little."""
        order = sorted(range(len(self.prompts)), key=lambda i: len(self.prompts[i][0]))
        size = self.options.batch
        return [[self.prompts[i] for i in order[first:first + size]] for first in range(0, len(order), size)]

    def description(self):
        attributes = {"temperature": self.options.temperature, "seed": self.options.seed,
                      "target_weights": "int8-g32" if self.draft else str(self.model.dtype).removeprefix("torch.")}
        maker = f"capture_router.py, transformers {transformers.__version__}, torch {torch.__version__}"
        return Description(
            model=self.options.model_name or Path(self.options.model).name, rule=self.rule,
            num_shared_experts=routers.shared_experts(self.config), source=self.options.source,
            licence=self.options.licence, created_by=maker, attributes=attributes,
            layer_numbers=[tap.layer for tap in self.taps], selection_bias=self.bias,
            model_config=self.config.to_json_string(use_diff=False))

    def stage(self, kind, step):
        """Runs step(number, batch) for every batch whose part is not there; False when asked to stop."""
        batches = self.batches()
        done = len(self.parts.finished(kind))
        progress = Progress(kind, len(batches), done)
        for number in range(done, len(batches)):
            if self.stop.asked:
                return False
            step(number, batches[number])
            progress.advance()
        progress.close()
        return not self.stop.asked

    # Stage 1: text and routing.

    def capture_batch(self, number, batch):
        options = self.options
        ends = self.model.generation_config.eos_token_id if not options.ignore_end else None
        ends = [] if ends is None else ends if isinstance(ends, list) else [ends]
        sequences = generation.capture(self.model, self.taps, [ids for ids, _ in batch], options.decode,
                                       options.temperature, options.seed + number, ends)
        with TraceWriter(self.parts.path("sequences", number), self.described()) as part:
            for sequence, (_, label) in zip(sequences, batch):
                part.append(label, router_logits=self.storable(sequence), token_ids=np.int32(sequence.token_ids),
                            phase=np.uint8(sequence.phase))

    def described(self):
        if self.rule is None:
            self.infer_rule()
        return self.description()

    @torch.inference_mode()
    def infer_rule(self):
        """A family that is not known by name: the rule that gives the gate weights it computes."""
        tap = self.taps[0]
        tap.record = True
        self.model(input_ids=torch.tensor([self.prompts[0][0]], device=self.model.device))
        self.rule = routers.inferred_rule(tap)
        tap.record = False

    def storable(self, sequence):
        if not np.isfinite(sequence.logits).all():
            raise Refusal(INPUT, f"{self.options.model}: a router gave NaN or infinite logits")
        if np.abs(sequence.logits).max() > np.finfo(self.stored).max:
            raise Refusal(USAGE, f"{self.options.model}: router logits exceed float16; use --logits float32")
        ids = sequence.ids
        if ids is None:
            ids = selection.select(self.rule, sequence.logits, self.bias)
        stored, wrong = selection.store_logits(self.rule, sequence.logits, ids, self.stored, self.bias)
        if wrong > TOLERATED * ids[..., 0].size:
            raise Refusal(INPUT, f"{self.options.model}: the selection rule {self.rule} does not choose what the model "
                                 f"chose ({wrong} of {ids[..., 0].size} rows differ)")
        self.repaired += wrong
        return stored

    # Stages 2 and 3: the elastic self-draft, on the text of stage 1.

    def text_of(self, number):
        """Token ids of the sequences of a batch, and where phase 1 begins in each."""
        with h5py.File(self.parts.path("sequences", number)) as part:
            offsets, ids, phase = (part[name][:] for name in ("sequence_offsets", "token_ids", "phase"))
        pieces = [slice(a, b) for a, b in zip(offsets, offsets[1:])]
        firsts = [int(np.argmax(phase[p] == 1)) if (phase[p] == 1).any() else p.stop - p.start for p in pieces]
        return [ids[p].tolist() for p in pieces], firsts

    def popularity(self):
        """[L, E] choices of the prefill tokens: what a draft's resident experts are chosen by."""
        counts = np.zeros((len(self.taps), self.taps[0].experts), np.int64)
        for path in self.parts.finished("sequences"):
            with h5py.File(path) as part:
                prefill = np.flatnonzero(part["phase"][:] == 0)
                ids = selection.select(self.rule, part["router_logits"][:][prefill], self.bias)
            for layer in range(len(counts)):
                counts[layer] += np.bincount(ids[:, layer].ravel(), minlength=counts.shape[1])
        return counts

    def configurations(self):
        """(fraction, bits, augmented): the grid of LSB-augmented drafts, then that of truncated ones."""
        options = self.options
        variants = [True, False] if options.truncation else [True]
        return [(fraction, bits, augmented) for augmented in variants for bits in options.bits
                for fraction in options.fractions]

    def measure_batch(self, number, _):
        sequences, _ = self.text_of(number)
        accept, agree = acceptance.measure(self.model, self.draft, sequences, self.counts, self.configurations(),
                                           self.options.temperature or 1.0)
        self.parts.save("acceptance", number, accept=accept, agree=agree)

    def roll_batch(self, number, _):
        options = self.options
        sequences, firsts = self.text_of(number)
        residents = elastic_draft.most_popular(self.counts, options.rounds_fraction, self.taps[0].top_k)
        found = rollouts.record(self.model, self.draft, sequences, firsts, residents, options.rounds_bits, options.depth,
                                options.temperature, options.seed + number)
        starts = np.cumsum([0] + [len(s) for s in sequences])
        flat = [(starts[s] + r.position, r) for s, rounds in enumerate(found) for r in rounds]
        shape = (len(flat), options.depth + 1, len(self.taps), self.taps[0].top_k)
        verify = np.full(shape, -1, np.int16)
        for i, (_, r) in enumerate(flat):
            verify[i, : r.drafted + 1] = r.ids
        self.parts.save("rounds", number, position=np.int64([p for p, _ in flat]),
                        drafted=np.int32([r.drafted for _, r in flat]),
                        accepted=np.int32([r.accepted for _, r in flat]), verify=verify)

    # The file.

    def assemble(self, complete):
        """Writes what is there under the output's name; the draft's groups only once they are complete."""
        paths = self.parts.finished("sequences")
        if not paths:
            return
        output = self.options.output
        temporary = output.with_name(f".{output.name}.whole")
        try:
            concatenate(paths, temporary, self.described())
            with h5py.File(temporary, "r+") as trace:
                if complete and self.options.acceptance:
                    self.write_acceptance(trace)
                if complete and self.options.rounds:
                    self.write_rounds(trace)
            temporary.replace(output)
        finally:
            temporary.unlink(missing_ok=True)

    def write_acceptance(self, trace):
        parts = [np.load(path) for path in self.parts.finished("acceptance")]
        accept, agree = (np.concatenate([part[name] for part in parts], 1) for name in ("accept", "agree"))
        configurations = self.configurations()
        for name, augmented in (("acceptance", True), ("acceptance_truncated", False)):
            rows = [c for c, configuration in enumerate(configurations) if configuration[2] == augmented]
            if not rows:
                continue
            group = trace.create_group(name)
            group["cache_fraction"] = np.float32([configurations[c][0] for c in rows])
            group["weight_bits"] = np.uint8([configurations[c][1] for c in rows])
            packed = dict(compression="gzip", compression_opts=9, shuffle=True, chunks=(1, min(8192, accept.shape[1])))
            group.create_dataset("accept_probability", data=accept[rows].astype(np.float16), **packed)
            group.create_dataset("greedy_agreement", data=agree[rows].astype(np.uint8), **packed)
            group.attrs.update(
                drafter="elastic self-draft: the most popular experts of each layer (by prefill tokens) resident, INT8 "
                        f"weights {'LSB-augmented' if augmented else 'truncated'} to weight_bits",
                temperature=self.options.temperature or 1.0)

    def write_rounds(self, trace):
        offset, position, rest = 0, [], []
        for number, path in enumerate(self.parts.finished("rounds")):
            part = np.load(path)
            position.append(part["position"] + offset)
            rest.append([part[name] for name in ("drafted", "accepted", "verify")])
            offset += sum(map(len, self.text_of(number)[0]))
        drafted, accepted, verify = (np.concatenate(arrays) for arrays in zip(*rest))
        kind = np.int8 if self.taps[0].experts <= 128 else np.int16
        group = trace.create_group("rounds")
        group["position"], group["drafted"], group["accepted"] = np.concatenate(position), drafted, accepted
        group.create_dataset("verify_expert_ids", data=verify.astype(kind), compression="gzip", compression_opts=9,
                             shuffle=True, chunks=(min(len(verify), 256), *verify.shape[1:]))
        group.attrs.update(drafter="elastic self-draft", cache_fraction=self.options.rounds_fraction,
                           weight_bits=self.options.rounds_bits, temperature=self.options.temperature)

    def run(self):
        options = self.options
        self.parts.open()
        complete = self.stage("sequences", self.capture_batch)
        if complete and (options.acceptance or options.rounds):
            if self.rule is None:
                self.infer_rule()
            self.counts = self.popularity()
        if complete and options.acceptance:
            complete = self.stage("acceptance", self.measure_batch)
        if complete and options.rounds:
            complete = self.stage("rounds", self.roll_batch)
        self.assemble(complete)
        if not complete:
            raise Refusal(INTERRUPTED, f"stopped after {len(self.parts.finished('sequences'))} of {len(self.batches())} "
                                       "batches; the same command goes on")
        self.parts.remove()
        if self.repaired:
            print(f"{options.output}: {self.repaired} rows choose other experts than the model did", flush=True)


def main():
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.backends.cuda.matmul.allow_tf32 = False
    Capture(parse_arguments()).run()


if __name__ == "__main__":
    refusal.run(main)
