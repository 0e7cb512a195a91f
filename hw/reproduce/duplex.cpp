#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "hw/machine/expert_split.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kDuplexHeader = "case,published,note";

struct DuplexConstants {
  System gpu, bank, logic;
  std::string shape;
  double logic_tolerance = 0, bank_tolerance = 0;
};

DuplexConstants read_duplex(const Preset& preset) {
  PresetReader reader(preset);
  DuplexConstants constants;
  constants.gpu = read_system(reader.text("table.gpu"));
  constants.bank = read_system(reader.text("table.bank"));
  constants.logic = read_system(reader.text("table.logic"));
  constants.shape = reader.text("table.shape");
  constants.logic_tolerance = reader.share("table.logic_tolerance");
  constants.bank_tolerance = reader.share("table.bank_tolerance");
  reader.finish();
  return constants;
}

/// "Duplex over GPU, batch 64, 256/256": requests, tokens in and out.
struct DuplexCase {
  bool logic = false;
  std::uint32_t batch = 0, in = 0, out = 0;
  std::uint32_t context() const { return in + out / 2; }  ///< on the average of a request's steps
  std::string conditions() const { return fmt::format("batch {}, {}/{}", batch, in, out); }
};

std::optional<DuplexCase> parse_duplex_case(const std::string& text) {
  DuplexCase one;
  for (const auto& [begin, logic] : {std::pair{"Duplex over GPU, ", true}, std::pair{"bank PIM over GPU, ", false}}) {
    const std::string start = begin;
    if (!text.starts_with(start)) continue;
    int end = 0;
    one.logic = logic;
    const std::string rest = text.substr(start.size());
    if (std::sscanf(rest.c_str(), "batch %u, %u/%u%n", &one.batch, &one.in, &one.out, &end) == 3 &&
        end == static_cast<int>(rest.size()) && one.batch > 0)
      return one;
  }
  return std::nullopt;
}

/// One expert with so many tokens on one unit.
Done expert_on(const System& system, const Unit& unit, const Model& model, double tokens) {
  Work work = compute(unit, model.expert, tokens, model.expert_format.bits);
  work += read(system, unit, system.home(), expert_bytes(model));
  return {seconds_of(system, work), work};
}

Done dense_part(const System& system, const Model& model, const DuplexCase& one) {
  const Serving serving{one.context(), one.batch, 0, 8};
  LayerPass pass;
  pass.tokens = one.batch;
  pass.kept_bits = model.dense_format.bits;
  return at_means(system, model, then(dense_parts(system, model, serving, pass)), {});
}

/// One decoding step of the whole batch: dense layers and attention each where the machine has them; each expert on the
/// unit that takes it in less time, one after the other, tokens independent of each other.
Done duplex_step(const System& system, const Model& model, const DuplexCase& one) {
  Done step = dense_part(system, model, one);
  const std::vector<double> law = binomial(one.batch, static_cast<double>(model.top_k) / model.experts);
  for (std::size_t n = 1; n < law.size(); ++n) {
    Done best = expert_on(system, system.units.front(), model, static_cast<double>(n));
    if (system.helper) {
      const Done near = expert_on(system, system.units[system.helper->unit], model, static_cast<double>(n));
      if (near.seconds < best.seconds) best = near;
    }
    const double times = law[n] * model.experts * model.moe_layers;
    step.seconds += times * best.seconds;
    step.work += times * best.work;
  }
  return step;
}

/// The same where the two units work side by side on the middle of what the tokens of experts may be.
double co_processed_seconds(const System& system, const Model& model, const DuplexCase& one) {
  const auto on = [&](const Unit& unit) {
    return [&](double tokens) { return expert_on(system, unit, model, tokens).seconds; };
  };
  const ExpertSplit split = split_by_tokens(mean_tokens_per_expert(model.experts, model.top_k, one.batch),
                                            on(system.units.front()), on(system.units[system.helper->unit]));
  return dense_part(system, model, one).seconds + model.moe_layers * split.seconds();
}

