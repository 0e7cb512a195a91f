#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "host/trace/trace_reader.hpp"

namespace moecarlo {

/// What one cache holds: the experts of one layer, or those of all layers in one pool.
enum class CacheScope { layer, global };

/// Whether the look-ups of an event are judged before any of them is referenced, or each is an event of its own.
enum class LookupOrder { event, sequential };

/// Look-ups in the order in which caches see them, cut into events. The objects of one event are distinct; they are all
/// judged against the residents at its start and then referenced in their order.
struct CacheEvents {
  std::uint32_t layers = 0;           ///< that a look-up may name; one more than the trace's where the drafter has some
  std::uint32_t caches = 1;           ///< one a layer, or one
  std::uint32_t objects = 1;          ///< of each cache, numbered by (layer,) expert, part
  std::vector<std::uint32_t> object;  ///< [lookups] 0 .. objects - 1
  std::vector<std::uint16_t> layer;   ///< [lookups] 0 .. layers - 1
  std::vector<std::uint64_t> offsets;  ///< [events + 1] into the look-ups, from 0
  std::vector<std::uint32_t> cache;    ///< [events] 0 .. caches - 1

  std::uint64_t lookups() const { return object.size(); }
  std::uint64_t events() const { return cache.size(); }
};

/// The tokens of a trace front to back (decode tokens where the file marks any, else all), sequences side by side; the
/// choices of each (token, layer) in stored order are one event, or `top_k` of them. `progress` is told tokens done of
/// the file; it may be empty.
CacheEvents trace_events(const TraceReader& trace, CacheScope scope, LookupOrder order,
                         const std::function<void(std::uint64_t done)>& progress = {});

/// A recorded log, each look-up an event of its own. `lookups` is not empty.
CacheEvents recorded_events(const Lookups& lookups, const TraceInfo& info, CacheScope scope);

}  // namespace moecarlo
