#!/usr/bin/env python3
"""How many of the input channels that siblings want the candidate that decides for them loads, in a trained model.

    recall.py build/small_model/model build/small_model/texts.jsonl [--limit 32] [--width 4]

EdgeXpert's trees (routertrace/siblings.py) along held-out texts; a line for each threshold of gate times input magnitude:
the recall, and the share of channels that is loaded of the experts that are.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "capture"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--limit", type=int, default=32, metavar="N", help="texts (32)")
    parser.add_argument("--width", type=int, default=4, help="candidates a level (4)")
    parser.add_argument("--thetas", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1, 1.5, 2])
    options = parser.parse_args()
    import torch
    from measure_loss import popularity
    from routertrace import elastic_draft, inputs, routers
    from routertrace.loss import Passes
    from routertrace.siblings import channel_recall

    length, prompt, depth = 192, 64, 4
    texts = [ids[:length] for ids, _ in inputs.read_prompts(options.texts, options.model, length) if len(ids) >= length]
    model = inputs.load_model(options.model, "float32", "auto")
    taps = routers.attach(model)
    draft = elastic_draft.ElasticDraft(model, taps)
    ids = torch.tensor(texts[:options.limit], device=model.device)
    residents = elastic_draft.most_popular(popularity(model, taps, ids[:, :prompt]), 0.5, taps[0].top_k)
    sums = {theta: [0] * 4 for theta in options.thetas}
    with torch.inference_mode():
        for text in ids:
            passes = Passes([1.0] * (depth + 1), prompt, 1)
            found = channel_recall(model, draft, text[None], passes, options.width, residents, 4, options.thetas)
            for theta, counts in found.items():
                sums[theta] = [a + b for a, b in zip(sums[theta], counts)]
    for theta, (wanted, covered, loaded, of) in sums.items():
        print(f"{theta}: recall {covered / max(1, wanted):.4f}, {loaded / of:.4f} of the channels loaded")


if __name__ == "__main__":
    main()
