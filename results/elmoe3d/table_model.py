"""The timing model of `moecarlo reproduce elmoe3d` a second time, in closed form and from the same presets.

It shares no code with the program, and takes laws of the speculative cells that the program does not have.
"""

import csv
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

PRESETS = Path(__file__).resolve().parents[2] / "hw" / "presets"
CONTEXT, WIDTH, VERIFIED = 1024, 10, 60
MODELS = {"Qwen3-30B-A3B": "qwen3-30b-a3b", "GLM-4.7-Flash": "glm-4.7-flash",
          "DeepSeek-V2-Lite": "deepseek-v2-lite", "GPT-OSS-20B": "gpt-oss-20b"}


def preset(kind, name):
    """{table: {name: value}}; texts are left out."""
    document = tomllib.loads((PRESETS / kind / f"{name}.toml").read_text())
    return {table: {key: row["value"] for key, row in rows.items() if isinstance(row, dict)}
            for table, rows in document.items() if isinstance(rows, dict)}


def network(outer, inner):
    return [(outer, 2 * inner), (inner, outer)]


def weights(matrices):
    return sum(inputs * outputs for inputs, outputs in matrices)


def stored(table, bits=None):
    return (table["bits"] if bits is None else bits) + table["scale_bits"] / table["group_size"]


class Model:
    def __init__(self, name):
        rows = preset("models", name)
        laws = preset("reproductions", "elmoe3d")
        layers, experts, attention, head = (rows[t] for t in ("layers", "experts", "attention", "draft_head"))
        hidden = layers["hidden"]
        self.name, self.experts, self.top_k = name, experts["count"], experts["top_k"]
        self.popularity, self.locality = laws["popularity"][name], laws["locality"][name]
        self.scale = None  # of the popularity law; see distinct
        self.dense_layers, self.hidden = layers.get("dense", 0), hidden
        self.moe_layers = layers["total"] - self.dense_layers
        self.expert = network(hidden, experts["ffn"])
        self.expert_format, self.dense_format = experts, rows["dense"]
        if "kv_rank" in attention:
            a = {key: attention[key] for key in ("query_heads", "kv_rank", "rope_size", "nope_size", "value_size")}
            latent = a["kv_rank"] + a["rope_size"]
            query = a["query_heads"] * (a["nope_size"] + a["rope_size"])
            rank = attention.get("query_rank")
            self.attention = [(hidden, rank + latent), (rank, query)] if rank else [(hidden, query + latent)]
            self.attention += [(a["kv_rank"], a["query_heads"] * (a["nope_size"] + a["value_size"])),
                               (a["query_heads"] * a["value_size"], hidden)]
            self.kv_bytes = latent * attention["kv_bits"] / 8  # of a token in a layer
            self.kv_macs = a["query_heads"] * (2 * a["kv_rank"] + a["rope_size"])
        else:
            query, kv = (attention[key] * attention["head_size"] for key in ("query_heads", "kv_heads"))
            self.attention = [(hidden, query + 2 * kv), (query, hidden)]
            self.kv_bytes, self.kv_macs = 2 * kv * attention["kv_bits"] / 8, 2 * query
        self.kv_bits = attention["kv_bits"]
        shared = experts.get("shared", 0) * experts["ffn"]  # reads what the router reads
        self.beside = [(hidden, self.experts + 2 * shared), (shared, hidden)]
        self.first = network(hidden, layers["dense_ffn"]) if self.dense_layers else []
        self.lm_head = [(hidden, layers["vocabulary"])]
        self.head = [(3 * hidden, hidden), (2 * hidden, head["query_width"] + 2 * head["kv_width"]),
                     (head["query_width"], hidden), *network(hidden, head["ffn"]), *self.lm_head]
        self.head_kv_bytes = 2 * head["kv_width"] * 2
        self.dense_weights = (self.moe_layers * weights(self.attention + self.beside) +
                              self.dense_layers * weights(self.attention + self.first) + weights(self.lm_head))
        self.sliceable = experts["bits"] == 8
        self.layers = self.moe_layers + self.dense_layers

    def expert_bytes(self, bits=None):
        whole = not self.sliceable or bits is None
        return weights(self.expert) * stored(self.expert_format, None if whole else bits) / 8

    def dense_bytes(self, bits=None):
        return self.dense_weights * stored(self.dense_format, bits) / 8

    def kv(self, batch):
        return batch * CONTEXT * self.kv_bytes * self.layers

    # ---- routing: independent tokens of a popularity law ----

    def taken(self, scale, tokens):
        return -sum(math.expm1(-tokens * scale * i ** -self.popularity) for i in range(1, self.experts + 1))

    def distinct(self, tokens):
        if self.scale is None:
            low, high = 0.0, 1e6
            for _ in range(100):
                middle = (low + high) / 2
                low, high = (middle, high) if self.taken(middle, 1) < self.top_k else (low, middle)
            self.scale = high
        return self.taken(self.scale, tokens)

    def hit_share(self, slots):
        return 0 if slots < 1 else min(1, slots / self.experts) ** self.locality


