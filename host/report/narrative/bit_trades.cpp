#include "host/report/narrative/bit_trades.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

constexpr double bytes_per_gigabyte = 1e9;

bool same_choice(const BitTrade& a, const BitTrade& b) {
  return a.system == b.system && a.scheme == b.scheme && a.batch == b.batch && a.demand == b.demand;
}

const BitTrade& fastest_of(const EqualBytes& line) {
  return **std::max_element(line.begin(), line.end(), [](const BitTrade* a, const BitTrade* b) {
    return a->tokens_per_second.value < b->tokens_per_second.value;
  });
}

std::string design_of(const BitTrade& trade) {
  return fmt::format("{}, scheme {}, batch {}, depth {}, policy {}{}", trade.system, trade.scheme, trade.batch,
                     trade.depth, trade.policy, demand_text(trade.demand, trade.lossy));
}

std::string bits_and_experts(const BitTrade& trade) {
  return fmt::format("{} bits with {} experts per layer", trade.bits, number_text(trade.capacity, 3));
}

/// What the draft of a scheme reads of an expert, at each number of bits.
std::string reading(const EqualBytes& line) {
  std::vector<std::string> parts;
  for (const BitTrade* trade : line) {
    parts.push_back(fmt::format("{} of {} at {} bits", number_text(trade->draft_bits, 3),
                                number_text(trade->whole_bits, 3), trade->bits));
  }
  return fmt::format("Of each weight of an expert that it touches, the {} draft reads, in bits with their scales: {}.",
                     line.front()->scheme, fmt::join(parts, ", "));
}

std::string explanation(const std::vector<EqualBytes>& lines) {
  std::string text =
      "Fast memory that is left to experts holds many of them with few bits, or few with many: one trade of two "
      "elasticities. The rows of a table below that differ in bits alone fill the same bytes.";
  std::vector<std::string> known;
  for (const EqualBytes& line : lines) {
    if (std::find(known.begin(), known.end(), line.front()->scheme) != known.end()) continue;
    known.push_back(line.front()->scheme);
    text += ' ' + reading(line);
  }
  return text;
}

/// Captured acceptance, and where it was captured if that is elsewhere.
std::string captured_cell(const BitTrade& trade, double experts) {
  if (!trade.captured) return "";
  std::string elsewhere;
  if (std::abs(trade.captured->cache_fraction - trade.capacity / experts) > 1e-6) {
    elsewhere += fmt::format("{} % resident", number_text(100 * trade.captured->cache_fraction, 3));
  }
  if (trade.captured->weight_bits != trade.bits) {
    elsewhere += fmt::format("{}{} bits", elsewhere.empty() ? "" : ", ", trade.captured->weight_bits);
  }
  return three_digits(trade.captured->acceptance) + (elsewhere.empty() ? "" : " (of " + elsewhere + ")");
}

Table trade_table(const std::vector<EqualBytes>& lines, double experts) {
  Table table{
      "Lines of equal bytes: each system, scheme and batch at the depth and policy of its best speed. Captured "
      "acceptance is the trace's mean for that share of the experts and those bits; the study's is accepted length / "
      "depth. Value ± simulation ± trace",
      {"system", "scheme", "policy", "batch", "depth", "bits", "experts per layer", "GB of experts held",
       "captured acceptance", "accepted length / depth", "MB a draft step reads", "of them experts",
       "MB a round reads at home", "tokens per second", "the line's fastest, times as fast"},
      3,
      {}};
  const auto megabytes = [](double bytes) { return number_text(bytes / bytes_per_megabyte, 3); };
  for (const EqualBytes& line : lines) {
    for (const BitTrade* trade : line) {
      table.rows.push_back({trade->system, trade->scheme, trade->policy + demand_text(trade->demand, trade->lossy),
                            std::to_string(trade->batch), std::to_string(trade->depth), std::to_string(trade->bits),
                            number_text(trade->capacity, 3),
                            fmt::format("{} of {}", three_digits(trade->slots * trade->slot_bytes / bytes_per_gigabyte),
                                        three_digits(trade->room_bytes / bytes_per_gigabyte)),
                            captured_cell(*trade, experts), estimate_cell(trade->acceptance),
                            megabytes(trade->step_bytes), megabytes(trade->step_expert_bytes),
                            megabytes(trade->round_home_bytes), estimate_cell(trade->tokens_per_second),
                            trade->fastest ? "fastest" : estimate_cell(trade->lead)});
    }
  }
  return table;
}

}  // namespace

