#include "hw/projection/prompts.hpp"

#include <algorithm>
#include <utility>

#include "host/support/error.hpp"
#include "hw/plan/integrate.hpp"
#include "hw/projection/placement.hpp"
#include "hw/schemes/prefill.hpp"

namespace moecarlo::hw {
namespace {

/// All of a pass but its experts.
Done without_experts(const System& system, const Pass& pass) {
  return sum_pass(system, pass, {{1}, 1}, [](const RoutedPart&, double, PassTotals&) {}).groups.front();
}

void add(double times, const Done& what, Done& to) {
  to.seconds += times * what.seconds;
  to.work.add(times, what.work);
}

PromptChunk mean_of(const std::vector<PromptChunk>& chunks) {
  PromptChunk mean;
  for (const PromptChunk& one : chunks) {
    mean.first += one.first;
    mean.tokens += one.tokens;
    mean.last += one.last;
  }
  const auto size = static_cast<double>(chunks.size());
  return {mean.first / size, mean.tokens / size, mean.last / size};
}

}  // namespace

PromptChunk mean_chunk(const std::vector<std::uint64_t>& prompts, std::uint32_t chunk) {
  std::vector<PromptChunk> all;
  for (const std::uint64_t prompt : prompts) {
    const std::vector<PromptChunk> own = chunks_of(static_cast<std::uint32_t>(prompt), chunk);
    all.insert(all.end(), own.begin(), own.end());
  }
  return mean_of(all);
}

PromptProjector::PromptProjector(const System& system, const Scheme& scheme, const Model& model,
                                 const PromptLengths& lengths)
    : system_(system), scheme_(scheme), model_(model), lengths_(lengths) {
  for (const bool whole : {true, false}) {
    Kind kind{{}, std::vector<std::uint64_t>(lengths.groups.size(), 0)};
    std::vector<PromptChunk> all;
    for (std::size_t g = 0; g < lengths.groups.size(); ++g) {
      for (const std::uint64_t prompt : lengths.groups[g]) {
        for (const PromptChunk& chunk : chunks_of(static_cast<std::uint32_t>(prompt), lengths.chunk)) {
          if ((chunk.tokens == lengths.chunk) != whole) continue;
          all.push_back(chunk);
          ++kind.chunks[g];
        }
      }
    }
    if (all.empty()) continue;
    kind.mean = mean_of(all);
    kinds_.push_back(std::move(kind));
  }
}

const std::vector<Done>& PromptProjector::beside_experts(const Serving& serving, const Placement& placement) {
  const auto [found, is_new] = known_.try_emplace({serving.batch, serving.depth, serving.bits});
  if (!is_new) return found->second;
  const auto done = [&](const PromptChunk& chunk) {
    return without_experts(system_, prefill_pass(system_, scheme_, model_, serving, placement, chunk));
  };
  std::map<std::pair<double, double>, std::pair<Done, Done>> of_chunks;  // by first and tokens: within, and at the end
  const auto of_chunk = [&](const PromptChunk& chunk) -> const Done& {
    const auto [known, fresh] = of_chunks.try_emplace({chunk.first, chunk.tokens});
    Done& one = chunk.last > 0 ? known->second.second : known->second.first;
    if (one.seconds == 0) one = done(chunk);
    return one;
  };
  std::vector<Done> means;
  for (const Kind& kind : kinds_) means.push_back(done(kind.mean));
  for (std::size_t g = 0; g < lengths_.groups.size(); ++g) {
    Done& own = found->second.emplace_back();
    for (const std::uint64_t prompt : lengths_.groups[g]) {
      for (const PromptChunk& chunk : chunks_of(static_cast<std::uint32_t>(prompt), lengths_.chunk))
        add(1, of_chunk(chunk), own);
    }
    for (std::size_t k = 0; k < kinds_.size(); ++k) add(-static_cast<double>(kinds_[k].chunks[g]), means[k], own);
  }
  return found->second;
}

std::vector<PromptTotals> PromptProjector::project(const Workload& chunks, const Serving& serving) {
  const std::size_t groups = lengths_.groups.size();
  for (std::size_t g = 0; g < std::max(chunks.counts.size(), groups); ++g) {
    std::uint64_t own = 0;
    for (const Kind& kind : kinds_) own += g < groups ? kind.chunks[g] : 0;
    const std::uint64_t counted = g < chunks.counts.size() ? chunks.counts[g].rounds : 0;
    if (counted == own && chunks.counts.size() == groups) continue;
    fail(ErrorKind::input, "workload: chunks of other prompts (expected {} of group {}, found {})", own, g, counted);
  }
  const Placement placement = place(system_, scheme_, model_, serving, chunks.layers);
  const double layer_scale = static_cast<double>(model_.moe_layers) / chunks.layers;
  const double written = scheme_.plan(system_, model_, serving, placement).cache_write_bytes;
  std::vector<Done> done = beside_experts(serving, placement);
  Workload some = chunks;
  for (const Kind& kind : kinds_) {
    for (std::size_t g = 0; g < groups; ++g) some.counts[g].rounds = kind.chunks[g];
    const Pass pass = prefill_pass(system_, scheme_, model_, serving, placement, kind.mean);
    const PassTotals totals = integrate(system_, {pass, written}, some, layer_scale);
    for (std::size_t g = 0; g < groups; ++g) add(1, totals.groups[g], done[g]);
    for (LayerClassCounts& layers : some.classes)  // what was written was written once
      std::fill(layers.cache_writes.begin(), layers.cache_writes.end(), 0.0);
  }
  std::vector<PromptTotals> all;
  for (std::size_t g = 0; g < groups; ++g) {
    all.push_back({static_cast<double>(lengths_.groups[g].size()), done[g].seconds,
                   joules_of(system_, done[g].work, done[g].seconds)});
  }
  return all;
}

}  // namespace moecarlo::hw
