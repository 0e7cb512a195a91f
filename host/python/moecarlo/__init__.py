"""Studies of speculative decoding on Mixture-of-Experts models: run them, read what came out, draw it.

    import moecarlo
    study = moecarlo.Study(trace="trace.h5", grid={"depth": [0, 4], "capacity": [16]}, acceptance={"alpha": 0.7})
    results = moecarlo.run(study, "results")
    results.points              # a DataFrame: one row per design point and figure
    moecarlo.plot(results, "hit_rate").savefig("hit_rate.pdf")

The simulation itself is the program `moecarlo`, which is installed with this package.
"""

from moecarlo.figures import plot
from moecarlo.program import MoecarloError, program, program_output, run
from moecarlo.results import Results
from moecarlo.study import Study
from moecarlo.tallies import Tallies
from moecarlo.traces import Trace, write_trace

__all__ = ["MoecarloError", "Results", "Study", "Tallies", "Trace", "plot", "program", "program_output", "run",
           "write_trace"]
