#pragma once

#include <filesystem>
#include <string>

#include "host/statistics/results.hpp"
#include "host/support/text_sink.hpp"

namespace moecarlo {

inline constexpr const char* summary_schema = "moecarlo-summary";
inline constexpr int summary_schema_version = 1;

/// Writes the results as JSON text; the keys are those of the interfaces document.
///
/// A half-width is a number (estimated), 0 (exact) or null (not available; `notes` say why). JSON has no number for NaN
/// and infinity, so a value that is not finite is written as null too. Every finite number reads back bit for bit.
void write_summary(const StudyResults& results, const TextSink& sink);

/// The inverse of `write_summary`; `where` names the source in errors. A null value becomes NaN.
/// Throws Error(input) where the text is not JSON, not this schema, or misses a key.
StudyResults parse_summary(const std::string& text, const std::string& where);

/// Reads a summary.json file.
StudyResults read_summary(const std::filesystem::path& path);

/// What counted, and how fast: the part of a summary that is not in the tallies.
struct RunFacts {
  std::string backend;
  double seconds = 0;
};

/// Reads it out of a summary.json file, without its results.
RunFacts read_run_facts(const std::filesystem::path& path);

}  // namespace moecarlo
