"""Predictors of what layers ask for, from a study to its outputs."""

import itertools

import h5py
import numpy as np

import elastic
import program


class Foreseen(elastic.SmallTrace):
    def metrics(self, predictor, **tables):
        prefetch = {"predictor": predictor, **tables.pop("prefetch", {})}
        point = self.results(prefetch=prefetch, **tables)["points"][0]
        return {name: figure["value"] for name, figure in point["metrics"].items()}

    def test_every_predictor_is_its_own_and_leaves_the_rest_alone(self):
        plain = {name: figure["value"] for name, figure in self.results()["points"][0]["metrics"].items()}
        found = {}
        for predictor in ("previous", "popularity", "layers", "draft"):
            metrics = self.metrics(predictor, prefetch={"layers": [1, 2]})
            self.assertEqual({name: metrics[name] for name in plain}, plain)
            found[predictor] = {name: value for name, value in metrics.items() if name not in plain}
            for lead in (1, 2):
                useful, wasted = metrics[f"prefetch_useful.{lead}"], metrics[f"prefetch_wasted.{lead}"]
                self.assertAlmostEqual(metrics[f"prefetch_precision.{lead}"], useful / (useful + wasted), 12)
                self.assertLessEqual(useful, metrics["misses"])
                # Five slots are always full: whatever comes in pushes out one, up to five.
                self.assertLessEqual(metrics[f"prefetch_displaced.{lead}"], useful + wasted + 1e-12)
        for one, other in itertools.combinations(found.values(), 2):
            self.assertNotEqual(one, other)
        # A draft of three knows three columns of four, and what it chose is used.
        self.assertEqual(found["draft"]["prefetch_wasted.1"], 0)
        self.assertGreater(found["draft"]["prefetch_recall.1"], 0.5)
        report = (self.folder / f"run-{self.runs}" / "report.md").read_text(encoding="utf-8")
        self.assertIn("would fetch ahead", report)

    def test_none_counts_nothing(self):
        self.assertNotIn("prefetch_useful.1", self.metrics("none"))

    def test_partners_are_learned_on_the_calibration_split(self):
        """A replay of one token a pass, cold, without slots: every choice is a miss that may be foreseen."""
        study = {"mode": "replay", "calibration": "all", "start": "cold"}
        metrics = self.metrics("layers", study=study, grid={"depth": [0], "capacity": [0]}, acceptance={"alpha": 0})
        with h5py.File(self.folder / "trace.h5") as trace:
            chosen = np.argsort(-trace["router_logits"][:], axis=2, kind="stable")[:, :, :2]
        useful = wasted = 0
        for layer in range(1, elastic.LAYERS):
            popular = np.bincount(chosen[:, layer].ravel(), minlength=elastic.EXPERTS)
            rank = np.argsort(np.argsort(-popular, kind="stable"), kind="stable")
            met = np.zeros((elastic.EXPERTS, elastic.EXPERTS), int)
            for before, after in zip(chosen[:, layer - 1], chosen[:, layer]):
                met[np.ix_(before, after)] += 1
            best = [max(range(elastic.EXPERTS), key=lambda e: (row[e], -rank[e])) for row in met]
            for before, after in zip(chosen[:, layer - 1], chosen[:, layer]):
                foreseen = {best[expert] for expert in before}
                useful += len(foreseen & set(after))
                wasted += len(foreseen - set(after))
        passes = elastic.LAYERS * len(chosen)
        self.assertAlmostEqual(metrics["prefetch_useful.1"], useful / passes, 12)
        self.assertAlmostEqual(metrics["prefetch_wasted.1"], wasted / passes, 12)
        self.assertAlmostEqual(metrics["prefetch_recall.1"], useful / (2 * (elastic.LAYERS - 1) * len(chosen)), 12)

    def test_what_cannot_be_foreseen_is_refused(self):
        for tables, says in [({"grid": {"depth": [0]}}, "looks at what drafts choose"),
                             ({"prefetch": {"predictor": "layers"}, "draft": {"width": 2, "sibling_routing": 1}}, "a tree"),
                             ({"prefetch": {"predictor": "draft", "experts": 2}}, "popularity and layers"),
                             ({"study": {"mode": "exhaustive"}, "grid": {"policy": "static"}}, "along episodes"),
                             ({"prefetch": {"predictor": "previous", "layers": [3]}}, "less than the trace's 3"),
                             ({"cache": {"objects": "slices"}, "grid": {"bits": [4]}}, "caches of their layers")]:
            self.study(**{"prefetch": {"predictor": "draft"}, **tables})
            self.refused(program.USAGE, "simulate", self.folder / "study.toml", "-o", self.folder / "none", says=says)
        self.study(prefetch={"predictor": "draft"})
        self.refused(program.USAGE, "simulate", self.folder / "study.toml", "-o", self.folder / "none", "--backend", "cuda",
                     says="on the CPU")


if __name__ == "__main__":
    program.main()
