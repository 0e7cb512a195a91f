#!/usr/bin/env python3
"""Trains the reference model: a small Qwen3-MoE language model, on a GPU in minutes or on a CPU in a bounded time.

    train.py build/reference_model/corpus.npz -o build/reference_model/model --minutes 3

Six layers of 32 experts, top-4: small enough for a CPU, deep enough for layers to differ. Writes the
model (float16, Hugging Face format) with its tokenizer, and training.json: the loss curve, held-out loss and bits per
byte by domain, the unigram entropy that a model without context cannot beat, and the load of every expert.
"""

import argparse
import json
import math
import sys
import time
import types
from pathlib import Path

import numpy as np
import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "capture"))
from routertrace import routers  # noqa: E402
from routertrace.refusal import INPUT, Refusal, run  # noqa: E402

MODEL = "moecarlo-reference"
BALANCE = 0.01  # weight of the load-balancing loss, over the whole batch so that domains may keep experts of their own
ROUTER_Z = 1e-3  # weight of the squared log-partition of the router logits, which keeps them small


def configuration(vocabulary, options):
    return transformers.Qwen3MoeConfig(
        vocab_size=vocabulary, hidden_size=options.hidden, num_hidden_layers=options.layers, num_attention_heads=8,
        num_key_value_heads=4, head_dim=options.hidden // 8, intermediate_size=2 * options.hidden,
        moe_intermediate_size=options.expert_hidden, num_experts=options.experts, num_experts_per_tok=options.top_k,
        norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[], max_position_embeddings=1024,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=0, pad_token_id=None, rope_theta=10000.0)


def padded_experts(self, hidden, ids, weights):
    """The experts of a layer as two batched products over tokens sorted by expert and padded to the fullest one: what
    the family's loop over experts computes, without its hundreds of small kernels."""
    tokens, top_k = ids.shape
    order = ids.flatten().argsort(stable=True)
    expert = ids.flatten()[order]
    counts = torch.bincount(expert, minlength=self.num_experts)
    place = torch.arange(len(order), device=ids.device) - (counts.cumsum(0) - counts)[expert]
    rows = hidden.new_zeros(self.num_experts, int(counts.max()), hidden.shape[-1])
    rows = rows.index_put((expert, place), hidden[order // top_k])
    gate, up = torch.bmm(rows, self.gate_up_proj.transpose(1, 2)).chunk(2, -1)
    out = torch.bmm(self.act_fn(gate) * up, self.down_proj.transpose(1, 2))[expert, place]
    out = out * weights.flatten()[order, None].to(out.dtype)
    return torch.zeros_like(hidden).index_add(0, order // top_k, out.to(hidden.dtype))


def exact_router(router):
    """Routing is decided in float32 while the rest trains in bfloat16, as it is when the model runs."""
    forward = router.forward

    def exact(hidden):
        with torch.autocast(hidden.device.type, enabled=False):
            return forward(hidden.float())
    router.forward = exact


def build(vocabulary, options, device):
    torch.manual_seed(options.seed)
    model = transformers.AutoModelForCausalLM.from_config(configuration(vocabulary, options)).to(device)
    for module in model.modules():
        if hasattr(module, "gate_up_proj"):
            module.forward = types.MethodType(padded_experts, module)
    return model


class RouterLosses:
    """Collects the logits of every router in a forward pass, for the two losses that shape routing."""

    def __init__(self, model):
        self.logits = []
        for tap in routers.attach(model):
            tap.detach()
            exact_router(tap.module)
            tap.module.register_forward_hook(lambda _, __, output: self.logits.append(output[0].float()))
            self.top_k = tap.top_k

    def take(self):
        """The load-balancing loss (1 where all experts carry the same), the z loss, and the load [L, E]."""
        balance, z, loads = 0, 0, []
        for logits in self.logits:
            p = logits.softmax(-1)
            experts = p.shape[-1]
            load = torch.zeros(experts, device=p.device).scatter_add_(
                0, logits.topk(self.top_k, -1).indices.flatten(), torch.ones(p.shape[0] * self.top_k, device=p.device))
            load = load / load.sum()
            balance = balance + experts * (load * p.mean(0)).sum()
            z = z + torch.logsumexp(logits, -1).square().mean()
            loads.append(load)
        layers, self.logits = len(self.logits), []
        return balance / layers, z / layers, torch.stack(loads).detach()


class Corpus:
    def __init__(self, path, device):
        try:
            with np.load(path) as file:
                self.card = json.loads(file["card"].tobytes())
                self.tokenizer = file["tokenizer"].tobytes().decode()
                self.domains = list(self.card["domains"])
                load = lambda kind: [torch.from_numpy(file[f"{kind}_{d}"].astype(np.int32)).to(device)  # noqa: E731
                                     for d in self.domains]
                self.train, self.heldout = load("train"), load("heldout")
        except (ValueError, KeyError) as error:
            raise Refusal(INPUT, f"{path}: not a corpus of corpus.py ({error})") from None
        self.vocabulary = len(json.loads(self.tokenizer)["model"]["vocab"])
        self.device = device

    def batch(self, rows, length, generator):
        """Windows from all domains alike, each from a random place."""
        windows = []
        for i in range(rows):
            tokens = self.train[i % len(self.train)]
            begin = int(torch.randint(len(tokens) - length - 1, (), generator=generator))
            windows.append(tokens[begin:begin + length + 1])
        return torch.stack(windows).long()

    def unigram(self):
        """Bits per token of held-out text under the token frequencies of the training text."""
        counts = sum(torch.bincount(t, minlength=self.vocabulary).double() / len(t) for t in self.train) + 1e-9
        cost = -(counts / counts.sum()).log2()
        return {d: float(cost[t.long()].mean()) for d, t in zip(self.domains, self.heldout)}


@torch.no_grad()
def evaluate(model, losses, corpus, length, limit):
    """Held-out bits per token by domain, and the mean load of every expert [L, E]."""
    bits, loads = {}, []
    for domain, tokens in zip(corpus.domains, corpus.heldout):
        windows = tokens[: min(len(tokens), limit) // (length + 1) * (length + 1)].view(-1, length + 1).long()
        total = 0.0
        for part in windows.split(32):
            logits = model(input_ids=part[:, :-1]).logits.float()
            total += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(),
                                                             reduction="sum"))
            loads.append(losses.take()[2])
        bits[domain] = total / math.log(2) / (windows.shape[0] * length)
    return bits, torch.stack(loads).mean(0)


def rate(progress, warmup=0.03):
    """The learning rate as a share of its peak: warm up, then a cosine down to a twentieth."""
    if progress < warmup:
        return progress / warmup + 0.01
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def optimiser(model, options):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]  # norms
    return torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                             lr=options.rate, betas=(0.9, 0.95), fused=True)


