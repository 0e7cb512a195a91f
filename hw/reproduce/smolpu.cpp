#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "hw/projection/request.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/prefill.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kEnergyHeader = "model,baseline_mj_per_token,smolpu_mj_per_token";
constexpr const char* kUnionHeader = "candidates,experts,top_k,distinct_experts";
constexpr double kPoints = 0.1;  // within which a share that is saved is met

/// What masks leave of the weights that a verification reads.
struct Masks {
  double kept = 1, loaded = 1;  ///< experts, and weights of them all
};

/// The masks of one criterion, by stand-in trace and law of magnitudes.
struct MaskPoint {
  std::string criterion;
  std::map<std::string, Masks> stand_ins;
};

struct SmolpuConstants {
  System machine;
  Request request;
  double union_share = 0, psum_bits = 0, spills = 0;
  std::vector<MaskPoint> points;
  std::string stand_in;                  ///< whose masks are ours, fixed beforehand; the others are the range
  std::map<std::string, double> unions;  ///< experts of a layer, by what siblings keep
  double fitted = 0;
};

MaskPoint read_masks(PresetReader& reader, std::string criterion, const std::string& table) {
  MaskPoint point{std::move(criterion), {}};
  const std::string kept = table + "_kept", loaded = table + "_loaded";
  for (const std::string& name : reader.names(kept))
    point.stand_ins[name] = {reader.share(fmt::format("{}.{}", kept, name)),
                             reader.share(fmt::format("{}.{}", loaded, name))};
  return point;
}

SmolpuConstants read_smolpu(const Preset& preset) {
  PresetReader reader(preset);
  SmolpuConstants constants;
  constants.machine = read_system(reader.text("table.machine"));
  constants.request.prompt = reader.count("request.prompt");
  constants.request.chunk = reader.count("request.chunk");
  constants.request.output = reader.count("request.output");
  constants.request.tokens_per_round = reader.positive("verify.tokens", "count");
  constants.request.serving = {0, 1, 0, 8, 1, reader.count("verify.candidates")};
  constants.union_share = reader.share("verify.union");
  constants.psum_bits = reader.count("psum.bits");
  constants.spills = reader.not_negative("psum.spills", "count");
  constants.stand_in = reader.text("table.stand_in");
  constants.points = {read_masks(reader, "1 % of perplexity", "perplexity"),
                      read_masks(reader, "nearest the paper's example", "example")};
  for (const std::string& name : reader.names("siblings"))
    constants.unions[name] = reader.positive("siblings." + name, "count");
  constants.fitted = reader.share("fit.retention");
  reader.finish();
  return constants;
}

/// Millijoules of an output token: prompt and all rounds, the draft head left out. `ranked`: partial sums stay on the
/// chip as far as they are counted to fit; else none does, and each expert after a token's first takes it in and out.
double request_mj(const SmolpuConstants& constants, const Model& model, const Masks& masks, bool ranked) {
  Request request = constants.request;
  request.partial_sum_bytes = model.hidden * constants.psum_bits / bits_per_byte;
  request.serving.asked.weights = masks.loaded / masks.kept;
  RequestCounts counts;
  for (const PromptChunk& chunk : chunks_of(request.prompt, request.chunk)) {
    counts.chunks.push_back({0, static_cast<double>(model.experts), 0, 0});
    counts.spills.push_back(ranked ? constants.spills : chunk.tokens * (model.top_k - 1));
  }
  counts.round.misses = constants.union_share * masks.kept * model.experts;
  return 1e3 * cost_of(constants.machine, autoregressive(), model, request, counts).joules_per_output_token(request);
}

/// What of a baseline is saved, step by step.
struct Saved {
  double coarse = 0, fine = 0, sums = 0;
  double all() const { return coarse + fine + sums; }
};
Saved saved(const SmolpuConstants& constants, const Model& model, const Masks& masks) {
  const double baseline = request_mj(constants, model, {}, false);
  const double coarse = request_mj(constants, model, {masks.kept, masks.kept}, false);
  const double fine = request_mj(constants, model, masks, false);
  return {1 - coarse / baseline, (coarse - fine) / baseline,
          (fine - request_mj(constants, model, masks, true)) / baseline};
}

