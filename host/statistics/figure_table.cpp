#include "host/statistics/figure_table.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "host/statistics/metric_table.hpp"

namespace moecarlo {
namespace {

constexpr NamedFigure kFurther[] = {
    {"oracle_hit_rate",
     true,
     {"share",
      "hits of the best that any cache of the same size could do: Belady's replacement with bypass, or where "
      "every round starts afresh a cache that foresees the next pass",
      "distinct experts"}},
};

constexpr NamedFigure kHardware[] = {
    {"tokens_per_second", false, {"tokens/s", "tokens of all requests of the batch", "seconds"}},
    {"speedup",
     false,
     {"ratio", "tokens per second", "those of autoregressive decoding on the reference system at the same batch"}},
    {"energy_mj_per_token", false, {"mJ/token", "energy of all parts and of standing by", "tokens"}},
    {"energy_gain",
     false,
     {"ratio", "energy per token of autoregressive decoding on the reference system", "energy per token"}},
    {"time_per_output_token", false, {"s", "seconds, times the requests of the batch", "tokens of all requests"}},
    {"time_to_first_token", false, {"s", "seconds of all chunks of all prompts, each alone on the machine", "prompts"}},
    {"energy_mj_per_prompt", false, {"mJ/prompt", "energy of these chunks and of standing by", "prompts"}},
    {"speedup_over_autoregressive",
     false,
     {"ratio", "tokens per second", "those of the same system and scheme at depth 0, same batch and policy"}},
    {"energy.published", false, {"mJ/token", "of the energy what published and measured constants make up", "tokens"}},
    {"energy.derived", false, {"mJ/token", "the same with derived and fitted constants", "tokens"}},
    {"energy.assumed", false, {"mJ/token", "the same with assumed constants: all", "tokens"}},
    {"operations_per_byte", false, {"operations/byte", "multiplications and additions", "bytes read of memories"}},
    {"break_even_acceptance",
     false,
     {"share", "accepted length at which drafting is as fast as not drafting", "depth"}},
};

std::string_view unit_in(std::span<const NamedFigure> figures, std::string_view name) {
  const auto found = std::find_if(figures.begin(), figures.end(), [&](const auto& one) { return one.name == name; });
  if (found == figures.end()) throw std::out_of_range("no figure is named " + std::string(name));
  return found->text.unit;
}

}  // namespace

std::span<const NamedFigure> further_metrics() {
  return kFurther;
}

std::span<const NamedFigure> hardware_figure_table() {
  return kHardware;
}

std::string_view breakdown_unit(std::string_view name) {
  if (name.starts_with("bytes.")) return "bytes";
  if (name.starts_with("energy.") || name == "joules") return "J";
  if (name == "tokens") return "tokens";
  return "s";
}

std::string_view unit_of_metric(std::string_view name) {
  for (const NamedFigure& figure : further_metrics()) {
    if (figure.name == name) return figure.text.unit;
  }
  return metric_named(name).metric.text.unit;
}

std::string_view unit_of_hardware_figure(std::string_view name) {
  if (name.starts_with("busy.")) return "share";
  if (name.starts_with("operations_per_byte.")) name = "operations_per_byte";  // of a part of a round
  if (name.starts_with("band.")) {  // "band.low" is of tokens per second, "band.speedup.high" of the speed-up
    name = name.substr(0, name.rfind('.'));
    name = name == "band" ? "tokens_per_second" : name.substr(std::string_view("band.").size());
  }
  return unit_in(kHardware, name);
}

}  // namespace moecarlo
