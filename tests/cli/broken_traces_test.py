"""A trace that breaks a rule of the format is refused with status 3 by every command that reads traces."""

import h5py
import numpy as np

import program
from program import INPUT


class BrokenTraces(program.ProgramTest):
    def refused_everywhere(self, *says):
        trace, study = self.folder / "trace.h5", self.study()
        for command in (["inspect", trace], ["locality", trace], ["simulate", study, "-o", self.folder / "out"]):
            with self.subTest(command=command[0]):
                self.refused(INPUT, *command, says=[str(trace), *says])
        self.assertFalse((self.folder / "out").exists())

    def broken(self, dataset=None, change=None, form="expert_ids", **attributes):
        parts, datasets = program.trace_parts(form=form)
        if dataset:
            change(datasets[dataset])
        program.write_trace(self.folder / "trace.h5", {**parts, **attributes}, datasets)

    def test_no_file(self):
        self.refused_everywhere()

    def test_a_folder(self):
        (self.folder / "trace.h5").mkdir()
        self.refused_everywhere()

    def test_not_hdf5(self):
        (self.folder / "trace.h5").write_text("these are no tokens\n")
        self.refused_everywhere("HDF5")

    def test_truncated(self):
        self.trace()
        whole = (self.folder / "trace.h5").read_bytes()
        (self.folder / "trace.h5").write_bytes(whole[: len(whole) // 2])
        self.refused_everywhere()

    def test_another_schema(self):
        self.broken(schema="other-trace")
        self.refused_everywhere("schema", "moecarlo-trace", "other-trace")

    def test_another_version(self):
        self.broken(schema_version=2)
        self.refused_everywhere("schema_version")

    def test_nan_logits(self):
        self.broken("router_logits", lambda logits: logits.__setitem__((100, 1, 7), np.nan), form="router_logits")
        self.refused_everywhere("router_logits")

    def test_infinite_logits(self):
        self.broken("router_logits", lambda logits: logits.__setitem__((288, 2, 15), -np.inf), form="router_logits")
        self.refused_everywhere("router_logits")

    def test_an_expert_that_does_not_exist(self):
        self.broken("expert_ids", lambda ids: ids.__setitem__((200, 2, 1), 16))
        self.refused_everywhere("expert_ids", "16")

    def test_an_expert_twice_in_one_token(self):
        self.broken("expert_ids", lambda ids: ids.__setitem__((3, 0), [5, 5]))
        self.refused_everywhere("expert_ids")

    def test_descending_offsets(self):
        self.broken("sequence_offsets", lambda offsets: offsets.__setitem__(2, 3))
        self.refused_everywhere("sequence_offsets")

    def test_offsets_that_miss_the_last_token(self):
        self.broken("sequence_offsets", lambda offsets: offsets.__setitem__(-1, 288))
        self.refused_everywhere("sequence_offsets")

    def test_more_choices_than_experts(self):
        self.broken(num_experts=1)
        self.refused_everywhere()

    def test_a_missing_dataset(self):
        self.trace()
        with h5py.File(self.folder / "trace.h5", "a") as trace:
            del trace["sequence_offsets"]
        self.refused_everywhere("sequence_offsets")


if __name__ == "__main__":
    program.main()
