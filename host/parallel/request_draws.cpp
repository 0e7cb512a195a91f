#include "host/parallel/request_draws.hpp"

#include <bit>

#include "host/support/error.hpp"

namespace moecarlo {

RequestDraws::RequestDraws(const RoutingTable& table, const Plan& plan, std::uint32_t seed, const RequestShape& shape)
    : table_(table),
      view_(plan.view()),
      seed_(seed),
      shape_(shape),
      unit_(shape.chunks ? shape.columns : 1),
      stride_(shape.chunks ? 1 : shape.columns) {
  const std::uint32_t populations = 1 + view_.groups.populations;
  for (std::uint32_t population = 0; population < populations; ++population) {
    const StartView all = view_.starts(view_.cells[0], population);
    std::vector<std::uint32_t>& places = cumulative_.emplace_back(1, 0);
    for (std::uint32_t entry = 0; entry < all.eligible && all.entries[entry].length >= shape.columns; ++entry) {
      places.push_back(places.back() + (all.entries[entry].length - shape.columns) / unit_ + 1);
    }
    if (places.size() == 1) {
      fail(ErrorKind::usage, "{}: no evaluation sequence has {} tokens, those of a request", table.info.path,
           shape.columns);
    }
  }
}

void RequestDraws::add(std::uint32_t token, std::vector<std::uint32_t>& loads) const {
  const std::uint64_t* mask = table_.masks.data() + std::size_t{token} * table_.layers * table_.words;
  std::uint32_t* of_layer = loads.data();
  for (std::uint32_t layer = 0; layer < table_.layers; ++layer, of_layer += table_.experts) {
    for (int word = 0; word < table_.words; ++word) {
      for (std::uint64_t rest = *mask++; rest != 0; rest &= rest - 1) ++of_layer[64 * word + std::countr_zero(rest)];
    }
  }
}

RequestDraws::Walk::Walk(const RequestDraws& draws, const TrajectoryId& id)
    : draws_(draws), id_(id), loads_(std::size_t{draws.table_.layers} * draws.table_.experts) {
  const std::uint32_t population = draws.view_.population_of(id.stream, id.number);
  starts_ = draws.view_.starts(draws.view_.cells[0], population);
  starts_.cumulative = draws.cumulative_[population].data();
  starts_.eligible = static_cast<std::uint32_t>(draws.cumulative_[population].size() - 1);
}

DrawAddress RequestDraws::Walk::address(std::uint64_t request) const {
  // The field that holds a request's number takes some turns, which are those of trajectories.
  const std::uint64_t turns = (draws_.shape_.requests >> DrawAddress::kRequestBits) + 1;
  DrawAddress at;
  at.seed = draws_.seed_;
  at.stream = id_.stream;
  at.trajectory = id_.number * turns + (request >> DrawAddress::kRequestBits);
  at.round = batch_;
  at.request = static_cast<std::uint32_t>(request & (DrawAddress::kRequests - 1));
  return at;
}

Place RequestDraws::Walk::drawn(std::uint64_t request) const {
  return draw_start(starts_, address(request), nullptr, 0, 1);
}

void RequestDraws::Walk::move_on(std::uint64_t request, Place& place) const {
  place.position += draws_.stride_;
  const std::uint32_t places = starts_.cumulative[place.entry + 1] - starts_.cumulative[place.entry];
  if (place.position >= places) place = draw_move(starts_, address(request), &place, 0, 1, place.position - places);
}

const std::vector<std::uint32_t>& RequestDraws::Walk::next() {
  const RequestShape& shape = draws_.shape_;
  std::fill(loads_.begin(), loads_.end(), 0);
  if (batch_ == 0) places_.resize(shape.requests);
  for (std::uint64_t request = 0; request < shape.requests; ++request) {
    Place& place = places_[request];
    if (batch_ == 0) {
      place = drawn(request);
    } else {
      move_on(request, place);
    }
    const std::uint32_t token = starts_.entries[place.entry].first + place.position * draws_.unit_;
    for (std::uint32_t column = 0; column < shape.columns; ++column) draws_.add(token + column, loads_);
  }
  ++batch_;
  return loads_;
}

}  // namespace moecarlo
