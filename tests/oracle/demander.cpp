#include "tests/oracle/demander.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>

namespace moecarlo::oracle {
namespace {

constexpr std::uint64_t kOne = 65535, kCertain = std::uint64_t{1} << 32;

/// Path probability times gate reaches theta, as integers of 65535 each.
bool reaches(const Column& column, int gate, double theta) {
  const long double least = std::ceil(theta * 65535.0 * 65535.0);
  return static_cast<long double>(column.confidence) * gate >= least;
}

}  // namespace

Demander::Demander(const RankedTrace& trace, const Study& study, const std::string& label)
    : trace_(trace), study_(study) {
  std::string text = label;
  for (char& letter : text) {
    if (std::string("(),").find(letter) != std::string::npos) letter = ' ';
  }
  std::istringstream words(text);
  words >> rule_;
  for (std::string word; words >> word;) words_.push_back(word);
  find_threshold();
}

int Demander::first_choice(const std::map<int, int>& gates) {
  int first = gates.begin()->first;
  for (const auto& [expert, gate] : gates) {
    if (gate > gates.at(first)) first = expert;
  }
  return first;
}

std::optional<double> Demander::least_channel() const {
  const auto said = std::find(words_.begin(), words_.end(), "channels");
  return said == words_.end() ? std::nullopt : std::optional(std::stod(*(said + 1)));
}

bool Demander::says(const std::string& word) const {
  return std::find(words_.begin(), words_.end(), word) != words_.end();
}

void Demander::trust(Pass& pass, int request, int token, int depth, const std::function<double(int)>& odds) const {
  const std::vector<double>& drafted = trace_.trace.drafted;
  std::vector<std::uint64_t> path{kOne}, siblings{kOne};
  for (int level = 1; level <= depth; ++level) {
    if (!study_.demand || study_.demand->path == PathProbability::one) {
      path.push_back(kOne);
      siblings.push_back(kOne);
    } else if (study_.demand->path == PathProbability::listed) {
      path.push_back(static_cast<std::uint64_t>(std::lround(65535 * study_.demand->confidences[level])));
      siblings.push_back(path.back());
    } else {
      const auto accepted = static_cast<std::uint64_t>(
          std::llround((drafted.empty() ? odds(level - 1) : drafted[token + level]) * 4294967296.0));
      const std::uint64_t others = std::max(1, static_cast<int>(study_.draft.width) - 1);
      siblings.push_back(path.back() * (kCertain - accepted) / others / kCertain);
      path.push_back(path.back() * accepted / kCertain);
    }
  }
  for (Column& column : pass.columns) {
    if (column.request != request) continue;
    column.confidence = static_cast<int>((column.sibling ? siblings : path)[column.level]);
  }
}

ObjectSet Demander::objects_of(const Experts& experts) const {
  ObjectSet objects = experts;
  if (study_.cache.objects == Objects::experts) return objects;
  for (const int expert : experts) objects.insert(trace_.trace.experts + expert);
  return objects;
}

void Demander::ask(Pass& pass) const {
  for (Column& column : pass.columns) column.used.assign(trace_.trace.layers, {});
  for (int layer = 0; layer < trace_.trace.layers; ++layer) ask_layer(pass, layer, {});
}

void Demander::ask_layer(Pass& pass, int layer, const ObjectSet& residents) const {
  std::vector<Column*> columns;
  for (Column& column : pass.columns) {
    if (column.verified) columns.push_back(&column);
  }
  if (rule_ == "threshold") return threshold(columns, layer);
  if (rule_ == "budget") return budget(columns, layer, residents);
  if (rule_ == "salient") return salient(columns, layer);
  for (Column* column : columns) {
    if (rule_ == "half") half(*column, layer);
    if (rule_ == "slices") slices(*column, layer);
    if (rule_ == "top_p") top_p(*column, layer);
  }
  if (rule_ == "half" || rule_ == "slices" || rule_ == "top_p") return;
  for (Column* column : columns) column->used[layer] = objects_of(column->chosen[layer]);
}

void Demander::threshold(std::vector<Column*>& columns, int layer) const {
  Experts loaded;
  for (Column* column : columns) {
    Experts own{first_choice(column->gate[layer])};
    for (const auto& [expert, gate] : column->gate[layer]) {
      if (reaches(*column, gate, std::stod(words_.front()))) own.insert(expert);
    }
    if (says("token")) column->used[layer] = objects_of(own);
    loaded = either(loaded, own);
  }
  if (says("token")) return;
  for (Column* column : columns) column->used[layer] = objects_of(common(column->chosen[layer], loaded));
}

/// First choices, then the largest sums one by one, of the residents first where they are kept.
void Demander::budget(std::vector<Column*>& columns, int layer, const ObjectSet& residents) const {
  std::map<int, std::uint64_t> sums;
  Experts loaded;
  for (const Column* column : columns) {
    for (const int expert : column->chosen[layer]) {
      if (column->gate.empty()) {
        ++sums[expert];
      } else {
        sums[expert] +=
            static_cast<std::uint64_t>(column->confidence) * static_cast<std::uint64_t>(column->gate[layer].at(expert));
      }
    }
    if (!column->gate.empty()) loaded.insert(first_choice(column->gate[layer]));
  }
  std::vector<int> order;
  for (const auto& [expert, sum] : sums) order.push_back(expert);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const bool held_a = says("keep_hits") && residents.count(a) > 0;
    const bool held_b = says("keep_hits") && residents.count(b) > 0;
    return held_a != held_b ? held_a : sums[a] > sums[b];
  });
  for (const int expert : order) {
    if (static_cast<double>(loaded.size()) < std::stod(words_.front())) loaded.insert(expert);
  }
  for (Column* column : columns) column->used[layer] = objects_of(common(column->chosen[layer], loaded));
}

