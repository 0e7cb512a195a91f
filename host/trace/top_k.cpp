#include "host/trace/top_k.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "host/trace/limits.hpp"

// Scores become integers of their own width in the same order. The k-th largest of a row is found by halving the range
// that it lies in: each time all keys are compared with the middle, which a compiler does a vector at a time, and most
// rows are done when k are above it, after about ten times. No score is moved, and nothing depends on where the winners
// stand. A tournament of blocks takes five times as long (128 experts, top-8).

namespace moecarlo {
namespace {

constexpr std::size_t lanes = 32;      ///< of a vector, in keys; the longest of any processor, twice
constexpr std::size_t mask_bits = 64;  ///< keys of a row are filled up to whole words of flags
constexpr std::size_t ranked_by_counting = 64;

/// What a stored score is ordered by, and what its magnitude is where it is not finite.
template <class Stored>
struct Form;
template <>
struct Form<std::uint16_t> {
  using Key = std::int16_t;
  using Rank = std::uint32_t;
  static constexpr Key infinite = 0x7C00;
};
template <>
struct Form<float> {
  using Key = std::int32_t;
  using Rank = std::uint64_t;
  static constexpr Key infinite = 0x7F800000;
};

template <class Key>
struct Row {
  alignas(64) std::array<Key, largest_experts> keys;
  std::size_t padded = 0;  ///< keys, those that fill up the last word included
  Key smallest = 0, largest = 0;
  bool finite = true;
};

template <class Stored, class Key = typename Form<Stored>::Key>
void load(std::span<const Stored> scores, Row<Key>& row) {
  constexpr Key magnitude_bits = std::numeric_limits<Key>::max();
  Key smallest = magnitude_bits, largest = std::numeric_limits<Key>::min(), magnitude = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Key bits = std::bit_cast<Key>(scores[i]);
    const Key size = bits & magnitude_bits;
    const Key key = bits < 0 ? static_cast<Key>(-size) : size;
    row.keys[i] = key;
    magnitude = std::max(magnitude, size);
    smallest = std::min(smallest, key);
    largest = std::max(largest, key);
  }
  row.padded = (scores.size() + mask_bits - 1) / mask_bits * mask_bits;
  std::fill(row.keys.begin() + static_cast<std::ptrdiff_t>(scores.size()),
            row.keys.begin() + static_cast<std::ptrdiff_t>(row.padded), std::numeric_limits<Key>::min());
  row.smallest = smallest;
  row.largest = largest;
  row.finite = magnitude < Form<Stored>::infinite;
}

template <class Key>
std::size_t count_from(const Row<Key>& row, Key least) {
  std::array<Key, lanes> counts{};
  for (std::size_t i = 0; i < row.padded; i += lanes) {
    for (std::size_t j = 0; j < lanes; ++j) counts[j] = static_cast<Key>(counts[j] + (row.keys[i + j] >= least));
  }
  std::size_t sum = 0;
  for (const Key count : counts) sum += static_cast<std::size_t>(count);
  return sum;
}

/// Bit i: key first + i is at least `least`. Eight flags of a byte each become eight bits by one multiplication.
template <class Key>
std::uint64_t mask_from(const Row<Key>& row, std::size_t first, Key least) {
  static_assert(std::endian::native == std::endian::little);
  std::array<std::uint8_t, mask_bits> flags;
  for (std::size_t i = 0; i < mask_bits; ++i) flags[i] = row.keys[first + i] >= least;
  std::uint64_t mask = 0;
  for (std::size_t i = 0; i < mask_bits; i += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, flags.data() + i, 8);
    mask |= eight * 0x0102040810204080U >> 56U << i;
  }
  return mask;
}

/// All keys above `least`, and the first `ties` of those that are it.
template <class Key>
struct Cut {
  Key least;
  std::size_t ties;
};

template <class Key>
Cut<Key> cut_after(const Row<Key>& row, std::size_t k) {
  std::int64_t low = row.smallest, high = std::int64_t{row.largest} + 1;  // k or more are from low on, fewer from high
  std::size_t above = 0;
  while (high - low > 1) {
    const auto middle = static_cast<Key>(low + (high - low) / 2);
    const std::size_t count = count_from(row, middle);
    if (count == k) return {middle, k};
    if (count > k) {
      low = middle;
    } else {
      high = middle;
      above = count;
    }
  }
  return {static_cast<Key>(low), k - above};
}

/// The winners in ascending order of numbers that hold key, then place, the largest key first.
template <class Rank>
void put_in_order(std::span<Rank> winners, std::span<std::uint16_t> ids) {
  if (winners.size() > ranked_by_counting) {
    std::sort(winners.begin(), winners.end());
    std::transform(winners.begin(), winners.end(), ids.begin(), [](Rank w) { return static_cast<std::uint16_t>(w); });
    return;
  }
  for (const Rank winner : winners) {
    Rank before = 0;
    for (const Rank other : winners) before += other < winner;
    ids[before] = static_cast<std::uint16_t>(winner);
  }
}

template <class Rank, class Key>
void choose(const Row<Key>& row, std::span<std::uint16_t> ids) {
  Cut<Key> cut = cut_after(row, ids.size());
  std::array<Rank, largest_experts> winners;
  std::size_t found = 0;
  for (std::size_t first = 0; first < row.padded; first += mask_bits) {
    for (std::uint64_t mask = mask_from(row, first, cut.least); mask != 0; mask &= mask - 1) {
      const std::size_t place = first + static_cast<std::size_t>(std::countr_zero(mask));
      const Key key = row.keys[place];
      if (key == cut.least) {
        if (cut.ties == 0) continue;
        --cut.ties;
      }
      const auto below_largest = static_cast<Rank>(std::int64_t{std::numeric_limits<Key>::max()} - key);
      winners[found++] = below_largest << 16U | static_cast<Rank>(place);
    }
  }
  put_in_order<Rank>({winners.data(), found}, ids);
}

template <class Stored>
std::optional<std::uint64_t> choose_in_rows(std::span<const Stored> logits, std::uint32_t experts, std::uint32_t k,
                                            std::span<std::uint16_t> ids) {
  Row<typename Form<Stored>::Key> row;
  for (std::size_t at = 0; at < logits.size(); at += experts, ids = ids.subspan(k)) {
    load(logits.subspan(at, experts), row);
    if (!row.finite) {
      const auto is_bad = [](Stored logit) {
        using Key = typename Form<Stored>::Key;
        return (std::bit_cast<Key>(logit) & std::numeric_limits<Key>::max()) >= Form<Stored>::infinite;
      };
      const auto* const bad = std::find_if(logits.data() + at, logits.data() + at + experts, is_bad);
      return static_cast<std::uint64_t>(bad - logits.data());
    }
    choose<typename Form<Stored>::Rank>(row, ids.first(k));
  }
  return std::nullopt;
}

}  // namespace

void top_k(std::span<const float> scores, std::span<std::uint16_t> ids) {
  Row<std::int32_t> row;
  load(scores, row);
  choose<std::uint64_t>(row, ids);
}

std::optional<std::uint64_t> top_k_of_rows(std::span<const float> logits, std::uint32_t experts, std::uint32_t k,
                                           std::span<std::uint16_t> ids) {
  return choose_in_rows(logits, experts, k, ids);
}

std::optional<std::uint64_t> top_k_of_rows(std::span<const std::uint16_t> logits, std::uint32_t experts,
                                           std::uint32_t k, std::span<std::uint16_t> ids) {
  return choose_in_rows(logits, experts, k, ids);
}

}  // namespace moecarlo
