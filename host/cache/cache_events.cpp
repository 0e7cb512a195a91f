#include "host/cache/cache_events.hpp"

#include <algorithm>

#include "host/trace/kept_tokens.hpp"

namespace moecarlo {
namespace {

CacheEvents empty_events(CacheScope scope, std::uint32_t layers, std::uint32_t objects_per_layer) {
  CacheEvents events;
  events.layers = layers;
  events.caches = scope == CacheScope::layer ? layers : 1;
  events.objects = scope == CacheScope::layer ? objects_per_layer : layers * objects_per_layer;
  events.offsets = {0};
  return events;
}

/// Adds a look-up to the last, open event; `in_layer` is the object's number inside its layer.
void add_lookup(CacheEvents& events, std::uint32_t layer, std::uint32_t in_layer) {
  const bool per_layer = events.caches == events.layers;  // with one layer the two scopes are the same
  events.object.push_back(per_layer ? in_layer : layer * (events.objects / events.layers) + in_layer);
  events.layer.push_back(static_cast<std::uint16_t>(layer));
}

void close_event(CacheEvents& events, std::uint32_t layer) {
  events.offsets.push_back(events.object.size());
  events.cache.push_back(events.caches == 1 ? 0 : layer);
}

}  // namespace

CacheEvents trace_events(const TraceReader& trace, CacheScope scope, LookupOrder order,
                         const std::function<void(std::uint64_t done)>& progress) {
  const TraceInfo& info = trace.info();
  const KeptTokens kept(trace.phase());
  CacheEvents events = empty_events(scope, info.layers, info.experts);
  const std::uint64_t kept_layers = kept.count(0, info.tokens) * info.layers;
  const std::uint64_t events_per_layer = order == LookupOrder::event ? 1 : info.top_k;
  events.object.reserve(kept_layers * info.top_k);
  events.layer.reserve(kept_layers * info.top_k);
  events.cache.reserve(kept_layers * events_per_layer);
  events.offsets.reserve(kept_layers * events_per_layer + 1);
  for (std::uint64_t first = 0; first < info.tokens;) {
    const std::uint64_t count = std::min(trace.tokens_per_read(), info.tokens - first);
    const Choices choices = trace.read_choices(first, count, 0);
    for (std::uint64_t token = 0; token < count; ++token) {
      if (!kept.contains(first + token)) continue;
      for (std::uint32_t layer = 0; layer < info.layers; ++layer) {
        const auto chosen = choices.at(token, layer);
        for (const std::uint16_t expert : chosen) {
          add_lookup(events, layer, expert);
          if (order == LookupOrder::sequential) close_event(events, layer);
        }
        if (order == LookupOrder::event && !chosen.empty()) close_event(events, layer);
      }
    }
    first += count;
    if (progress) progress(first);
  }
  return events;
}

CacheEvents recorded_events(const Lookups& lookups, const TraceInfo& info, CacheScope scope) {
  const std::uint32_t layers = std::max(info.layers, *std::max_element(lookups.layer.begin(), lookups.layer.end()) + 1);
  const std::uint32_t parts = *std::max_element(lookups.part.begin(), lookups.part.end()) + 1;
  CacheEvents events = empty_events(scope, layers, info.experts * parts);
  for (std::size_t i = 0; i < lookups.layer.size(); ++i) {
    add_lookup(events, lookups.layer[i], lookups.expert[i] * parts + lookups.part[i]);
    close_event(events, lookups.layer[i]);
  }
  return events;
}

}  // namespace moecarlo