/// Of each request and level the column of the largest path probability decides.
bool Demander::chooses_channels(const Pass& pass, const Column& column) const {
  if (!is("salient")) return true;
  return std::none_of(pass.columns.begin(), pass.columns.end(), [&](const Column& other) {
    if (!other.verified || other.request != column.request || other.level != column.level) return false;
    if (other.confidence != column.confidence) return other.confidence > column.confidence;
    return other.number < column.number;
  });
}

void Demander::salient(std::vector<Column*>& columns, int layer) const {
  for (Column* column : columns) {
    const Column* decides = nullptr;
    for (const Column* other : columns) {
      if (other->request != column->request || other->level != column->level) continue;
      if (decides == nullptr || other->confidence > decides->confidence ||
          (other->confidence == decides->confidence && other->number < decides->number)) {
        decides = other;
      }
    }
    column->used[layer] = objects_of(common(column->chosen[layer], decides->chosen[layer]));
  }
}

void Demander::slices(Column& column, int layer) const {
  column.used[layer] = column.chosen[layer];
  for (const auto& [expert, gate] : column.gate[layer]) {
    if (gate >= threshold_) column.used[layer].insert(trace_.trace.experts + expert);
  }
}

void Demander::hear(const ObjectSet& asked, const ObjectSet& residents) {
  asked_ += static_cast<std::int64_t>(256 * asked.size());
  missed_ += static_cast<std::int64_t>(256 * without(asked, residents).size());
}

/// Too many misses: a sixteenth of the way up, to where nothing is whole; else the same way back. An eighth is
/// forgotten.
void Demander::end_pass() {
  if (!says("miss_rate")) return;
  const bool too_many = static_cast<long double>(missed_) > std::llround(1e6 * after("miss_rate")) * 1e-6L * asked_;
  const auto way = static_cast<double>(too_many ? 65536 - threshold_ : threshold_ - least_gate());
  threshold_ += (too_many ? 1 : -1) * static_cast<std::int64_t>(std::ceil(way / 16));
  asked_ -= asked_ / 8;
  missed_ -= missed_ / 8;
}

