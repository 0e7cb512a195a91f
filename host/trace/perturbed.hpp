#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "cuda/core/perturb.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// The tables from which a study's routing is redrawn, for the kept tokens of a routing table and in its rank order.
/// Rows, resolution and law: cuda/core/perturb.hpp and perturbed_law.hpp.
struct PerturbedTables {
  std::uint32_t layers = 0, experts = 0, top_k = 0;
  double temperature = 0;            ///< what the logits were divided by; 1 is the router's own
  std::vector<std::uint32_t> alias;  ///< [tokens][layers][experts]; empty where the method is gumbel
  std::vector<std::int32_t> logits;  ///< [tokens][layers][experts], Q12
  std::vector<std::int32_t> gumbel;  ///< [65536], Q12

  PerturbView view() const {
    return {alias.empty() ? nullptr : alias.data(), logits.data(), gumbel.data(), experts, layers, top_k};
  }
};

/// Reads the router's logits a second time, for the tokens that `table`, built from the same file, has kept.
///
/// The weight of an expert is exp(logit / temperature); under sigmoid scoring, whose scores are not normalized, it is
/// sigmoid(logit)^(1 / temperature). Shared experts take no part. threads: 0 = all cores; the result does not depend on
/// them. Memory: 4 bytes per token, layer and expert, 8 with the alias method, and one bounded chunk of the file.
///
/// Throws an `Error`: usage for a temperature that is not a positive number, for a trace without logits, and for one
/// whose experts are chosen with a selection bias or by groups (no softmax describes such a choice); input for a
/// refused file or one that does not match the table; machine when the tables do not fit the memory.
PerturbedTables read_perturbed(const std::filesystem::path& path, const RoutingTable& table, double temperature,
                               PerturbMethod method, unsigned threads);

}  // namespace moecarlo
