"""What a capture reads: prompts, and a model with its tokenizer."""

from pathlib import Path

import huggingface_hub
import torch
import transformers

from .keys import Notes, check_keys, load_json
from .refusal import INPUT, MACHINE, Refusal

LOADING = (OSError, ValueError, KeyError, ImportError)  # what transformers raises for a model that it cannot load


def check_model(name):
    """Refuses what is no model before anything else is asked of it, which would complain of something else."""
    huggingface_hub.utils.logging.set_verbosity_error()  # of each attempt to reach the hub
    try:
        transformers.AutoConfig.from_pretrained(name)
    except LOADING as error:
        found = "no config.json there" if Path(name).is_dir() else str(error).split(". ")[0]
        expected = "a model's folder or its name on the Hugging Face hub"
        raise Refusal(INPUT, f"{name}: cannot be loaded (expected {expected}, found: {found})") from None


def load_tokenizer(name):
    try:
        return transformers.AutoTokenizer.from_pretrained(name)
    except LOADING as error:
        raise Refusal(INPUT, f"{name}: no tokenizer ({error}); give prompts as token_ids") from None


def read_prompts(path, model, longest):
    """(token ids, label) of every prompt; texts become tokens by the tokenizer of `model`."""
    prompts, tokenizer, notes = [], None, Notes()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        record = {"prompt": line}
        if path.suffix in (".jsonl", ".json"):
            record = load_json(f"{path}:{number}", line)
            if not isinstance(record, dict):
                raise Refusal(INPUT, f"{path}:{number}: no JSON object")
            check_keys(f"{path}:{number}", record, ("prompt", "token_ids", "label"), notes)
        if "token_ids" in record and "prompt" in record:
            raise Refusal(INPUT, f"{path}:{number}: both prompt and token_ids (expected one of the two)")
        if "token_ids" in record:
            ids = record["token_ids"]
            if not isinstance(ids, list) or not all(type(token) is int for token in ids):
                raise Refusal(INPUT, f"{path}:{number}: token_ids {str(ids)[:60]} (expected a list of whole numbers)")
        elif "prompt" in record:
            tokenizer = tokenizer or load_tokenizer(model)
            ids = tokenizer(record["prompt"])["input_ids"]
        else:
            raise Refusal(INPUT, f"{path}:{number}: expected the key prompt or token_ids, found {sorted(record)}")
        if not ids:
            raise Refusal(INPUT, f"{path}:{number}: empty prompt")
        prompts.append((ids[:longest], str(record.get("label", ""))))
    if not prompts:
        raise Refusal(INPUT, f"{path}: no prompts (expected one a line)")
    return prompts


def load_model(name, weights, device):
    """The causal language model `name`, ready to run."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind = weights if weights == "auto" else getattr(torch, weights)
    try:
        # The eager experts are the family's own reference; fast kernels route alike but are not everywhere.
        model = transformers.AutoModelForCausalLM.from_pretrained(name, dtype=kind, experts_implementation="eager")
        return model.to(device).eval()
    except LOADING as error:
        if isinstance(error, OSError) and "No space left" in str(error):
            raise
        raise Refusal(INPUT, f"{name}: cannot be loaded as a causal language model ({error})") from None
    except RuntimeError as error:
        raise Refusal(MACHINE, f"{name}: {error}") from None
