#include "host/trace/locality.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/support/progress.hpp"
#include "host/trace/specialization.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

struct LocalityArguments {
  std::string trace, phase = "all";
  LocalityOptions options;
  bool json = false;
};

/// {"size": mean, ...}
template <class Size>
Json means_by(const std::vector<Size>& sizes, const std::vector<LayeredFigure>& figures) {
  Json means = Json::object();
  for (std::size_t i = 0; i < sizes.size(); ++i) means[std::to_string(sizes[i])] = figures[i].mean;
  return means;
}

template <class Size>
Json layers_by(const std::vector<Size>& sizes, const std::vector<LayeredFigure>& figures) {
  Json layers = Json::object();
  for (std::size_t i = 0; i < sizes.size(); ++i) layers[std::to_string(sizes[i])] = figures[i].per_layer;
  return layers;
}

Json to_json(const std::optional<Specialization>& found) {
  if (!found) return nullptr;
  return {{"mean", found->mean},
          {"by_chance", found->by_chance},
          {"srp_correlation", found->correlation},
          {"per_expert", found->per_layer}};
}

/// Capacity, and in multiples of the experts that a token takes.
Json knees(const LocalityFigures& figures, std::uint32_t top_k) {
  Json knees = Json::object();
  for (std::size_t i = 0; i < figures.sch_knee.size(); ++i) {
    knees[std::to_string(figures.lengths.segments[i])] = {
        {"capacity", figures.sch_knee[i]}, {"token_cycles", static_cast<double>(figures.sch_knee[i]) / top_k}};
  }
  return knees;
}

Json to_json(const LocalityFigures& figures, const SpecializationFigures& experts, const TraceInfo& info,
             const std::string& phase) {
  Json srp = Json::object(), sch = Json::object(), srp_layers = Json::object(), sch_layers = Json::object();
  for (std::size_t i = 0; i < figures.srp.size(); ++i) {
    const std::string m = std::to_string(figures.lengths.segments[i]);
    const SegmentRouting& routing = figures.srp[i];
    srp[m] = {{"value", routing.value.mean}, {"group", routing.group.mean}};
    srp_layers[m] = {{"value", routing.value.per_layer}, {"group", routing.group.per_layer}};
    sch[m] = means_by(figures.capacities, figures.sch[i]);
    sch_layers[m] = layers_by(figures.capacities, figures.sch[i]);
  }
  const LayeredFigure& overlap = figures.adjacent_overlap;
  return {{"trace",
           {{"path", info.path},
            {"model", info.model},
            {"tokens", figures.tokens},
            {"sequences", figures.sequences},
            {"layers", info.layers},
            {"experts", info.experts},
            {"top_k", info.top_k},
            {"phase", phase}}},
          {"adjacent_overlap", {{"mean", overlap.mean}, {"per_layer", overlap.per_layer}}},
          {"distinct_experts", means_by(figures.lengths.windows, figures.distinct_experts)},
          {"lru_hit_rate", means_by(figures.capacities, figures.lru_hit_rate)},
          {"entropy", figures.entropy.mean},
          {"srp", srp},
          {"sch", sch},
          {"sch_knee", knees(figures, info.top_k)},
          {"specialization",
           {{"segment", experts.segment},
            {"domain", to_json(experts.domain)},
            {"vocabulary", to_json(experts.vocabulary)},
            {"share_srp_correlation", experts.share_correlation}}},
          {"popularity", figures.popularity},
          {"per_layer",
           {{"distinct_experts", layers_by(figures.lengths.windows, figures.distinct_experts)},
            {"lru_hit_rate", layers_by(figures.capacities, figures.lru_hit_rate)},
            {"entropy", figures.entropy.per_layer},
            {"srp", srp_layers},
            {"sch", sch_layers}}},
          {"notes", figures.notes}};
}

std::string cell(double value) {
  return std::isnan(value) ? "-" : fmt::format("{:.5f}", value);
}

void print_row(const std::string& name, const std::vector<std::string>& cells) {
  say("{:<32}", name);
  for (const std::string& text : cells) say("{:>10}", text);
  say("\n");
}

template <class Size>
void print_sizes(const std::string& name, const std::vector<Size>& sizes) {
  std::vector<std::string> cells;
  for (const Size size : sizes) cells.push_back(std::to_string(size));
  say("\n");
  print_row(name, cells);
}

void print_means(const std::string& name, const std::vector<LayeredFigure>& figures) {
  std::vector<std::string> cells;
  for (const LayeredFigure& figure : figures) cells.push_back(cell(figure.mean));
  print_row(name, cells);
}

/// The mean share of choices that go to a layer's most popular experts.
double popular_share(const LocalityFigures& figures, std::uint32_t capacity) {
  double share = 0;
  for (std::vector<std::uint64_t> choices : figures.popularity) {
    std::sort(choices.begin(), choices.end(), std::greater<>());
    std::uint64_t popular = 0, all = 0;
    for (std::size_t rank = 0; rank < choices.size(); ++rank) {
      all += choices[rank];
      if (rank < capacity) popular += choices[rank];
    }
    share += static_cast<double>(popular) / static_cast<double>(all) / static_cast<double>(figures.popularity.size());
  }
  return share;
}

