"""The same study gives the same bytes in tallies.h5, whatever ran it; another seed gives others."""

import time

import numpy as np

import program


class Determinism(program.ProgramTest):
    def tallies(self, study, name, *options):
        self.simulate(study, self.folder / name, *options)
        return (self.folder / name / "tallies.h5").read_bytes()

    def test_any_number_of_threads_gives_the_same_bytes(self):
        self.trace()
        for mode in ("random", "exhaustive"):
            with self.subTest(mode=mode):
                policies = ["static"] if mode == "exhaustive" else ["static", "lru"]
                study = self.study(study={"mode": mode}, grid={"policy": policies})
                one = self.tallies(study, f"{mode}-one", "--threads", 1)
                time.sleep(1.1)  # a time of day in the file would show
                for threads in (2, 7):
                    self.assertEqual(self.tallies(study, f"{mode}-{threads}", "--threads", threads), one)

    def test_another_seed_gives_other_counts_near_the_first(self):
        self.trace()
        study = self.study()
        for seed in (1, 2):
            self.tallies(study, f"seed-{seed}", "--seed", seed)
        first, second = (program.integers(self.folder / f"seed-{seed}") for seed in (1, 2))
        self.assertFalse(np.array_equal(first["cell_0001/accepted_length"], second["cell_0001/accepted_length"]))
        self.assertEqual(program.summary(self.folder / "seed-2")["seed"], 2)

    def test_a_synthetic_trace_is_the_same_on_any_number_of_threads(self):
        files = []
        for threads in (1, 3):
            path = self.folder / f"synth-{threads}.h5"
            law = ["--sequences", 8, "--layers", 4, "--zipf", 1]
            self.done("--quiet", "synth", "-o", path, *law, "--threads", threads)
            files.append(path.read_bytes())
        self.assertEqual(files[0], files[1])


if __name__ == "__main__":
    program.main()
