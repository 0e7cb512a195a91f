"""One capture: its stages over batches of prompts, each of which may stop between two batches and go on later."""

import hashlib
import signal
from pathlib import Path

import h5py
import numpy as np
import torch
import transformers

from . import acceptance, draft_groups, elastic_draft, generation, inputs, rollouts, routers, rules, selection
from .parts import Parts
from .progress import Progress
from .refusal import INPUT, INTERRUPTED, USAGE, Refusal
from .rules import TOLERATED
from .trace_file import Description, TraceWriter, concatenate, id_type

MOST_CHANNELS = 8192  # of the trace format
HEADROOM = 1.25  # above the largest magnitude of the first batch; what is larger is stored as 255


def magnitudes(channels, scale):
    """uint8 [n, L, H] of |input| [n, L, H], or None."""
    if channels is None:
        return None
    return np.clip(np.rint(channels / scale[:, None]), 0, 255).astype(np.uint8)


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
                         if key not in ("device", "output", "force")}
        self.settings["prompts_sha256"] = hashlib.sha256(options.prompts.read_bytes()).hexdigest()
        self.parts = Parts(options.output, self.settings, options.force)
        inputs.check_model(options.model)
        self.prompts = inputs.read_prompts(options.prompts, options.model, options.prompt_tokens)
        self.model = inputs.load_model(options.model, options.weights, options.device)
        self.config = self.model.config.get_text_config()
        self._check_vocabulary()
        self.taps = routers.attach(self.model)
        self.draft = elastic_draft.ElasticDraft(self.model, self.taps) if options.int8 else None
        self.rule, self.bias = self._rule()
        exact = self.bias is not None or self.rule.num_groups > 1
        stored = options.logits if options.logits != "auto" else "float32" if exact else "float16"
        self.stored = np.dtype(stored).type
        self.repaired = 0

    def _rule(self):
        """(rule, bias). Where the choices themselves are recorded no rule is needed, and none is claimed."""
        if self.options.routing == "ids":
            return selection.Rule(experts=self.taps[0].experts, top_k=self.taps[0].top_k), None
        return rules.identify(self.model, self.taps)

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
            num_shared_experts=routers.shared_experts(self.model, self.taps), source=self.options.source,
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
                                       options.temperature, options.seed + number, ends, options.channels)
        scale = self.channel_scale(sequences)
        with TraceWriter(self.parts.path("sequences", number), self.description(), scale) as part:
            for sequence, (_, label) in zip(sequences, batch):
                part.append(label, **self.routing(sequence), token_ids=np.int32(sequence.token_ids),
                            phase=np.uint8(sequence.phase), channel_magnitude=magnitudes(sequence.channels, scale))

    def channel_scale(self, sequences):
        """float32 [L] what a stored 1 stands for, the same in all parts: what the first one has met, and room above."""
        if not self.options.channels:
            return None
        first = self.parts.path("sequences", 0)
        if first.exists():
            with h5py.File(first) as part:
                return part["channel_magnitude"].attrs["scale"]
        largest = np.max([sequence.channels.max((0, 2)) for sequence in sequences], 0).astype(np.float32)
        if sequences[0].channels.shape[-1] > MOST_CHANNELS:
            raise Refusal(INPUT, f"{self.options.model}: experts of {sequences[0].channels.shape[-1]} input channels "
                                 f"(expected at most {MOST_CHANNELS} for --channels)")
        return np.maximum(largest * HEADROOM / 255, np.finfo(np.float32).tiny)

    def routing(self, sequence):
        if self.options.routing == "logits":
            return {"router_logits": self.storable(sequence)}
        return {"expert_ids": sequence.ids.astype(id_type(self.rule.experts)),
                "expert_weights": None if sequence.weights is None else sequence.weights.astype(np.float32)}

    def storable(self, sequence):
        if not np.isfinite(sequence.logits).all():
            raise Refusal(INPUT, f"{self.options.model}: a router gave NaN or infinite logits")
        if np.abs(sequence.logits).max() > np.finfo(self.stored).max:
            raise Refusal(USAGE, f"{self.options.model}: router logits exceed float16; use --logits float32")
        ids = sequence.ids
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
        accept, agree, own = acceptance.measure(self.model, self.draft, sequences, self.counts, self.configurations(),
                                                self.options.temperature or 1.0)
        self.parts.save("acceptance", number, accept=accept, agree=agree, own=own)

    def roll_batch(self, number, _):
        options = self.options
        sequences, firsts = self.text_of(number)
        residents = elastic_draft.most_popular(self.counts, options.rounds_fraction, self.taps[0].top_k)
        found = rollouts.record(
            self.model,
            self.draft,
            sequences,
            firsts,
            residents,
            options.rounds_bits,
            options.depth,
            options.temperature,
            options.seed + number,
        )
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
        options, output = self.options, self.options.output
        temporary = output.with_name(f".{output.name}.whole")
        try:
            scale = self.channel_scale([])
            concatenate(paths, temporary, self.description(), scale)
            with h5py.File(temporary, "r+") as trace:
                if complete and options.acceptance:
                    draft_groups.write_acceptance(trace, self.parts, self.configurations(), options.temperature or 1.0,
                                                  (options.rounds_fraction, options.rounds_bits))
                if complete and options.rounds:
                    draft_groups.write_rounds(trace, self.parts, options)
            temporary.replace(output)
        finally:
            temporary.unlink(missing_ok=True)

    def run(self):
        options = self.options
        self.parts.open()
        complete = self.stage("sequences", self.capture_batch)
        if complete and (options.acceptance or options.rounds):
            self.counts = self.popularity()
        if complete and options.acceptance:
            complete = self.stage("acceptance", self.measure_batch)
        if complete and options.rounds:
            complete = self.stage("rounds", self.roll_batch)
        self.assemble(complete)
        if not complete:
            raise Refusal(INTERRUPTED, f"stopped after {len(self.parts.finished('sequences'))} of "
                                       f"{len(self.batches())} batches; the same command goes on")
        self.parts.remove()
        if self.repaired:
            print(f"{options.output}: {self.repaired} rows choose other experts than the model did", flush=True)
