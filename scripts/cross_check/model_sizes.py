#!/usr/bin/env python3
"""Sizes of MoE models, counted on the models themselves: transformers builds them on the meta device, which allocates
nothing. The counts are committed beside the configurations, so that tests need neither torch nor transformers.

    model_sizes.py families tests/hw/configs/families.jsonl     every MoE family, in its default configuration
    model_sizes.py published tests/hw/configs/published.jsonl   counts the given configurations again, where the family
                                                                is one of transformers'

One JSON object a line: family or name, total (all parameters of the text model with its vocabulary projection, tied
embeddings once), active (those that one token is multiplied by: without the embedding look-up and the routed experts
that it does not go to; null where the configuration does not say how many it goes to), moe_layers, config.
Needs torch and transformers 5.24; a family whose default configuration builds no model, or one without experts, is
left out.
"""

import argparse
import importlib
import json
import re

import torch
import transformers
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

TOP_K = ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_k", "moe_topk", "moe_top_k",
         "top_k_experts")
EXPERTS = ("n_routed_experts", "num_experts", "num_local_experts", "moe_num_experts")
NOT_TEXT = ("vision", "audio", "talker", "encoder", "sam_", "timestamp", "code2wav", "projector")
UNREAD = ("id2label", "label2id", "transformers_version", "_name_or_path")


def text_model(config):
    """The text model of a configuration, and whether it has a vocabulary projection."""
    with torch.device("meta"):
        for auto in (transformers.AutoModelForCausalLM, transformers.AutoModel):
            try:
                return auto.from_config(config), auto is transformers.AutoModelForCausalLM
            except ValueError as error:
                if "Unrecognized configuration class" not in str(error):
                    raise
        module = importlib.import_module(type(config).__module__.replace("configuration_", "modeling_"))
        classes = [c for c in vars(module).values() if isinstance(c, type)
                   and issubclass(c, transformers.PreTrainedModel) and c.config_class is type(config)]
        classes = [c for c in classes if "PreTrained" not in c.__name__]
        model = min(classes, key=lambda c: ("ForCausalLM" not in c.__name__, "Model" not in c.__name__))
        return model(config), "ForCausalLM" in model.__name__


def first(config, names):
    for name in names:
        value = getattr(config, name, None)
        value = value[0] if isinstance(value, (list, tuple)) and value else value
        if isinstance(value, int) and value > 0:
            return value
    return None


def count(config):
    text = config.get_text_config(decoder=True)
    model, has_head = text_model(text)
    embedding = model.get_input_embeddings().weight
    total = sum(parameter.numel() for parameter in model.parameters())
    if has_head:
        tied = model.get_output_embeddings().weight is embedding
    else:
        tied = bool(getattr(text, "tie_word_embeddings", False))
        total += 0 if tied else embedding.numel()
    routed, layers = 0, set()
    for name, parameter in model.named_parameters():
        if re.search(r"\bexperts\b", name) and "shared" not in name and "router" not in name:
            routed += parameter.numel()
            layers.add(re.search(r"\.(\d+)\.", name)[1])
    top_k, experts = first(text, TOP_K), first(text, EXPERTS)
    active = None
    if top_k and experts:
        active = total - (0 if tied else embedding.numel()) - routed * (experts - top_k) // experts
    return {"total": total, "active": active, "moe_layers": len(layers)}


def without_unread(config):
    kept = {}
    for key, value in config.items():
        if value is None or key in UNREAD:
            continue
        if key.endswith("_config") and any(word in key for word in NOT_TEXT):
            continue
        kept[key] = without_unread(value) if isinstance(value, dict) and key.endswith("_config") else value
    return kept


def as_written(config):
    """What stands in the file, with Python's Infinity for what transformers writes as an object."""
    return json.loads(config.to_json_string(use_diff=False),
                      object_hook=lambda o: float(o["__float__"]) if list(o) == ["__float__"] else o)


def families():
    for family in CONFIG_MAPPING_NAMES:
        if any(word in family for word in NOT_TEXT):
            continue
        try:
            config = CONFIG_MAPPING[family]()
            counted = count(config) if hasattr(config, "get_text_config") and may_be_moe(config) else None
        except Exception as error:  # whatever a default configuration may run into
            print(f"{family}: {type(error).__name__}")
            continue
        if counted and counted["moe_layers"]:
            yield {"family": family, **counted, "config": without_unread(as_written(config))}


def may_be_moe(config):
    return first(config.get_text_config(decoder=True), EXPERTS) is not None


def published(file):
    for line in open(file):
        row = json.loads(line)
        family = row["config"].get("model_type")
        if family in CONFIG_MAPPING_NAMES:
            try:
                counted = count(CONFIG_MAPPING[family].from_dict(row["config"]))
            except Exception as error:
                print(f"{row['name']}: {type(error).__name__}: {str(error)[:80]}")
            else:
                row.update(counted, source="counted")
        yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("families", "published"))
    parser.add_argument("file")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    rows = list(families() if arguments.which == "families" else published(arguments.file))
    with open(arguments.file, "w") as out:
        for row in rows:
            out.write(json.dumps(row, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