void print_table(const LocalityFigures& figures, const TraceInfo& info, const std::string& phase) {
  say("{} ({}): {} tokens in {} sequences, {} layers, top-{} of {} experts, phase {}\n\n", info.path, info.model,
      figures.tokens, figures.sequences, info.layers, info.top_k, info.experts, phase);
  print_row("adjacent overlap", {cell(figures.adjacent_overlap.mean)});
  print_row("entropy of choices / log E", {cell(figures.entropy.mean)});

  print_sizes("window, tokens", figures.lengths.windows);
  print_means("distinct experts", figures.distinct_experts);

  print_sizes("capacity, experts per layer", figures.capacities);
  std::vector<std::string> popular;
  for (const std::uint32_t capacity : figures.capacities) popular.push_back(cell(popular_share(figures, capacity)));
  print_row("share of most popular experts", popular);
  print_means("LRU hit rate", figures.lru_hit_rate);
  for (std::size_t i = 0; i < figures.sch.size(); ++i) {
    print_means(fmt::format("SCH hit rate, m = {}", figures.lengths.segments[i]), figures.sch[i]);
  }

  print_sizes("segment m, tokens", figures.lengths.segments);
  std::vector<std::string> values, groups;
  for (const SegmentRouting& routing : figures.srp) {
    values.push_back(cell(routing.value.mean));
    groups.push_back(cell(routing.group.mean));
  }
  print_row("SRP", values);
  print_row("SRP group / activated", groups);
  std::vector<std::string> knees;
  for (const std::uint32_t capacity : figures.sch_knee) {
    knees.push_back(fmt::format("{:.2f} k", static_cast<double>(capacity) / info.top_k));
  }
  print_row("SCH bends at", knees);
}

/// Of what a token's domain or id says of its experts.
void print_specialization(const SpecializationFigures& experts) {
  if (!experts.domain && !experts.vocabulary) return;
  say("\n");
  print_row("specialization of experts", {"mean", "by chance", "with SRP"});
  const auto print = [](const char* name, const std::optional<Specialization>& found) {
    if (found) print_row(name, {cell(found->mean), cell(found->by_chance), cell(found->correlation)});
  };
  print("domain", experts.domain);
  print("vocabulary", experts.vocabulary);
  print_row("share of all tokens", {"", "", cell(experts.share_correlation)});
}

void run(const LocalityArguments& arguments, const Common& common) {
  const TraceReader trace(arguments.trace);
  LocalityOptions options = arguments.options;
  if (arguments.phase != "all") options.phase = arguments.phase == "decode" ? Phase::decode : Phase::prefill;
  LocalityFigures figures;
  {
    Progress progress("measuring locality", trace.info().tokens, progress_style(common.quiet));
    options.progress = [&](std::uint64_t done, std::uint64_t) { progress.update(done); };
    figures = measure_locality(trace, options);
  }
  const SpecializationFigures experts = measure_specialization(
      trace, figures.lengths.segments[figures.lengths.segments.size() / 2], options.phase, options.threads);
  if (arguments.json) {
    say_json(to_json(figures, experts, trace.info(), arguments.phase));
  } else {
    print_table(figures, trace.info(), arguments.phase);
    print_specialization(experts);
  }
  figures.notes.insert(figures.notes.end(), experts.notes.begin(), experts.notes.end());
  for (const std::string& note : figures.notes) {
    if (!common.quiet) remark("note: {}\n", note);
  }
}

}  // namespace

void add_locality(CLI::App& app, const Common& common) {
  CLI::App* command = app.add_subcommand("locality", "Exact routing-locality figures of a trace");
  const auto arguments = std::make_shared<LocalityArguments>();
  command->add_option("TRACE", arguments->trace, "Trace file (HDF5)")->required();
  command->add_option("--windows", arguments->options.lengths.windows, "Window lengths for distinct experts, tokens")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--capacities", arguments->options.capacities,
                   "Cache sizes for LRU and SCH, experts per layer (default: k, 2k, 3k, E/2)")
      ->delimiter(',');
  command->add_option("--segments", arguments->options.lengths.segments, "Segment lengths m for SRP and SCH, tokens")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--phase", arguments->phase, "Only tokens of this phase")
      ->check(CLI::IsMember({"all", "prefill", "decode"}))
      ->capture_default_str();
  command->add_option("--threads", arguments->options.threads, "Threads, 0 = all cores")->capture_default_str();
  command->add_flag("--json", arguments->json, "JSON on stdout and nothing else");
  command->footer(
      "Example:\n"
      "  moecarlo locality gptoss20b.h5 --windows 2,5 --capacities 4,8,16 --segments 16\n\n"
      "Adjacent overlap: share of a token's experts that the token before had chosen. LRU: one cache per layer,\n"
      "emptied at each sequence start. SRP and SCH: local routing consistency, arXiv 2505.16056. SCH bends where it "
      "lies\n"
      "farthest above a straight line to all experts, in multiples of top-k. Specialization: the chance that another\n"
      "token of the same domain (sequence_label, in another sequence) or of the same id takes an expert, given that "
      "one\n"
      "did; by chance: any token; with SRP: correlation of the difference with the SRP of each expert alone.");
  command->callback([arguments, &common] { run(*arguments, common); });
}

}  // namespace moecarlo::cli
