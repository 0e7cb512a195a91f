#include "host/trace/synth.hpp"

#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/version.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

struct SynthArguments {
  std::string form = "ids", dtype = "float16";
  Output output;
  SynthOptions options;
  unsigned threads = 0;
  bool json = false;
};

Json to_json(double requested, const SynthEstimate& estimate) {
  return {{"requested", requested}, {"realised", estimate.value}, {"standard_error", estimate.standard_error}};
}

Json to_json(const SynthFigures& figures, const SynthArguments& arguments) {
  const SynthOptions& options = arguments.options;
  Json json = {{"path", arguments.output.path},
               {"command", describe(options)},
               {"tokens", figures.tokens},
               {"sequences", figures.sequences},
               {"zipf", to_json(options.zipf, figures.zipf)},
               {"stickiness", to_json(options.stickiness, figures.stickiness)},
               {"topic_strength", to_json(options.topic_strength, figures.topic_strength)},
               {"adjacent_overlap", figures.adjacent_overlap}};
  json["stickiness"]["carried_share"] = figures.carried_share;
  json["stickiness"]["carried_by_chance"] = figures.carried_by_chance;
  json["topic_strength"]["topic_share"] = figures.topic_share;
  json["topic_strength"]["topic_by_chance"] = figures.topic_by_chance;
  return json;
}

void print_estimate(const char* name, double requested, const SynthEstimate& estimate) {
  const auto realised = std::isnan(estimate.value)
                            ? std::string("not measurable here")
                            : fmt::format("{:>9.5f} +- {:.5f}", estimate.value, estimate.standard_error);
  say("{:<18}{:>9.5f}   {}\n", name, requested, realised);
}

void print_table(const SynthFigures& figures, const SynthArguments& arguments) {
  const SynthOptions& options = arguments.options;
  say("{}: {} tokens in {} sequences, {} layers, top-{} of {} experts\n\n", arguments.output.path, figures.tokens,
      figures.sequences, options.layers, options.top_k, options.experts);
  say("{:<18}{:>9}   {:>9} +- standard error\n", "", "requested", "realised");
  print_estimate("Zipf exponent", options.zipf, figures.zipf);
  print_estimate("stickiness", options.stickiness, figures.stickiness);
  if (options.topics > 1) print_estimate("topic strength", options.topic_strength, figures.topic_strength);
  say("\nslots carried over  {:.5f} (by chance {:.5f})\n", figures.carried_share, figures.carried_by_chance);
  if (options.topics > 1) {
    say("slots 0 on topic    {:.5f} (by chance {:.5f})\n", figures.topic_share, figures.topic_by_chance);
  }
  say("adjacent overlap    {:.5f} (uniform and independent {:.5f})\n", figures.adjacent_overlap,
      static_cast<double>(options.top_k) / options.experts);
}

TraceForm form_of(const std::string& form, const std::string& dtype) {
  if (form == "ids") return TraceForm::expert_ids;
  return dtype == "float16" ? TraceForm::logits_float16 : TraceForm::logits_float32;
}

void run(const SynthArguments& arguments, const Common& common) {
  expect_new_file(arguments.output);
  const SynthLaw law(arguments.options);
  const std::uint64_t tokens = total_tokens(law);
  {
    Progress progress("writing trace", tokens, progress_style(common.quiet));
    write_synthetic_trace(arguments.output.path, law, arguments.threads,
                          [&](std::uint64_t done, std::uint64_t) { progress.update(done); });
  }
  SynthFigures figures;
  {
    Progress progress("measuring trace", tokens, progress_style(common.quiet));
    figures = measure_synthetic_trace(TraceReader(arguments.output.path), law, arguments.threads,
                                      [&](std::uint64_t done, std::uint64_t) { progress.update(done); });
  }
  if (arguments.json) {
    say_json(to_json(figures, arguments));
  } else {
    print_table(figures, arguments);
  }
}

void add_law_options(CLI::App& command, SynthOptions& options) {
  const auto add = [&](const char* name, auto& value, const char* text) {
    command.add_option(name, value, text)->capture_default_str();
  };
  add("--layers", options.layers, "MoE layers");
  add("--experts", options.experts, "Experts per layer");
  add("--top-k", options.top_k, "Experts a token chooses in each layer");
  add("--sequences", options.sequences, "Sequences");
  add("--tokens-per-sequence", options.tokens_per_sequence, "Mean length of a sequence, tokens");
  add("--length-spread", options.length_spread, "Lengths are uniform in mean x (1 -+ spread)");
  add("--zipf", options.zipf, "Exponent of expert popularity, 0 = uniform");
  add("--stickiness", options.stickiness, "Probability that a slot keeps the expert of the previous token");
  add("--topics", options.topics, "Topics, one drawn for each sequence");
  add("--seed", options.seed, "Seed of all random numbers");
  add("--model", options.model, "Model name to write into the file");
}

}  // namespace

void add_synth(CLI::App& app, const Common& common) {
  CLI::App* command = app.add_subcommand("synth", "Write a synthetic trace with a stated law");
  const auto arguments = std::make_shared<SynthArguments>();
  add_output(*command, arguments->output, "Trace file to write (HDF5)")->required();
  add_law_options(*command, arguments->options);
  const CLI::Option* strength =
      command->add_option("--topic-strength", arguments->options.topic_strength,
                          "Probability that a draw is from the topic's own experts (with --topics; default there 0.5)");
  command->add_option("--form", arguments->form, "What the file holds: expert ids or router logits")
      ->check(CLI::IsMember({"ids", "logits"}))
      ->capture_default_str();
  const CLI::Option* dtype = command->add_option("--dtype", arguments->dtype, "Type of the logits")
                                 ->check(CLI::IsMember({"float16", "float32"}))
                                 ->capture_default_str();
  command->add_option("--threads", arguments->threads, "Threads, 0 = all cores")->capture_default_str();
  command->add_flag("--json", arguments->json, "JSON on stdout and nothing else");
  command->footer(
      "Example:\n"
      "  moecarlo synth -o synthetic.h5 --layers 24 --experts 32 --top-k 4 --sequences 64 --zipf 0.8 --stickiness 0.4 "
      "\\\n"
      "                 --topics 8 --topic-strength 0.3\n\n"
      "The same options and seed give the same trace on any number of threads. Without --zipf, --stickiness and "
      "--topics\n"
      "every choice is an independent uniform set of k experts.");
  command->callback([arguments, strength, dtype, &common] {
    SynthOptions& options = arguments->options;
    if (options.topics > 1 && strength->count() == 0) options.topic_strength = 0.5;
    if (options.topics == 1 && strength->count() > 0) {
      fail(ErrorKind::usage, "synth: --topic-strength needs topics (expected --topics 2 or more, found 1)");
    }
    if (arguments->form == "ids" && dtype->count() > 0) {
      fail(ErrorKind::usage, "synth: --dtype is the type of logits (expected --form logits, found ids)");
    }
    options.form = form_of(arguments->form, arguments->dtype);
    options.created_by = program_version() + " synth";
    run(*arguments, common);
  });
}

}  // namespace moecarlo::cli
