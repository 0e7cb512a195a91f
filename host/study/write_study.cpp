#include <toml++/toml.h>

#include <array>
#include <sstream>

#include "host/study/acceptance_models.hpp"
#include "host/study/names.hpp"
#include "host/study/parse_study.hpp"
#include "host/study/toml_list.hpp"

namespace moecarlo {
namespace {

toml::table demand_table(const DemandSpec& demand) {
  std::vector<std::string> rules;
  for (const DemandRule rule : demand.rules) rules.emplace_back(to_string(rule));
  toml::table table{{"rule", toml_list(rules)}};
  for (const DemandParameter* parameter : demand_parameters()) {
    const auto stated = demand.stated.find(parameter->key);
    if (stated == demand.stated.end()) continue;
    switch (parameter->kind) {
      case DemandParameter::Kind::numbers:
        table.insert(parameter->key, toml_list(stated->second));
        break;
      case DemandParameter::Kind::integers:
        table.insert(parameter->key,
                     toml_list(std::vector<std::int64_t>(stated->second.begin(), stated->second.end())));
        break;
      case DemandParameter::Kind::word:
        table.insert(parameter->key, parameter->words[static_cast<std::size_t>(stated->second.front())]);
        break;
      case DemandParameter::Kind::flag:
        table.insert(parameter->key, stated->second.front() != 0);
        break;
      case DemandParameter::Kind::file:
        table.insert(parameter->key, demand.files.at(parameter->key).string());
        break;
    }
  }
  table.insert("channels", toml_list(demand.channels));
  if (demand.path == PathProbability::listed) {
    table.insert("path", toml_list(demand.confidences));
  } else {
    table.insert("path", demand.path == PathProbability::one ? "one" : "acceptance");
  }
  if (!demand.loss.empty()) table.insert("loss", demand.loss.string());
  return table;
}

toml::table to_table(const Study& study) {
  std::vector<std::string> policies;
  for (const Policy policy : study.grid.policy) policies.emplace_back(to_string(policy));
  toml::table main{{"name", study.name},
                   {"trace", study.trace.string()},
                   {"mode", to_string(study.mode)},
                   {"seed", std::int64_t{study.seed}},
                   {"trajectories", static_cast<std::int64_t>(study.trajectories)},
                   {"rounds", std::int64_t{study.rounds}},
                   {"start", to_string(study.start)},
                   {"warmup", std::int64_t{study.warmup}},
                   {"split_seed", std::int64_t{study.split_seed}}};
  if (study.rounds_rows) main.insert("rounds_rows", std::int64_t{*study.rounds_rows});
  if (study.mode == Mode::perturbed) {
    main.insert("temperature", study.temperature);
    main.insert("redraw", to_string(study.redraw));
  }
  if (study.histograms != 0) {
    std::vector<std::string> histograms;
    for (const auto& [name, place] : asked_histogram_names()) {
      if ((study.histograms >> place & 1U) != 0) histograms.emplace_back(name);
    }
    main.insert("histograms", toml_list(histograms));
  }
  if (!study.layer_ranges.empty()) main.insert("layer_ranges", toml_list(study.layer_ranges));
  if (study.calibration) {
    main.insert("calibration", *study.calibration);
  } else {
    main.insert("calibration", "all");
  }
  toml::table acceptance{{"model", to_string(study.acceptance.model)},
                         {"rejected_routing", to_string(study.acceptance.rejected_routing)}};
  row_of(study.acceptance.model).write(study.acceptance, acceptance);
  toml::table draft{{"width", std::int64_t{study.draft.width}}, {"replacements", to_string(study.draft.replacements)}};
  if (study.draft.verify_tokens > 0) draft.insert("verify_tokens", std::int64_t{study.draft.verify_tokens});
  if (study.draft.gate_mass) draft.insert("gate_mass", *study.draft.gate_mass);
  if (study.draft.sibling_routing) draft.insert("sibling_routing", *study.draft.sibling_routing);
  toml::table grid{{"batch", toml_list(study.grid.batch)},
                   {"depth", toml_list(study.grid.depth)},
                   {"policy", toml_list(policies)},
                   {"bits", toml_list(study.grid.bits)}};
  if (!study.grid.pool.empty()) grid.insert("pool", toml_list(study.grid.pool));
  if (!study.grid.nested.empty()) {
    toml::array nested;
    for (const NestedCapacities& one : study.grid.nested) nested.push_back(toml_list(std::array{one.near, one.far}));
    grid.insert("nested", std::move(nested));
  }
  if (!study.grid.capacity.empty()) grid.insert("capacity", toml_list(study.grid.capacity));
  toml::table cache{{"scope", to_string(study.cache.scope)}, {"objects", to_string(study.cache.objects)}};
  for (const Policy policy : study.grid.policy) {
    if (const char* key = parameter_of(policy).key) cache.insert_or_assign(key, study.cache.parameter(policy));
  }
  toml::table root{{"study", std::move(main)},
                   {"grid", std::move(grid)},
                   {"cache", std::move(cache)},
                   {"draft", std::move(draft)},
                   {"acceptance", std::move(acceptance)}};
  if (study.demand) root.insert("demand", demand_table(*study.demand));
  if (study.prefetch) {
    toml::table prefetch{{"predictor", to_string(study.prefetch->predictor)},
                         {"layers", toml_list(study.prefetch->leads)}};
    if (study.prefetch->experts) prefetch.insert("experts", std::int64_t{*study.prefetch->experts});
    root.insert("prefetch", std::move(prefetch));
  }
  if (study.prefill) {
    toml::table prefill{{"chunk", std::int64_t{study.prefill->chunk}}};
    if (study.prefill->psum_slots) {
      prefill.insert("psum_slots", std::int64_t{*study.prefill->psum_slots});
      prefill.insert("psum_forced", study.prefill->psum_forced);
    }
    if (study.prefill->mixed) prefill.insert("mixed", *study.prefill->mixed);
    root.insert("prefill", std::move(prefill));
  }
  if (study.stop) {
    root.insert("stop", toml::table{{"metrics", toml_list(study.stop->metrics)},
                                    {"relative_half_width", study.stop->relative_half_width}});
  }
  if (study.hardware) {
    toml::table hardware{{"model", study.hardware->model},
                         {"context", std::int64_t{study.hardware->context}},
                         {"systems", toml_list(study.hardware->systems)},
                         {"schemes", toml_list(study.hardware->schemes)},
                         {"reference", study.hardware->reference}};
    if (study.hardware->least_context) {
      hardware.insert_or_assign("context",
                                toml_list(std::vector{*study.hardware->least_context, study.hardware->context}));
    }
    if (!study.hardware->set.empty()) {
      toml::table set;
      for (const auto& [constant, text] : study.hardware->set) set.insert(constant, text);
      hardware.insert("set", std::move(set));
    }
    if (!study.hardware->vary.empty()) {
      toml::table vary;
      for (const auto& [constant, factors] : study.hardware->vary) vary.insert(constant, toml_list(factors));
      hardware.insert("vary", std::move(vary));
    }
    if (!study.hardware->bit_slices.empty()) hardware.insert("bit_slices", study.hardware->bit_slices);
    root.insert("hardware", std::move(hardware));
  }
  return root;
}

}  // namespace

std::string to_toml(const Study& study) {
  std::ostringstream text;
  text << toml::toml_formatter(to_table(study));
  return text.str();
}

std::string to_json(const Study& study) {
  std::ostringstream text;
  text << toml::json_formatter(to_table(study));
  return text.str();
}

}  // namespace moecarlo
