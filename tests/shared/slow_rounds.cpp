#include "tests/shared/slow_rounds.hpp"

#include "cuda/core/path.hpp"

namespace moecarlo::testing {
namespace {

Rounds episode_rounds(const PlanView& plan, const Cell& cell, const TrajectoryId& id) {
  const std::uint32_t columns = cell.columns(), count = plan.warmup + plan.rounds;
  std::vector<std::uint32_t> tokens(std::size_t{count} * columns * cell.batch), others(tokens.size());
  std::vector<std::uint8_t> accepted(std::size_t{count} * cell.batch), drafted(accepted.size());
  std::vector<Place> places(cell.batch), other_places(cell.batch);
  Path path;
  path.tokens = tokens.data();
  path.others = others.data();
  path.accepted = accepted.data();
  path.drafted = drafted.data();
  path.places = places.data();
  path.other_places = other_places.data();
  draw_episode(plan, cell, id, path);
  Rounds rounds(count);
  auto token = tokens.begin();
  for (std::uint32_t r = 0; r < count; ++r) {
    rounds[r].emplace();
    for (std::uint32_t column = 0; column < columns; ++column, token += cell.batch) {
      rounds[r]->tokens.emplace_back(token, token + cell.batch);
    }
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      rounds[r]->accepted.push_back(accepted[r * cell.batch + request]);
      rounds[r]->drafted.push_back(drafted[r * cell.batch + request]);
    }
  }
  return rounds;
}

Rounds sample_rounds(const RoutingTable& table, const PlanView& plan, const Cell& cell, std::uint32_t depth_index,
                     const TrajectoryId& id) {
  const std::size_t columns = plan.max_depth + 1, slots = std::size_t{plan.rounds} * plan.max_batch;
  std::vector<std::uint32_t> tokens(slots * columns), drawn(slots * columns), reach(slots);
  std::vector<std::uint8_t> accepted(slots * plan.depth_count);
  std::vector<Place> places(plan.max_batch);
  Path path;
  path.tokens = tokens.data();
  path.drawn = drawn.data();
  path.accepted = accepted.data();
  path.reach = reach.data();
  path.places = places.data();
  draw_samples(plan, id, path);
  const auto fits = [&](std::uint32_t token) {
    for (const Sequence& s : table.sequences) {
      if (token >= s.first && token < s.first + s.length) return token + cell.depth < s.first + s.length;
    }
    return false;
  };
  Rounds rounds(plan.rounds);
  for (std::uint32_t r = 0; r < plan.rounds; ++r) {
    Round round{std::vector<std::vector<std::uint32_t>>(cell.depth + 1), {}, {}};
    bool all_fit = true;
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const std::size_t slot = std::size_t{r} * plan.max_batch + request;
      all_fit = all_fit && fits(tokens[slot * columns]);
      round.accepted.push_back(accepted[(std::size_t{r} * plan.depth_count + depth_index) * plan.max_batch + request]);
      round.drafted.push_back(cell.depth);
      for (std::uint32_t column = 0; column <= cell.depth; ++column) {
        const bool resampled = plan.resample_rejected && column > round.accepted.back();
        round.tokens[column].push_back(resampled ? drawn[slot * columns + column] : tokens[slot * columns] + column);
      }
    }
    if (all_fit) rounds[r] = round;
  }
  return rounds;
}

/// Every start of one sequence as a round of its own that accepts nothing; lengths are looked at one by one.
Rounds enumerated_rounds(const Sequence& sequence, std::uint32_t depth) {
  Rounds rounds;
  for (std::uint32_t start = 0; start + depth < sequence.length; ++start) {
    rounds.emplace_back().emplace();
    rounds.back()->accepted = {0};
    for (std::uint32_t column = 0; column <= depth; ++column) {
      rounds.back()->tokens.push_back({sequence.first + start + column});
    }
  }
  return rounds;
}

}  // namespace

Rounds rounds_of(const RoutingTable& table, const Plan& plan, std::uint32_t cell_index, const TrajectoryId& id) {
  const PlanView view = plan.view();
  const Cell& cell = view.cells[cell_index];
  switch (plan.walk) {
    case Walk::episodes:
      return episode_rounds(view, cell, id);
    case Walk::replay:
      break;  // compared with recorded logs instead
    case Walk::samples:
      return sample_rounds(table, view, cell, cell_index % view.depth_count, id);
    case Walk::enumerate:
      break;
  }
  return enumerated_rounds(plan.entries[id.number], cell.depth);
}

}  // namespace moecarlo::testing
