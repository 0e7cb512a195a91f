#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "cuda/device_backend.hpp"
#include "cuda/device_choice.hpp"
#include "cuda/device_format_counter.hpp"
#include "cuda/device_slice_counter.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/pipeline/version.hpp"
#include "host/report/narrative/weights_report.hpp"
#include "host/support/progress.hpp"
#include "host/weights/count_slices.hpp"

namespace moecarlo::cli {
namespace {

struct BitsliceArguments {
  std::string weights, backend = "auto";
  Output output;
  MeasureOptions options;
  int device = 0;
  bool json = false;
};

struct Counters {
  std::unique_ptr<SliceCounter> slices;
  std::unique_ptr<FormatCounter> formats;
};

Counters make_counters(const BitsliceArguments& arguments) {
  std::string why_not;
  const bool on_device =
      arguments.backend != "cpu" && device_for(arguments.backend, arguments.device, usable_devices(why_not), 0);
  if (on_device) return {make_device_slice_counter(arguments.device), make_device_format_counter(arguments.device)};
  const unsigned threads = arguments.options.threads;
  return {make_cpu_slice_counter(threads), make_cpu_format_counter(threads)};
}

void print_slices(const WeightFigures& figures) {
  say("\n{:<10}{:>10}{:>10}{:>10}{:>10}{:>10} |{:>10}{:>10}{:>10}\n", "kept bits", "upper", "coded", "entropy",
      "zero, %", "sign, %", "lower", "entropy", "if known");
  for (const KeptFigures& kept : figures.kept) {
    say("{:<10}{:>10}{:>10.3f}{:>10.3f}{:>10.2f}{:>10.2f} |{:>10}{:>10.3f}{:>10.3f}\n", kept.kept, kept.kept,
        kept.upper.coded_bits, kept.upper.entropy_bits, 100 * kept.upper.zero_share, 100 * kept.sign_extension_share,
        8 - kept.kept, kept.lower.entropy_bits, kept.conditional_entropy_bits);
  }
}

void print_drafts(const WeightFigures& figures) {
  say("\n{:<16}{:>10}{:>10}{:>12}{:>12}\n", "draft", "kept bits", "SQNR, dB", "cosine", "MSE");
  for (std::size_t reading = 0; reading < kDraftReadings.size(); ++reading) {
    for (const KeptFigures& kept : figures.kept) {
      const DraftError& error = kept.drafts[reading];
      say("{:<16}{:>10}{:>10.2f}{:>12.6f}{:>12.2f}\n", to_string(kDraftReadings[reading]), kept.kept, error.sqnr_db,
          error.cosine, error.mse);
    }
  }
}

void print_planes(const WeightFigures& figures) {
  say("\n{:<6}{:>10}{:>14}{:>22}{:>24}\n", "bit", "set, %", "coded, bits", "distinct patterns", "additions merged, %");
  for (int bit = kWeightBits - 1; bit >= 0; --bit) {
    const PlaneFigures& plane = figures.planes[static_cast<std::size_t>(bit)];
    say("{:<6}{:>10.2f}{:>14.3f}{:>22.2f}{:>24.2f}\n", bit, 100 * plane.one_share, plane.coded_bits,
        plane.distinct_patterns, 100 * plane.merged_additions);
  }
}

void print_magnitudes(const char* scales, const MagnitudeFigures& figures) {
  for (std::size_t rows = 1; rows <= kMostMergedRows; ++rows) {
    const MergedFigures& merged = figures.by_rows[rows - 1];
    say("{:<10}{:>6}{:>14.3f}{:>14.3f}{:>16.2f}{:>16.2f}{:>16.2f}\n", scales, rows, merged.coded_bits,
        merged.paying_bits, merged.dense_over_merged, merged.set_over_merged, merged.dense_over_signed_merged);
  }
}

void print_formats(const FormatFigures& figures) {
  say("\n{:<10}{:>6}{:>14}{:>14}{:>16}{:>16}{:>16}\n", "scales of", "rows", "BSTC, bits", "if it pays", "dense / BRCR",
      "set / BRCR", "signs too");
  print_magnitudes("32 inputs", figures.by_group);
  if (figures.by_channel) print_magnitudes("a row", *figures.by_channel);
  if (!figures.lossless) return;
  const LosslessFigures& lossless = *figures.lossless;
  say("\n{:<32}{:>10.3f}\n{:<32}{:>10.3f}\n{:<32}{:>10.3f}\n{:<32}{:>10.4f}\n", "entropy of a BF16 exponent, bits",
      lossless.entropy_bits, "Huffman-coded, bits", lossless.code_bits, "DFloat11, bits per weight",
      lossless.bits_per_weight, "FP16 exponents below 16, %", 100 * lossless.float16_free_bit_share);
  say("\n{:<10}{:>24}{:>24}\n", "kept of 8", "zero shifted, SQNR dB", "zero whole, SQNR dB");
  for (const auto& [kept, errors] : figures.zero_point) {
    say("{:<10}{:>24.2f}{:>24.2f}\n", kept, errors.shifted.sqnr_db, errors.whole.sqnr_db);
  }
}

void print_layers(const WeightsMeasure& measure) {
  say("\n{:<8}{:>16}{:>10}{:>26}{:>26}\n", "layer", "weights", "entropy", "mean similarity", "largest similarity");
  for (const LayerMeasure& layer : measure.layers) {
    double mean = 0, largest = -1;
    std::uint64_t pairs = 0;
    for (const auto& [projection, similarity] : layer.similarity) {
      mean += similarity.mean * static_cast<double>(similarity.pairs);
      pairs += similarity.pairs;
      largest = std::max(largest, similarity.largest);
    }
    const auto cell = [&](double value) { return pairs == 0 ? "-" : fmt::format("{:.5f}", value); };
    say("{:<8}{:>16}{:>10.3f}{:>26}{:>26}\n", layer.layer, layer.figures.weights, layer.figures.entropy_bits,
        cell(mean / static_cast<double>(pairs)), cell(largest));
  }
}

void print_table(const WeightsMeasure& measure) {
  say("{} ({}): {} matrices of {} experts in {} layers, {} weights\n\n", measure.path, measure.model,
      measure.matrices.size(), measure.experts.size(), measure.layers.size(), measure.total.weights);
  say("{:<32}{:>10.3f}\n", "entropy of a weight, bits", measure.total.entropy_bits);
  say("{:<32}{:>10.2f}\n", "bits that repeat the sign, %", 100 * measure.total.sign_extension_share);
  print_slices(measure.total);
  print_drafts(measure.total);
  print_planes(measure.total);
  print_formats(measure.total_formats);
  print_layers(measure);
}

void run(const BitsliceArguments& arguments, const Common& common) {
  std::optional<OutputFolder> folder;
  if (arguments.output.is_asked()) folder.emplace(arguments.output.path, arguments.output.force);
  const WeightsReader reader(arguments.weights);
  const Counters counters = make_counters(arguments);
  WeightsMeasure measure;
  {
    Progress progress("counting bit slices", reader.matrices().size(), progress_style(common.quiet));
    MeasureOptions options = arguments.options;
    std::sort(options.kept.begin(), options.kept.end());
    options.kept.erase(std::unique(options.kept.begin(), options.kept.end()), options.kept.end());
    options.progress = [&](std::uint64_t done) { progress.update(done); };
    measure = measure_weights(reader, {*counters.slices, *counters.formats}, options);
  }
  if (folder) write_weights_report(measure, program_version(), arguments.output.path);
  if (arguments.json) {
    std::cout << bitslice_json(measure, program_version());
  } else {
    print_table(measure);
  }
}

}  // namespace

void add_bitslice(CLI::App& app, const Common& common) {
  CLI::App* command =
      app.add_subcommand("bitslice", "What the bits of real weights hold: slices, redundancy, draft fidelity");
  const auto arguments = std::make_shared<BitsliceArguments>();
  command->add_option("WEIGHTS", arguments->weights, "Weights file (HDF5, schema moecarlo-weights 1)")->required();
  add_output(*command, arguments->output, "Folder for report, figures, JSON, CSV and counts");
  command->add_option("--bits", arguments->options.kept, "Upper bits that a draft keeps of each weight")
      ->delimiter(',')
      ->check(CLI::Range(2, 7))
      ->capture_default_str();
  command->add_option("--backend", arguments->backend, "Count on the CPU or a GPU; auto: a GPU where there is one")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--device", arguments->device, "Number of the GPU")
      ->check(CLI::Range(0, 1023))
      ->capture_default_str();
  command->add_option("--threads", arguments->options.threads, "Threads of the CPU, 0 = all cores")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "JSON on stdout and nothing else");
  command->footer(
      "Example:\n"
      "  moecarlo bitslice qwen3-weights.h5 -o out/qwen3-bits\n\n"
      "A study whose [hardware] says bit_slices = \"out/qwen3-bits/bitslice.json\" moves and multiplies what these\n"
      "weights need instead of what their bits amount to.");
  command->callback([arguments, &common] { run(*arguments, common); });
}

}  // namespace moecarlo::cli
