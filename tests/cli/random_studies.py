"""Random small studies with hardware over one trace: every system, scheme, policy, acceptance model, mode, variants."""

import json
import random

import elastic

SYSTEMS = ["xpu", "xpu-pim", "xpu-logicpim", "xpu-nmp", "hb-xpu", "elmoe3d-4gb", "elmoe3d-8gb"]
SCHEMES = ["ar", "eagle", "slm", "quant", "elastic", "speq"]
# Sixteen experts of 0.35 GB in three layers: 4 GB hold a part of them, 8 GB more.
MODEL = {"num_hidden_layers": 3, "hidden_size": 8192, "vocab_size": 32000, "num_attention_heads": 64,
         "num_key_value_heads": 8, "head_dim": 128, "moe_intermediate_size": 14336,
         "num_experts": elastic.EXPERTS, "num_experts_per_tok": 2}
CONTEXTS = [1024, 1024, 1024, 16_384, 262_144]  # the last leave hybrid-bonded memories out


def some(dice, choices, most, least=1):
    """Some of the choices, in their order."""
    chosen = dice.sample(choices, dice.randint(least, min(most, len(choices))))
    return [choice for choice in choices if choice in chosen]


def acceptance_of(dice, mode):
    if mode == "replay":
        return dice.choice([{"model": "ngram"}, {"alpha": 0}, {"alpha": 1}])
    models = [{"alpha": dice.choice([0.3, 0.6, 0.9, 1])}, {"model": "ratio", "alpha": dice.choice([0.2, 0.5, 0.8])},
              {"model": "positions", "positions": [0.8, 0.6, 0.5, 0.4]}, {"model": "lengths", "lengths": [4, 3, 2, 1, 1]}]
    if mode != "exhaustive":
        models += [{"model": "ngram"}] + 3 * [{"model": "captured"}]
    if mode == "random":
        models += 2 * [{"model": "coverage", "b0": -1, "b1": 3}] + [{"model": "coverage"}]
    return dice.choice(models)


def policies_of(dice, mode, acceptance):
    if mode == "exhaustive":
        return ["static"]
    allowed = [policy for policy in elastic.POLICIES
               if not (policy == "random" and mode == "replay")
               and not ("belady" in policy and acceptance.get("model") == "coverage")]
    return some(dice, allowed, 3)


def random_study(number):
    """The tables of a study; the same number gives the same study."""
    dice = random.Random(number)
    mode = dice.choice(6 * ["random"] + ["exhaustive", "replay", "perturbed"])
    acceptance = acceptance_of(dice, mode)
    schemes = some(dice, SCHEMES, 4)
    depths = some(dice, [1, 2, 3, 4], 2)
    if dice.random() < 0.7:
        depths.insert(0, 0)
    study = {"trace": "trace.h5", "mode": mode, "seed": number, "trajectories": dice.choice([64, 96, 192]),
             "rounds": dice.randint(2, 6), "calibration": "all"}
    if mode in ("random", "perturbed") and dice.random() < 0.2:
        study["start"] = "cold"
    grid = {"batch": [1] if mode in ("exhaustive", "replay") else some(dice, [1, 2, 4], 2), "depth": depths,
            "policy": policies_of(dice, mode, acceptance), "capacity": some(dice, [2, 5, 6, 11, 16], 2)}
    if "elastic" in schemes or acceptance.get("model") == "captured":
        grid["bits"] = some(dice, [2, 3, 4, 6, 8], 2)
    chain = mode in ("exhaustive", "replay") or {"quant", "speq"} & set(schemes)
    tables = {"study": study, "grid": grid, "acceptance": acceptance}
    if not chain and dice.random() < 0.2:
        tables["draft"] = {"width": 2, "sibling_routing": 0.5}
    hardware = {"model": "config.json", "systems": some(dice, SYSTEMS, 4), "schemes": schemes,
                "context": dice.choice(CONTEXTS), "reference": dice.choice(4 * ["xpu"] + ["none", "hb-xpu"])}
    if dice.random() < 0.4:
        factors = some(dice, [0.2, 0.5, 2], 2)
        if any(system.startswith(("elmoe3d", "hb-")) for system in hardware["systems"]):  # what no system has is refused
            hardware["vary"] = {"hb.capacity": factors}
    if dice.random() < 0.4:
        hardware.setdefault("vary", {})["attention.kv_bits"] = some(dice, [0.5, 2], 2)
    if dice.random() < 0.9:
        tables["hardware"] = hardware
    elif grid.get("bits") and acceptance.get("model") != "captured":
        del grid["bits"]
    return tables


def write_model(folder):
    (folder / "config.json").write_text(json.dumps(MODEL))