/// The gate that the label begins with.
std::int64_t Demander::least_gate() const {
  return static_cast<std::int64_t>(std::ceil(std::stod(words_.front()) * 65535.0));
}

double Demander::after(const std::string& word) const {
  return std::stod(*(std::find(words_.begin(), words_.end(), word) + 1));
}

/// The best choice, and each next one where those before it fall short of the mass.
void Demander::top_p(Column& column, int layer) const {
  std::vector<std::pair<int, int>> order;  // the best first
  for (const auto& [expert, gate] : column.gate[layer]) order.emplace_back(-gate, expert);
  std::sort(order.begin(), order.end());
  const double wanted = std::stod(words_.front());
  Experts kept;
  double before = 0;
  for (const auto& [gate, expert] : order) {
    if (kept.empty() || wanted == 1 || before < wanted * 65535) kept.insert(expert);
    before -= gate;
  }
  column.used[layer] = objects_of(kept);
}

void Demander::half(Column& column, int layer) const {
  const std::map<int, int>& gates = column.gate[layer];
  std::vector<std::pair<int, int>> order;  // the best first
  for (const auto& [expert, gate] : gates) order.emplace_back(-gate, expert);
  std::sort(order.begin(), order.end());
  Experts first;
  for (std::size_t i = 0; i < (order.size() + 1) / 2; ++i) first.insert(order[i].second);
  const bool whole = is_important(importance_of(gates, column.confidence));
  column.used[layer] = objects_of(whole ? column.chosen[layer] : first);
}

/// The mass of the first half, the entropy over that of equal gates, or the path probability: of 65535.
std::int64_t Demander::importance_of(const std::map<int, int>& gates, int confidence) const {
  if (says("acceptance")) return confidence;
  std::vector<int> falling;
  std::int64_t entropy = 0;
  for (const auto& [expert, gate] : gates) {
    falling.push_back(gate);
    const double share = gate / 65535.0;
    if (gate > 0 && gate < 65535 && trace_.trace.top_k > 1) {
      entropy += std::llround(-share * std::log(share) / std::log(trace_.trace.top_k) * 65535);
    }
  }
  if (says("entropy")) return entropy;
  std::sort(falling.rbegin(), falling.rend());
  return std::accumulate(falling.begin(), falling.begin() + static_cast<std::ptrdiff_t>((falling.size() + 1) / 2),
                         std::int64_t{0});
}

bool Demander::is_important(std::int64_t measure) const {
  const bool by_mass = !says("entropy") && !says("acceptance");
  return by_mass ? measure < threshold_ : measure >= threshold_;
}

/// Theta, or what makes the asked for share of the calibration tokens unimportant, in all layers together.
void Demander::find_threshold() {
  if (rule_ == "slices") threshold_ = least_gate();
  if (rule_ != "half") return;
  const auto stated = std::find(words_.begin(), words_.end(), "unimportant");
  if (stated == words_.end()) {
    threshold_ = least_gate();
    return;
  }
  std::vector<std::int64_t> measures;
  for (const int sequence : trace_.trace.calibration) {
    for (int i = 0; i < trace_.trace.lengths[sequence]; ++i) {
      for (const auto& gates : trace_.mass[trace_.trace.first(sequence) + i]) {
        measures.push_back(importance_of(gates, 0));
      }
    }
  }
  const bool by_mass = !says("entropy");
  std::sort(measures.begin(), measures.end());
  if (by_mass) std::reverse(measures.begin(), measures.end());
  const auto rank = static_cast<std::size_t>(std::llround(std::stod(*(stated + 1)) * measures.size()));
  if (rank == 0) {
    threshold_ = by_mass ? std::numeric_limits<std::int64_t>::max() : 0;
  } else {
    threshold_ = measures[rank - 1] + (by_mass ? 0 : 1);
  }
}

}  // namespace moecarlo::oracle