/// Ours beside what is published, and the range over all stand-ins.
ReproducedRow saved_row(const SmolpuConstants& constants, const Model& model, const MaskPoint& point,
                        const std::string& on, double published, const std::vector<std::string>& assumed) {
  const Masks& masks = point.stand_ins.at(constants.stand_in);
  const Saved ours = saved(constants, model, masks);
  double least = 1, most = 0;
  for (const auto& [name, others] : point.stand_ins) {
    const double all = saved(constants, model, others).all();
    least = std::min(least, all);
    most = std::max(most, all);
  }
  const double needed = 1 - (published - ours.sums) * (1 - masks.loaded) / (ours.coarse + ours.fine);
  return compare({"energy saved by masks and partial sums",
                  fmt::format("{}; whole experts {:.3f}, channels {:.3f}, partial sums {:.3f}; all stand-ins {:.3f} to "
                              "{:.3f}",
                              on, ours.coarse, ours.fine, ours.sums, least, most),
                  "share", published},
                 ours.all(), kPoints / published, assumed,
                 fmt::format("one set of masks for all models, which leaves {:.2f} of a verification's expert weights; "
                             "{:.2f} of this model's would give it",
                             masks.loaded, needed));
}

void add_energy_rows(const SmolpuConstants& constants, const PublishedLine& line, const Preset& model_preset,
                     const std::vector<std::string>& assumed, std::vector<ReproducedRow>& rows) {
  const double published = line.number(1, "baseline_mj_per_token"), masked = line.number(2, "smolpu_mj_per_token");
  for (const double bits : {4.0, 8.0}) {
    const Model model = make_model(with_value(in_bits(model_preset, bits), "attention.kv_bits", 16));
    const std::string on = fmt::format("{}, {} in, {} out, {:g}-bit weights", model.name, constants.request.prompt,
                                       constants.request.output, bits);
    rows.push_back(leave_open({"energy of an output token, speculating without masks", on, "mJ", published},
                              request_mj(constants, model, {}, false),
                              "the tree, the width of weights and the energy of the memory are not published",
                              assumed));
    for (const MaskPoint& point : constants.points) {
      const std::string masked_on = fmt::format("{}; masks: {}", on, point.criterion);
      rows.push_back(leave_open({"energy of an output token, with masks", masked_on, "mJ", masked},
                                request_mj(constants, model, point.stand_ins.at(constants.stand_in), true),
                                "thresholds of the masks are not published", assumed));
      rows.push_back(saved_row(constants, model, point, masked_on, 1 - masked / published, assumed));
    }
  }
}

}  // namespace

/// Whole requests by the machine model, with and without masks whose rule and thresholds are our reading: what these
/// leave was counted on stand-in traces, for all three models alike, before any energy was compared (results/smolpu).
std::vector<ReproducedRow> reproduce_smolpu(const Preset& preset, const PublishedTables& tables) {
  const SmolpuConstants constants = read_smolpu(preset);
  const auto assumed = joined(assumed_of(preset), assumed_of(constants.machine.preset, true));
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    const std::string header = published_header(table);
    if (header == kUnionHeader) {
      for (const PublishedLine& line : read_published_lines(table, kUnionHeader)) {
        for (const auto& [name, experts] : constants.unions) {
          rows.push_back(leave_open(
              {"experts of a layer under speculation",
               fmt::format("{} candidates, top-{} of {}, synthetic routing, siblings keep {}",
                           line.count(0, "candidates"), line.count(2, "top_k"), line.count(1, "experts"), name),
               "experts", line.number(3, "distinct_experts")},
              experts,
              fmt::format("how alike siblings route is not published; {:g} of an expert each is fitted to it",
                          constants.fitted)));
        }
      }
    } else if (header == kEnergyHeader) {
      for (const PublishedLine& line : read_published_lines(table, kEnergyHeader))
        add_energy_rows(constants, line, published_model(table, line.fields[0]), assumed, rows);
    } else {
      refuse_table(table, {kEnergyHeader, kUnionHeader});
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
