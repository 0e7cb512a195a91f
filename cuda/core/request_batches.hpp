#pragma once

#include "cuda/core/plan.hpp"

namespace moecarlo {

/// A family member that draws batches, and the places where its requests may begin.
struct RequestSeries {
  Stream stream = Stream::main;
  std::uint64_t number = 0;
  StartView starts;
};

/// The requests of batches: where each stands, and what a batch of them chooses. Requests begin at uniform places of a
/// population's sequences, independent of each other; in a batch that follows another each goes on behind its tokens,
/// and where its sequence has no more for it, in one that is drawn uniformly.
///
/// What a batch chooses is counted by where it stands in a row of the routing table, in which all layers of a token lie
/// side by side: counter 64 w + b is of bit b of word w. So a block of a device, which counts kSpan words of the rows
/// in shared memory, needs as many counters for any number of experts, and its threads read neighbouring words.
struct RequestBatches {
  static constexpr std::uint32_t kSpan = 16;  ///< words, a multiple of mask_words()
  static constexpr std::uint32_t kSpanCounters = 64 * kSpan;

  ViewArray<std::uint64_t> masks;           ///< [rows][layers][words]
  ViewArray<std::uint16_t> expert_of_rank;  ///< [layers][experts]
  std::uint32_t layers = 0, experts = 0, words = 1;
  ViewArray<StartTable> tables;  ///< [populations] of the places where requests may begin
  ViewArray<Sequence> entries;
  ViewArray<std::uint32_t> cumulative;
  GroupLayout groups;
  std::uint32_t seed = 1;
  std::uint64_t requests = 1;  ///< of a batch
  std::uint32_t columns = 1;   ///< neighbouring tokens of each
  std::uint32_t unit = 1;      ///< tokens from one place where a request may begin to the next
  std::uint32_t stride = 1;    ///< such places that a request goes on by

  /// Calls `visit` with every array.
  template <class Visit>
  void each(const Visit& visit) {
    visit(masks), visit(expert_of_rank), visit(tables), visit(entries), visit(cumulative);
  }

  MOECARLO_HOST_DEVICE RequestSeries series(Stream stream, std::uint64_t number) const {
    const StartTable& table = tables[stream == Stream::main ? 0 : 1 + groups.population_of(number)];
    return {stream, number, {entries + table.first_entry, cumulative + table.first_cumulative, table.eligible}};
  }

  /// Where a request stands in a batch; `before`: where it stood in the one before, if there was one.
  MOECARLO_HOST_DEVICE Place stand(const RequestSeries& of, std::uint32_t batch, std::uint64_t request,
                                   Place before) const {
    // The field that holds a request's number takes some turns, which are those of trajectories.
    const std::uint64_t turns = (requests >> DrawAddress::kRequestBits) + 1;
    DrawAddress at;
    at.seed = seed;
    at.stream = of.stream;
    at.trajectory = of.number * turns + (request >> DrawAddress::kRequestBits);
    at.round = batch;
    at.request = static_cast<std::uint32_t>(request & (DrawAddress::kRequests - 1));
    if (batch == 0) return draw_start(of.starts, at, nullptr, 0, 1);
    const Place next{before.entry, before.position + stride};
    const std::uint32_t places = of.starts.cumulative[next.entry + 1] - of.starts.cumulative[next.entry];
    return next.position < places ? next : draw_move(of.starts, at, &next, 0, 1, next.position - places);
  }

  /// The first of the neighbouring tokens of a request that stands there.
  MOECARLO_HOST_DEVICE std::uint32_t first_token(const RequestSeries& of, Place place) const {
    return of.starts.entries[place.entry].first + place.position * unit;
  }

  MOECARLO_HOST_DEVICE std::uint32_t row_words() const { return layers * words; }
  MOECARLO_HOST_DEVICE std::uint32_t spans() const { return (row_words() + kSpan - 1) / kSpan; }

  /// Calls count(first + b) for each bit b of a word.
  template <class Count>
  MOECARLO_HOST_DEVICE static void count_word(std::uint64_t word, std::uint32_t first, const Count& count) {
    for (std::uint64_t rest = word; rest != 0; rest &= rest - 1) {
      if constexpr (kIsHostCode) {  // not every processor that this is compiled for counts bits
        count(first + static_cast<std::uint32_t>(__builtin_ctzll(rest)));
      } else {
        count(first + lowest_bit(rest));
      }
    }
  }

  /// What a thread of so many, a multiple of kSpan, counts of a batch in a span: calls count(counter of the span) for
  /// each choice. first_tokens: [requests].
  template <class Count>
  MOECARLO_HOST_DEVICE void count_span(const std::uint32_t* first_tokens, std::uint32_t span, std::uint64_t thread,
                                       std::uint64_t threads, const Count& count) const {
    const auto own = static_cast<std::uint32_t>(thread % kSpan);
    const std::uint32_t word = span * kSpan + own;
    if (word >= row_words()) return;
    for (std::uint64_t column = thread / kSpan; column < requests * columns; column += threads / kSpan) {
      const std::uint64_t token = first_tokens[column / columns] + column % columns;
      count_word(masks[token * row_words() + word], 64 * own, count);
    }
  }

  /// Where a counter of a span that is not 0 belongs in loads, [layers][experts] by index.
  MOECARLO_HOST_DEVICE std::size_t load_of(std::uint32_t span, std::uint32_t counter) const {
    const std::size_t first = std::size_t{(span * kSpan + counter / 64) / words} * experts;
    return first + expert_of_rank[first + counter % (64 * words)];
  }
};

}  // namespace moecarlo