class Machine:
    """A system of two tiers, or with `gib` None the xPU, which has one."""

    def __init__(self, gib):
        self.gib = gib
        rows = preset("systems", f"elmoe3d-{gib}gb" if gib else "xpu")
        unit = rows["logic"]
        self.operations = 2 * unit["processing_elements"] * unit["macs_per_element"] * unit["clock"] * 1e9
        self.pass_bits = unit["bits_per_pass"]
        self.home = rows["ext"]["bandwidth"] * rows["ext"]["efficiency"] * 1e9
        if not gib:
            return
        self.near = rows["hb"]["bandwidth"] * rows["hb"]["efficiency"] * 1e9
        self.capacity = rows["hb"]["capacity"] * 2 ** 30
        self.elements, self.output_bytes = unit["processing_elements"], unit["output_size"]
        self.broadcast, self.collect = (rows[t]["bandwidth"] * 1e9 for t in ("streamline", "aggregation"))

    def seconds(self, near, home, computed):
        """`computed`: (matrices, tokens, weight bits), or (multiply-adds, bits). The slowest resource."""
        operations, sent, collected = 0.0, home / (self.elements if self.gib else 1), 0.0
        for what in computed:
            if len(what) == 2:
                operations += 2 * what[0] * math.ceil(what[1] / self.pass_bits)
                continue
            matrices, tokens, bits = what
            operations += 2 * weights(matrices) * tokens * math.ceil(bits / self.pass_bits)
            sent += sum(inputs for inputs, _ in matrices) * tokens
            collected += sum(outputs for _, outputs in matrices) * tokens
        if not self.gib:
            return max((near + home) / self.home, operations / self.operations)
        return max(near / self.near, home / self.home, operations / self.operations, sent / self.broadcast,
                   collected * self.output_bytes / self.elements / self.collect)


@dataclass
class Pass:
    """One pass over the target's layers: bytes of an expert near and at home by hit and miss, and bits of weights."""
    batch: int
    tokens: float
    hits: float
    misses: float
    hit: tuple
    miss: tuple
    bits: float = 8          # dense weights
    expert_bits: float = 8
    near_share: float = 1    # of the dense weights


def pass_seconds(machine, model, what):
    def dense(matrices, kv):
        size = weights(matrices) * stored(model.dense_format, what.bits) / 8
        context = what.batch * CONTEXT * model.kv_bytes if kv else 0
        computed = [(matrices, what.tokens, what.bits)]
        if kv:
            computed.append((what.tokens * CONTEXT * model.kv_macs, model.kv_bits))
        return machine.seconds(what.near_share * size + context, (1 - what.near_share) * size, computed)

    bits = model.expert_format["bits"] if not model.sliceable else what.expert_bits
    experts = machine.seconds(what.hits * what.hit[0] + what.misses * what.miss[0],
                              what.hits * what.hit[1] + what.misses * what.miss[1],
                              [(model.expert, what.tokens * model.top_k, bits)])
    return (model.moe_layers * (dense(model.attention + model.beside, True) + experts) +
            model.dense_layers * dense(model.attention + model.first, True) + dense(model.lm_head, False))


def reference_seconds(model, batch):
    whole = (0, model.expert_bytes())
    return pass_seconds(Machine(None), model, Pass(batch, batch, 0, model.distinct(batch), whole, whole))


def slm():
    rows = preset("schemes", "slm")["drafter"]
    layer = [(rows["hidden"], rows["query_width"] + 2 * rows["kv_width"]), (rows["query_width"], rows["hidden"]),
             *network(rows["hidden"], rows["ffn"])]
    table = rows["hidden"] * rows["vocabulary"]
    bits = stored(rows)
    return {"matrices": layer * int(rows["layers"]) + [(rows["hidden"], rows["vocabulary"])],
            "read": (rows["layers"] * weights(layer) + table) * bits / 8, "table": table * bits / 8,
            "kv": 2 * rows["layers"] * rows["kv_width"] * rows["kv_bits"] / 8 * CONTEXT}


@dataclass
class Design:
    gib: int
    model: Model
    scheme: str
    batch: int
    alpha: float
    published_ar: float
    published: float | None
    machine: Machine = field(init=False)

    def __post_init__(self):
        self.machine = Machine(self.gib)

    def room(self, taken, slot):
        """Whole experts a layer in what the dense weights, the KV cache and `taken` leave."""
        left = self.machine.capacity - self.model.dense_bytes() - self.model.kv(self.batch) - taken
        return max(0, min(math.floor(left / slot), self.model.experts * self.model.moe_layers)) / self.model.moe_layers

    def slots(self, drafting):
        model, whole = self.model, self.model.expert_bytes()
        if self.scheme == "elastic":
            return self.room(0, model.expert_bytes(4) if drafting else whole)
        if self.scheme == "eagle":
            return self.room(weights(model.head) * stored(model.dense_format) / 8 +
                             self.batch * CONTEXT * model.head_kv_bytes, whole)
        if self.scheme == "slm":
            one = slm()
            return self.room(one["read"] + one["table"] + self.batch * one["kv"], whole)
        copied = model.moe_layers * model.experts * model.expert_bytes(4) if model.sliceable else 0
        if drafting:
            return self.room(model.dense_bytes(4), model.expert_bytes(4))
        return self.room(model.dense_bytes(4) + copied if copied else 0, whole)

    def slm_share(self):
        one = slm()
        need = one["read"] + one["table"] + self.batch * one["kv"]
        return min(1, (self.machine.capacity - self.model.dense_bytes() - self.model.kv(self.batch)) / need)

    def ar(self):
        model, whole = self.model, self.model.expert_bytes()
        union, share = model.distinct(self.batch), model.hit_share(self.slots(False))
        step = Pass(self.batch, self.batch, share * union, (1 - share) * union, (whole, 0), (0, whole))
        return reference_seconds(model, self.batch) / pass_seconds(self.machine, model, step)


def published(file):
    with open(file, newline="") as lines:
        return [Design(int(row["hb_gb"]), Model(MODELS[row["model"]]), row["scheme"], int(row["batch"]),
                       float(row["alpha"]), float(row["ar_speedup"]), float(row["sd_speedup"] or 0) or None)
                for row in csv.DictReader(lines)]
