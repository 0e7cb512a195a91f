#!/usr/bin/env python3
"""Each structure check fails on a bad example and passes a good one. Usage: self_test.py [COMPILER]"""

import sys
import tempfile
import unittest
from pathlib import Path

import compile_flags
import core_headers
import includes
import one_place
import ptx

COMPILER = sys.argv.pop(1) if len(sys.argv) > 1 else "g++"
ROOMS = """
moecarlo_room(support  host/support  fmt::fmt)
moecarlo_room(trace    host/trace    moecarlo_support)
moecarlo_room(simulate host/simulate moecarlo_trace moecarlo_support)
moecarlo_room(plan     hw/plan       moecarlo_simulate moecarlo_trace)
"""


class Example(unittest.TestCase):
    """A small tree of files, given as {path: text}."""

    def tree(self, **files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, text in {"CMakeLists.txt": ROOMS, **files.pop("files", {})}.items():
            path = Path(folder.name) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Path(folder.name).resolve()


class OnePlace(Example):
    def test_what_belongs_in_one_place_is_found_in_another(self):
        for name, line in {"host/cli/new.cpp": 'fmt::print("{}", model);', "host/trace/new.cpp": "H5Dread(set, type);",
                           "hw/new.cpp": "json::parse(text)", "host/study/new.hpp": "toml::parse(text)"}.items():
            self.assertEqual(len(list(one_place.violations(self.tree(files={name: line})))), 1, name)

    def test_a_machine_is_named_by_its_preset_alone(self):
        files = {"hw/presets/systems/abacus.toml": "", "hw/plan/new.cpp": 'if (system.name == "abacus") return;',
                 "host/study/study.hpp": 'reference = "abacus";', "host/cli/new.cpp": 'footer("systems abacus");'}
        self.assertEqual([line.split(":")[0] for line in one_place.violations(self.tree(files=files))],
                         ["hw/plan/new.cpp"])

    def test_the_place_itself_is_allowed(self):
        tree = self.tree(files={"host/support/json_file.cpp": "Json::parse(text)", "host/cli/new.cpp": 'say("{}", x);'})
        self.assertEqual(list(one_place.violations(tree)), [])


class Includes(Example):
    def problems(self, name, text, **others):
        return includes.check(self.tree(files={name: text, **others}))

    def test_a_room_may_include_the_rooms_it_names_and_the_core(self):
        text = '#include <vector>\n#include "host/trace/rules.hpp"\n#include "cuda/core/random.hpp"\n'
        self.assertEqual(self.problems("host/simulate/run.cpp", text), [])

    def test_a_room_may_not_include_a_later_room(self):
        self.assertEqual(len(self.problems("host/trace/read.cpp", '#include "host/simulate/run.hpp"\n')), 1)

    def test_a_room_may_not_include_a_room_it_does_not_name(self):
        self.assertEqual(len(self.problems("host/support/file.cpp", '#  include "host/trace/rules.hpp"\n')), 1)

    def test_the_hardware_model_sees_tallies_but_neither_trace_nor_backend(self):
        self.assertEqual(self.problems("hw/plan/timing.cpp", '#include "host/simulate/tallies.hpp"\n'), [])
        for hidden in ("host/simulate/backend.hpp", "host/simulate/cpu_backend.hpp", "host/trace/rules.hpp",
                       "host/weights/weights_reader.hpp"):
            self.assertEqual(len(self.problems("hw/plan/timing.cpp", f'#include "{hidden}"\n')), 1, hidden)

    def test_the_oracle_knows_the_study_and_nothing_else_of_the_project(self):
        self.assertEqual(self.problems("tests/oracle/pass.hpp", '#include "host/study/study.hpp"\n'), [])
        for shared in ("cuda/core/tree.hpp", "host/study/grid.hpp", "host/simulate/plan.hpp", "tests/shared/dice.hpp"):
            self.assertEqual(len(self.problems("tests/oracle/pass.hpp", f'#include "{shared}"\n')), 1, shared)

    def test_a_folder_that_is_no_room_is_refused(self):
        self.assertEqual(len(self.problems("host/other/file.cpp", '#include "host/trace/rules.hpp"\n')), 1)

    def test_the_core_includes_only_the_core(self):
        self.assertEqual(len(self.problems("cuda/core/tally.hpp", '#include "host/support/error.hpp"\n')), 1)

    def test_the_device_side_sees_the_backend_interface_and_what_it_includes(self):
        backend = {"host/simulate/backend.hpp": '#include "host/simulate/plan.hpp"\n', "host/simulate/plan.hpp": ""}
        text = '#include "host/simulate/backend.hpp"\n#include "host/simulate/plan.hpp"\n'
        self.assertEqual(self.problems("cuda/device_backend.cu", text, **backend), [])
        text = '#include "host/trace/rules.hpp"\n'
        self.assertEqual(len(self.problems("cuda/device_backend.cu", text, **backend)), 1)

    def test_cli11_stays_in_the_command_line(self):
        self.assertEqual(self.problems("host/cli/main.cpp", "#include <CLI/CLI.hpp>\n"), [])
        self.assertEqual(len(self.problems("host/trace/read.cpp", "#include <CLI/CLI.hpp>\n")), 1)

    def test_cuda_headers_stay_in_cuda_files(self):
        for header in ("cuda_runtime.h", "cuda_runtime_api.h", "thrust/sort.h", "cub/cub.cuh", "cuda/std/span"):
            self.assertEqual(self.problems("cuda/kernels/ingest.cu", f"#include <{header}>\n"), [])
            for name in ("host/simulate/run.cpp", "cuda/core/tally.hpp"):
                self.assertEqual(len(self.problems(name, f"#include <{header}>\n")), 1, header)

    def test_the_host_side_of_the_device_room_sees_the_runtime_interface_and_no_more(self):
        self.assertEqual(self.problems("cuda/device_memory.hpp", "#include <cuda_runtime_api.h>\n"), [])
        self.assertEqual(len(self.problems("cuda/device_memory.hpp", "#include <cub/cub.cuh>\n")), 1)

    def test_a_circle_of_rooms_is_refused(self):
        circle = "moecarlo_room(a host/a moecarlo_b)\nmoecarlo_room(b host/b moecarlo_a)\n"
        self.assertEqual(len(includes.check(self.tree(files={"CMakeLists.txt": circle}))), 2)

    def test_a_build_file_without_rooms_is_refused(self):
        self.assertEqual(len(includes.check(self.tree(files={"CMakeLists.txt": ""}))), 1)


class CoreHeaders(Example):
    def test_a_header_that_needs_another_is_refused(self):
        files = {"cuda/core/good.hpp": "#pragma once\n#include <cstdint>\ninline std::uint32_t one() { return 1; }\n"}
        self.assertEqual(core_headers.check(self.tree(files=files), COMPILER), [])
        files["cuda/core/bad.hpp"] = "#pragma once\ninline std::uint32_t two() { return one(); }\n"
        self.assertEqual(len(core_headers.check(self.tree(files=files), COMPILER)), 1)

    def test_a_warning_is_refused(self):
        files = {"cuda/core/bad.hpp": "#pragma once\ninline int one(int unused) { return 1; }\n"}
        self.assertEqual(len(core_headers.check(self.tree(files=files), COMPILER)), 1)

    def test_no_header_at_all_is_refused(self):
        self.assertEqual(len(core_headers.check(self.tree(), COMPILER)), 1)


class CompileFlags(Example):
    FLAG = "--expt-relaxed-" + "constexpr"

    def test_the_flag_is_found_in_a_build_file_but_not_in_its_comments(self):
        for text, problems in ((f"# never {self.FLAG}\n", 0), (f"set(FLAGS {self.FLAG})\n", 1)):
            found = compile_flags.check(self.tree(files={"scripts/cmake/cuda.cmake": text}))
            self.assertEqual(len(found), problems, text)

    def test_the_flag_is_found_in_a_compile_command(self):
        root = self.tree(files={"build/compile_commands.json": f'[{{"command": "nvcc {self.FLAG} a.cu"}}]'})
        self.assertEqual(len(compile_flags.check(root, root / "build")), 1)


class Ptx(unittest.TestCase):
    GOOD = (
        ".visible .entry _ZN8moecarlo10replay_runILi2EEEvv(\n\t.param .u64 p0\n)\n.maxntid 128, 1, 1\n{\n"
        "\tld.param.u64 %rd1, [p0];\n\tld.global.nc.u64 %rd2, [%rd1];\n\tpopc.b64 %r1, %rd2;\n"
        "\tst.global.u32 [%rd1], %r1;\n\tret;\n\n}\n"
    )

    def problems(self, ptx_text):
        return ptx.problems_of(ptx_text, "simulate.cu")

    def test_a_whole_kernel_passes(self):
        self.assertEqual(self.problems(self.GOOD), [])

    def test_an_empty_kernel_fails_on_all_three(self):
        text = ".visible .entry _ZN8moecarlo10replay_runILi2EEEvv(\n\t.param .u64 p0\n)\n{\n\tret;\n\n}\n"
        self.assertEqual(len(self.problems(text)), 3)

    def test_each_missing_instruction_fails(self):
        for line in ("ld.global.nc.u64", "popc.b64", "st.global.u32"):
            self.assertEqual(len(self.problems(self.GOOD.replace(line, "mov.u64"))), 1, line)

    def test_only_kernels_over_mask_words_must_count_bits(self):
        text = self.GOOD.replace("popc.b64", "mov.u64").replace("ILi2EE", "E")
        self.assertEqual(self.problems(text), [])

    def test_parameter_and_shared_accesses_are_not_global(self):
        text = self.GOOD.replace("ld.global.nc.u64", "ld.shared.u64").replace("st.global.u32", "st.local.u32")
        self.assertEqual(len(self.problems(text)), 2)

    def test_generic_and_atomic_accesses_count(self):
        text = self.GOOD.replace("ld.global.nc.u64", "ld.u64").replace("st.global.u32", "red.global.add.u64")
        self.assertEqual(self.problems(text), [])

    def test_shared_atomics_alone_do_not_count(self):
        self.assertEqual(len(self.problems(self.GOOD.replace("st.global.u32", "atom.shared.add.u64"))), 1)

    def test_a_called_function_counts_as_the_kernel(self):
        body = self.GOOD.split("{\n", 1)[1].rsplit("\n}", 1)[0]
        text = (
            ".func _ZN8moecarlo4workE(\n\t.param .b64 q0\n)\n{\n" + body + "\n}\n"
            ".visible .entry _ZN8moecarlo10replay_runILi2EEEvv(\n\t.param .u64 p0\n)\n{\n"
            "\tcall.uni \n\t_ZN8moecarlo4workE, \n\t(\n\tparam0\n\t);\n\tret;\n\n}\n"
        )
        self.assertEqual(self.problems(text), [])

    def test_kernels_of_cub_are_left_out(self):
        text = self.GOOD + ".visible .entry _ZN3cub11EmptyKernelIvEEvv()\n{\n\tret;\n\n}\n"
        self.assertEqual(list(ptx.kernels(text)), ["_ZN8moecarlo10replay_runILi2EEEvv"])


if __name__ == "__main__":
    unittest.main()