Model duplex_model(const std::filesystem::path& table, const std::string& name) {
  return make_model(in_bits(published_model(table, name), 16));
}

std::string shape_of(const Model& model, const DuplexCase& one) {
  return fmt::format("{}, {}, {:.3g} tokens an expert", model.name, one.conditions(),
                     static_cast<double>(one.batch) * model.top_k / model.experts);
}

void add_speed(const DuplexConstants& constants, const DuplexCase& one, double published, const std::string& note,
               const std::filesystem::path& table, std::vector<ReproducedRow>& rows) {
  const System& system = one.logic ? constants.logic : constants.bank;
  const std::string quantity = one.logic ? "Duplex over GPU" : "bank PIM over GPU";
  const auto ratio = [&](const Model& model) {
    return duplex_step(constants.gpu, model, one).seconds / duplex_step(system, model, one).seconds;
  };
  const auto assumed = joined(assumed_of(constants.gpu.preset, true), assumed_of(system.preset, true));
  const Model shape = duplex_model(table, constants.shape);
  rows.push_back(compare({quantity, shape_of(shape, one), "ratio", published}, ratio(shape),
                         one.logic ? constants.logic_tolerance : constants.bank_tolerance, assumed,
                         "overheads of a layer and scheduling are not published"));
  if (note.empty()) return;
  const Model named = duplex_model(table, note);
  if (named.name == shape.name) return;
  rows.push_back(leave_open(
      {quantity, shape_of(named, one), "ratio", published}, ratio(named),
      "the published ratio needs as many tokens an expert as the row above; the batch of each device is not published",
      assumed));
}

const std::vector<DuplexCase>& measured_cases() {
  static const std::vector<DuplexCase> cases{
      {true, 32, 256, 256}, {true, 64, 256, 256}, {true, 32, 4096, 4096}, {true, 64, 4096, 4096}};
  return cases;
}

ReproducedRow other_row(const DuplexConstants& constants, const std::string& text, double published,
                        const std::filesystem::path& table) {
  const auto assumed = joined(assumed_of(constants.gpu.preset, true), assumed_of(constants.logic.preset, true));
  constexpr std::string_view energy = "energy, best, ";
  if (text.starts_with(energy)) {
    const Model model = duplex_model(table, text.substr(energy.size()));
    double least = 0;
    for (const DuplexCase& one : measured_cases()) {
      const auto joules = [&](const System& system) {
        const Done step = duplex_step(system, model, one);
        return joules_of(system, step.work, step.seconds);
      };
      least = std::min(least, joules(constants.logic) / joules(constants.gpu) - 1);
    }
    return leave_open({text, "best of batch 32 and 64, 256/256 and 4096/4096", "change", published}, least,
                      "activations of rows, static power and the setting of the best are not published", assumed);
  }
  if (text.starts_with("Duplex with co-processing")) {
    const Model model = duplex_model(table, constants.shape);
    double most = 0;
    for (const DuplexCase& one : measured_cases())
      most = std::max(
          most, duplex_step(constants.gpu, model, one).seconds / co_processed_seconds(constants.logic, model, one));
    return leave_open({text, model.name + ", best of batch 32 and 64, 256/256 and 4096/4096", "ratio", published}, most,
                      "a roof; overheads of a layer and the setting of the best are not published", assumed);
  }
  return leave_open({text, "", published < 0 ? "change" : "ratio", published}, std::nullopt,
                    "its setting is not published");
}

}  // namespace

std::vector<ReproducedRow> reproduce_duplex(const Preset& constants, const PublishedTables& tables) {
  const DuplexConstants known = read_duplex(constants);
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, kDuplexHeader)) {
      const double published = line.signed_number(1, "published");
      if (const auto one = parse_duplex_case(line.fields[0])) {
        add_speed(known, *one, published, line.fields[2], table, rows);
      } else {
        rows.push_back(other_row(known, line.fields[0], published, table));
      }
    }
  }
  return rows;
}

}  // namespace moecarlo::hw
