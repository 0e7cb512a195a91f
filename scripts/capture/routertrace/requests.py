"""What a server says about one request, as named arrays: which rows are the prompt's, which tokens they belong to."""

import numpy as np

from .refusal import INPUT, Refusal

IDS = ("routed_experts", "expert_ids")
STARTS = ("routed_experts_start_len", "routed_experts_prompt_start")


def number(path, arrays, names):
    """A whole number that the file may state under one of `names`."""
    stated = {name: arrays[name] for name in names if name in arrays}
    for name, value in stated.items():
        if value.size != 1 or value.dtype.kind not in "iu" or int(value.reshape(())) < 0:
            raise Refusal(INPUT, f"{path}: {name} is {value.tolist()} (expected a number, 0 or more)")
    values = {int(value.reshape(())) for value in stated.values()}
    if len(values) > 1:
        raise Refusal(INPUT, f"{path}: {' and '.join(stated)} differ (found {sorted(values)})")
    return values.pop() if values else None


def numbers_in_a_row(path, arrays, names):
    for name in names:
        values = arrays.get(name, np.empty(0, int))
        if values.ndim != 1 or values.dtype.kind not in "iu":
            raise Refusal(INPUT, f"{path}: {name} {list(values.shape)}, {values.dtype} (expected whole numbers in one row)")


def joined_ids(path, arrays):
    """(ids or None, rows that are the prompt's or None): the prompt's before the answer's, where they stand apart."""
    given = [name for name in IDS if name in arrays]
    if len(given) > 1:
        raise Refusal(INPUT, f"{path}: both {' and '.join(given)} (expected one of the two)")
    for name in (*given, "prompt_routed_experts"):
        if name in arrays and arrays[name].size and arrays[name].ndim != 3:
            raise Refusal(INPUT, f"{path}: {name} has shape {list(arrays[name].shape)} (expected [tokens, layers, k])")
    answer, prompt = arrays.get(given[0]) if given else None, arrays.get("prompt_routed_experts")
    if prompt is None or prompt.size == 0:
        return answer, None
    if answer is None or answer.size == 0:
        return prompt, len(prompt)
    if prompt.shape[1:] != answer.shape[1:]:
        raise Refusal(INPUT, f"{path}: prompt_routed_experts {list(prompt.shape)} and {given[0]} "
                             f"{list(answer.shape)} (expected the same layers and k)")
    return np.concatenate([prompt, answer]), len(prompt)


def placed(path, arrays, rows, prompt_rows):
    """(token_ids, phase, tokens without a row) of the rows: which tokens they belong to. Tools leave out a prefix that
    came from the cache, and a request's last token, which is never run."""
    start, prompt = number(path, arrays, STARTS), number(path, arrays, ("prompt_tokens",))
    tokens, prompt_ids = arrays.get("token_ids"), arrays.get("prompt_token_ids")
    numbers_in_a_row(path, arrays, ("token_ids", "prompt_token_ids"))
    if prompt_ids is not None:
        if prompt not in (None, len(prompt_ids)):
            raise Refusal(INPUT, f"{path}: prompt_tokens {prompt}, but {len(prompt_ids)} prompt_token_ids")
        prompt = len(prompt_ids)
        tokens = None if tokens is None else np.concatenate([prompt_ids, tokens])
    last = 0
    if start is None and prompt_rows is not None and prompt is not None:
        start = prompt - prompt_rows
    if tokens is not None:
        missing = len(tokens) - rows
        last = min(max(missing - (start or 0), 0), 1)
        start = missing - last if start is None else start
        if missing < 0 or missing != start + last:
            raise Refusal(INPUT, f"{path}: {len(tokens)} token ids for {rows} rows (expected as many, one more for a "
                                 f"request's last token{f', and {start} more for a cached prefix' if start else ''})")
        tokens = tokens[start:start + rows]
    start = start or 0
    if start < 0 or prompt is not None and prompt_rows is not None and prompt_rows + start != prompt:
        raise Refusal(INPUT, f"{path}: {prompt_rows} rows of the prompt (expected {prompt}, its tokens, less "
                             f"{max(start, 0)} of a cached prefix)")
    if prompt is not None:
        prompt_rows = max(prompt - start, 0)
    phase = None if prompt_rows is None else (np.arange(rows) >= prompt_rows).astype(np.uint8)
    if "phase" in arrays:
        if phase is not None and not np.array_equal(arrays["phase"], phase):
            raise Refusal(INPUT, f"{path}: phase and the prompt's length differ (expected {prompt_rows} prefill rows "
                                 "first)")
        phase = arrays["phase"]
    return tokens, phase, start + last
