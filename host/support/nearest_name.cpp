#include "host/support/nearest_name.hpp"

#include <algorithm>
#include <vector>

namespace moecarlo {
namespace {

/// Damerau-Levenshtein distance, letters swapped once at most.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> names, std::size_t most) {
  constexpr std::size_t longest_word = 64;
  if (word.size() > longest_word) return {};
  std::size_t least = std::min(word.size() / 3, most) + 1;
  std::string_view nearest;
  for (const std::string_view name : names) {
    const std::size_t found = distance(word, name);
    if (found >= least) continue;
    least = found;
    nearest = name;
  }
  return nearest;
}

std::string is_it(std::string_view word, std::span<const std::string_view> names, std::size_t most) {
  const std::string_view nearest = nearest_name(word, names, most);
  return nearest.empty() ? std::string() : " (is it " + std::string(nearest) + "?)";
}

}  // namespace moecarlo