def train(model, losses, corpus, options, device):
    """The loss curve: [step, seconds, tokens, loss in bits per token, balance]."""
    generator = torch.Generator().manual_seed(options.seed)
    optimise = optimiser(model, options)
    automatic = torch.autocast(device.split(":")[0], torch.bfloat16, enabled=device != "cpu")
    curve, begin, step, progress = [], time.monotonic(), 0, 0.0
    while progress < 1:
        for group in optimise.param_groups:
            group["lr"] = options.rate * rate(progress)
        batch = corpus.batch(options.batch, options.length, generator)
        with automatic:
            logits = model(input_ids=batch[:, :-1]).logits
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())
        balance, z, _ = losses.take()
        optimise.zero_grad(set_to_none=True)
        (loss + BALANCE * balance + ROUTER_Z * z).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimise.step()
        step += 1
        elapsed = time.monotonic() - begin
        progress = step / options.steps if options.steps else elapsed / (60 * options.minutes)
        if step % 50 == 0 or step == 1 or progress >= 1:
            curve.append([step, round(elapsed, 1), step * options.batch * options.length,
                          round(loss.item() / math.log(2), 4), round(balance.item(), 4)])
            print("step {} {} s, {} tokens: {} bits per token, balance {}".format(*curve[-1]), flush=True)
    return curve


def save(model, corpus, folder):
    model.half()
    model.save_pretrained(folder, max_shard_size="14MB")
    (folder / "tokenizer.json").write_text(corpus.tokenizer)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, metavar="CORPUS")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL")
    parser.add_argument("--minutes", type=float, default=30.0, help="time of the training loop (30)")
    parser.add_argument("--steps", type=int, default=0, help="instead of --minutes: a number of steps")
    parser.add_argument("--batch", type=int, default=0, help="windows a step (GPU 128, CPU 16)")
    parser.add_argument("--length", type=int, default=256, help="tokens of a window (256)")
    parser.add_argument("--rate", type=float, default=2e-3, help="peak learning rate (0.002)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--experts", type=int, default=32)
    parser.add_argument("--top-k", type=int, default=4)
    parser.add_argument("--expert-hidden", type=int, default=128)
    parser.add_argument("--evaluate", type=int, default=1_000_000, help="held-out tokens per domain to judge by")
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options.batch = options.batch or (128 if device == "cuda" else 16)
    torch.set_float32_matmul_precision("high")
    corpus = Corpus(options.corpus, device)
    model = build(corpus.vocabulary, options, device)
    losses = RouterLosses(model)
    curve = train(model, losses, corpus, options, device)
    model.eval()
    save(model, corpus, options.output)  # judged as it is stored
    model.float()
    bits, load = evaluate(model, losses, corpus, options.length, options.evaluate)
    unigram = corpus.unigram()
    per_byte = {d: corpus.card["domains"][d]["heldout_tokens"] / corpus.card["domains"][d]["heldout_bytes"]
                for d in corpus.domains}
    mean = lambda values: sum(values.values()) / len(values)  # noqa: E731
    report = {
        "model": MODEL, "parameters": sum(p.numel() for p in model.parameters()),
        "device": torch.cuda.get_device_name() if device == "cuda" else "CPU", "torch": torch.__version__,
        "transformers": transformers.__version__, "options": {k: str(v) if isinstance(v, Path) else v
                                                              for k, v in vars(options).items()},
        "training_tokens": curve[-1][2], "seconds": curve[-1][1],
        "curve": {"columns": ["step", "seconds", "tokens", "bits_per_token", "balance"], "rows": curve},
        "heldout_bits_per_token": {**bits, "mean": mean(bits)},
        "heldout_perplexity": 2 ** mean(bits),
        "heldout_bits_per_byte": {**{d: bits[d] * per_byte[d] for d in bits},
                                  "mean": mean({d: bits[d] * per_byte[d] for d in bits})},
        "unigram_bits_per_token": {**unigram, "mean": mean(unigram)},
        "expert_load": load.cpu().numpy().round(5).tolist(), "corpus": corpus.card}
    (options.output / "training.json").write_text(json.dumps(report, indent=1))
    print(f"held out: {mean(bits):.3f} bits per token (unigram {mean(unigram):.3f}), "
          f"{report['heldout_bits_per_byte']['mean']:.3f} bits per byte; heaviest expert carries "
          f"{float(load.max()) * load.shape[1]:.2f} times the mean, lightest {float(load.min()) * load.shape[1]:.2f}")


if __name__ == "__main__":
    run(main)