std::vector<EqualBytes> shown_equal_bytes(const StudyResults& results) {
  std::vector<const BitTrade*> fastest;  // of each system, scheme, batch and demand
  for (const BitTrade& trade : results.bit_trades) {
    if (trade.is_variant) continue;
    const auto rival =
        std::find_if(fastest.begin(), fastest.end(), [&](const auto* other) { return same_choice(*other, trade); });
    if (rival == fastest.end()) {
      fastest.push_back(&trade);
    } else if (trade.tokens_per_second.value > (*rival)->tokens_per_second.value) {
      *rival = &trade;
    }
  }
  std::vector<EqualBytes> lines;
  for (const BitTrade* best : fastest) {
    EqualBytes line;
    for (const BitTrade& trade : results.bit_trades) {
      if (line_of(trade) == line_of(*best)) line.push_back(&trade);
    }
    std::stable_sort(line.begin(), line.end(), [](const auto* a, const auto* b) { return a->bits < b->bits; });
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string fastest_bits(const EqualBytes& line) {
  if (line.size() < 2) return {};
  const BitTrade& best = fastest_of(line);
  const BitTrade* second = nullptr;
  std::vector<std::string> equal;
  for (const BitTrade* trade : line) {
    if (trade->fastest) continue;
    if (second == nullptr || trade->lead.value < second->lead.value) second = trade;
    if (is_above(trade->lead, 1) != Verdict::yes) equal.push_back(bits_and_experts(*trade));
  }
  if (second == nullptr) {
    return fmt::format("{}: at equal bytes every number of bits yields the same, {} tokens per second.",
                       design_of(best), three_digits(best.tokens_per_second.value));
  }
  std::string text = fmt::format("{}: at equal bytes {} yield most, {} tokens per second", design_of(best),
                                 bits_and_experts(best), three_digits(best.tokens_per_second.value));
  text += equal.empty() ? fmt::format(", {} times those of the second, {}.", estimate_text(second->lead),
                                      bits_and_experts(*second))
                        : fmt::format(", but cannot be told apart from {} ({} times as fast as the second).",
                                      fmt::join(equal, ", "), estimate_text(second->lead));
  return text;
}

std::string experts_or_bits(const StudyResults& results) {
  const EqualBytes* best = nullptr;
  const std::vector<EqualBytes> lines = shown_equal_bytes(results);
  for (const EqualBytes& line : lines) {
    const auto rank = [](const EqualBytes& one) {
      return std::tuple(one.front()->batch, one.front()->lossy.has_value(), -fastest_of(one).tokens_per_second.value);
    };
    if (best == nullptr || rank(line) < rank(*best)) best = &line;
  }
  return best == nullptr ? "" : fastest_bits(*best);
}

std::vector<Block> bit_trade_blocks(const StudyResults& results, const std::vector<Figure>& figures) {
  const std::vector<EqualBytes> lines = shown_equal_bytes(results);
  std::vector<Block> blocks;
  if (lines.empty()) return blocks;
  blocks.emplace_back(Paragraph{explanation(lines)});
  for (const Figure& figure : figures) {
    if (figure.id == "bit_trades") blocks.emplace_back(figure);
  }
  Bullets verdicts;
  for (const EqualBytes& line : lines) {
    if (std::string text = fastest_bits(line); !text.empty()) verdicts.items.push_back(std::move(text));
  }
  if (!verdicts.items.empty()) blocks.emplace_back(std::move(verdicts));
  blocks.emplace_back(trade_table(lines, static_cast<double>(results.experts)));
  return blocks;
}

}  // namespace moecarlo
