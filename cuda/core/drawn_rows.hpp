#pragma once

#include "cuda/core/perturb.hpp"

namespace moecarlo {

// The routing of a launch's paths, redrawn before it is replayed: as rows of masks in memory, one for each column of
// the path, request and layer. Rows need different numbers of draws, so that a thread that had rows of its own would
// wait for others; in memory any thread can draw any row, and in any order.

/// Divides by a number that is known before. Source: Granlund and Montgomery, PLDI 1994, section 4; one subtraction
/// more, and no number needs a 33rd bit.
struct Divisor {
  std::uint32_t by = 1;
  std::uint32_t factor = ~0U;  ///< 2^32 / by, rounded down; at most 2^32 - 1

  static Divisor of(std::uint32_t by) { return {by, static_cast<std::uint32_t>(((std::uint64_t{1} << 32) - 1) / by)}; }

  MOECARLO_HOST_DEVICE std::uint32_t quotient(std::uint32_t number) const {
    const auto below = static_cast<std::uint32_t>((std::uint64_t{number} * factor) >> 32);  // by one at most
    return below + (number - below * by >= by ? 1 : 0);
  }
};

/// What a row is drawn for.
struct RowPlace {
  std::uint32_t trajectory = 0;  ///< of the launch
  std::uint32_t pass = 0;
  std::uint32_t column = 0;
  std::uint32_t request = 0;
  std::uint32_t layer = 0;  ///< of the launch
};

/// Numbers of the path columns of a launch: trajectories, and in each passes, columns of the path, requests.
struct ColumnNumbers {
  Divisor trajectory;  ///< path columns of a trajectory, all requests
  Divisor pass;        ///< path columns of a pass, all requests
  Divisor batch;

  static ColumnNumbers of(std::uint32_t passes, std::uint32_t path_columns, std::uint32_t batch) {
    return {Divisor::of(passes * path_columns * batch), Divisor::of(path_columns * batch), Divisor::of(batch)};
  }

  MOECARLO_HOST_DEVICE RowPlace place(std::uint32_t number, std::uint32_t layer) const {
    RowPlace place;
    place.trajectory = trajectory.quotient(number);
    std::uint32_t rest = number - place.trajectory * trajectory.by;
    place.pass = pass.quotient(rest);
    rest -= place.pass * pass.by;
    place.column = batch.quotient(rest);
    place.request = rest - place.column * batch.by;
    place.layer = layer;
    return place;
  }
};

/// A path column among others that are sorted: by token.
struct TokenColumn {
  static constexpr int kTokenBits = 32;  ///< from this bit on

  MOECARLO_HOST_DEVICE static std::uint64_t of(std::uint32_t token, std::uint32_t number) {
    return std::uint64_t{token} << kTokenBits | number;
  }
  MOECARLO_HOST_DEVICE static std::uint32_t token(std::uint64_t column) {
    return static_cast<std::uint32_t>(column >> kTokenBits);
  }
  MOECARLO_HOST_DEVICE static std::uint32_t number(std::uint64_t column) { return static_cast<std::uint32_t>(column); }
};

/// All that the rows of a launch are drawn from, and where they go. Rows, masks and rows of tables have 32-bit numbers.
///
/// Rows go layer by layer, and in each through the path columns in the order of their tokens: those that a warp draws
/// at a time need the same tables, which are then read from memory once for all of them.
struct DrawnRows {
  PerturbView perturb;
  PhiloxKeys keys;                             ///< of the seed and stream that the rows are drawn with
  std::uint64_t first = 0;                     ///< trajectory
  std::uint32_t first_layer = 0;               ///< of the launch
  std::uint32_t tokens = 0;                    ///< the trace's; a column that was never drafted has this number
  std::uint32_t columns = 0;                   ///< of a pass, siblings included: their rows lie between
  std::uint32_t slots = 0;                     ///< passes x columns x batch
  const std::uint32_t* path_tokens = nullptr;  ///< of a trajectory, [passes][columns][batch]
  std::size_t path_stride = 0;                 ///< from one trajectory's to the next one's, in tokens
  std::uint64_t* masks = nullptr;              ///< [trajectories][passes][columns][batch][layers][words of a mask]
  std::uint32_t layers = 0;                    ///< of the launch
  ColumnNumbers numbers;
  Divisor path_columns;                     ///< of the launch, all requests
  const std::uint64_t* in_order = nullptr;  ///< [path_columns] of TokenColumn, ascending
  std::uint32_t* taken = nullptr;  ///< rows that somebody draws already: none at first, more than there are at last

  MOECARLO_HOST_DEVICE std::uint32_t count() const { return path_columns.by * layers; }

  /// Columns of all requests before this one, in its trajectory.
  MOECARLO_HOST_DEVICE std::uint32_t slot(const RowPlace& place) const {
    return (place.pass * columns + place.column) * numbers.batch.by + place.request;
  }
  /// What the path column of this number is to be sorted as.
  MOECARLO_HOST_DEVICE std::uint64_t token_column(std::uint32_t number) const {
    const RowPlace place = numbers.place(number, 0);
    return TokenColumn::of(path_tokens[place.trajectory * path_stride + slot(place)], number);
  }
  /// Where the row goes, a number of masks.
  MOECARLO_HOST_DEVICE std::uint32_t mask(const RowPlace& place) const {
    return (place.trajectory * slots + slot(place)) * layers + place.layer;
  }
  /// Block q of the draws of a row.
  MOECARLO_HOST_DEVICE RandomBlock block(const RowPlace& place, Purpose purpose, std::uint32_t q) const {
    DrawAddress at;
    at.trajectory = first + place.trajectory;
    at.round = place.pass;
    at.request = place.request;
    at.purpose = purpose;
    at.column = place.column;
    at.layer = first_layer + place.layer;
    return at.block(q, keys);
  }
  /// The row of a token in the tables of `perturb`.
  MOECARLO_HOST_DEVICE std::uint32_t table_row(const RowPlace& place, std::uint32_t of_token) const {
    return of_token * perturb.layers + first_layer + place.layer;
  }
};

}  // namespace moecarlo
