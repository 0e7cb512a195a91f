"""study.rounds_rows replays the first rows of each recorded round, as if no more had been verified."""

import subprocess
import sys

import h5py
import numpy as np

import program

ROOT = program.CROSS_CHECK.parents[1]
SAMPLE = program.RECORDED_TRACES.parent / "field/formats/routes_rank0.npz"


class RoundsRows(program.ProgramTest):
    def replayed(self, rows, depth):
        """Distinct experts, hits of experts 0 to 3 and tokens a round, by the program."""
        study = self.study(study={"mode": "replay", "calibration": "all", **({"rounds_rows": rows} if rows else {})},
                           grid={"depth": [depth], "policy": "static", "capacity": [4]},
                           acceptance={"model": "rounds", "rejected_routing": "captured"})
        output = self.folder / f"rows-{rows}-{depth}"
        self.simulate(study, output)
        metrics = program.summary(output)["points"][-1]["metrics"]
        return [metrics[name]["value"] for name in ("distinct_experts", "hits", "tokens_per_round")]

    def counted(self, rows):
        """The same, of the trace as it is stored."""
        with h5py.File(self.folder / "trace.h5") as trace:
            ids = trace["expert_ids"][:]
            columns, accepted = trace["rounds/verify_expert_ids"][:], trace["rounds/accepted"][:]
        popular = [set(np.argsort(-np.bincount(ids[:, layer].ravel(), minlength=8), kind="stable")[:4])
                   for layer in range(ids.shape[1])]
        unions = [(layer, set(round_[:rows, layer].ravel()) - {-1}) for round_ in columns for layer in range(ids.shape[1])]
        return [np.mean([len(union) for _, union in unions]),
                np.mean([len(union & popular[layer]) for layer, union in unions]),
                np.mean(np.minimum(accepted, (rows or 256) - 1) + 1)]

    def test_figures_are_those_of_the_first_rows(self):
        rng = np.random.default_rng(4)
        attributes, datasets = program.trace_parts(layers=2, experts=8, top_k=2)
        program.write_trace(self.folder / "trace.h5", attributes, datasets)
        drafted = rng.integers(0, 4, 40)
        columns = rng.permuted(np.tile(np.arange(8), (40, 4, 2, 1)), axis=3)[..., :2].astype(np.int16)
        columns[np.arange(4) > drafted[:, None]] = -1
        with h5py.File(self.folder / "trace.h5", "a") as trace:
            trace["rounds/position"] = np.arange(40) * 5
            trace["rounds/drafted"], trace["rounds/accepted"] = drafted, rng.integers(0, drafted + 1)
            trace["rounds/verify_expert_ids"] = columns
        for rows in (None, 4, 3, 2, 1):
            np.testing.assert_allclose(self.replayed(rows, 3), self.counted(rows), rtol=1e-12)
        np.testing.assert_allclose(self.replayed(2, 1), self.counted(2), rtol=1e-12)

    def test_the_sample_of_routecap(self):
        if not SAMPLE.exists():
            self.skipTest("no samples of other formats here")
        subprocess.run([sys.executable, ROOT / "scripts/capture/import_trace.py", SAMPLE, "-o", self.folder / "trace.h5",
                        "--model", "tiny", "--experts", "8"], check=True, capture_output=True)
        for rows in (None, 2, 1):
            np.testing.assert_allclose(self.replayed(rows, 1), self.counted(rows), rtol=1e-12)

    def test_without_recorded_rounds_there_is_nothing_to_cut(self):
        self.trace()
        rounds = {"acceptance": {"model": "rounds"}}
        for status, tables, says in (
                (program.USAGE, {"study": {"rounds_rows": 2}}, "study.rounds_rows"),
                (program.USAGE, {"study": {"rounds_rows": 0, "mode": "replay"}, **rounds}, "rounds_rows"),
                (program.INPUT, {"study": {"rounds_rows": 2, "mode": "replay"}, **rounds}, "group rounds")):
            self.refused(status, "simulate", self.study(**tables), "-o", self.folder / "out", says=says)


if __name__ == "__main__":
    program.main()
