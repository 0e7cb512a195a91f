"""The page of results/scaling says what its figures say, and the model on paper adds up."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))
import scaling_model  # noqa: E402

found = json.loads((ROOT / "results/scaling/scaling.json").read_text())
if scaling_model.page(found) != (ROOT / "results/scaling/scaling.md").read_text():
    sys.exit("results/scaling/scaling.md is not the page of its figures: scripts/scaling writes both")
model = scaling_model.model(found, ROOT / "results/gpu")
steps = 10**12 * 16 * 8 * 5 * 48 * 1.4
assert abs(model["steps"] / steps - 1) < 1e-12
assert abs(model["compute_seconds"] - steps / model["gpu_rate"] / 1000) < 1e-6 * model["compute_seconds"]
assert model["table_bytes"] == 10**6 * 48 * 2 * 8 and model["largest_count"] < 2**64
sums = [row["add_up_seconds"] for row in model["tallies"]]
assert sums == sorted(sums), "more counters are added up sooner"
print("the page is that of its figures")
