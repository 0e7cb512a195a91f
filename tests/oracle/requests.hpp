#pragma once

#include <vector>

#include "tests/oracle/random.hpp"
#include "tests/oracle/trace.hpp"

namespace moecarlo::oracle {

/// The requests of a batch on their way through the trace.
///
/// A sequence of n tokens has n - depth eligible starts. The requests stand on different sequences where there are
/// twice as many with an eligible start as requests; a sequence that stands twice in `sequences` is two.
class Requests {
 public:
  Requests(const Trace& trace, const std::vector<int>& sequences, int batch, int depth);

  /// Each at a uniform eligible start.
  void begin(Random& random);
  /// One request goes on by so many tokens. Behind the last eligible start of a sequence lies the first token of
  /// another one, drawn uniformly: requests walk along an endless row of sequences.
  void advance(int request, int tokens, Random& random);

  int sequence(int request) const { return sequences_[places_[request].entry]; }
  int token(int request) const { return trace_.first(sequence(request)) + places_[request].position; }

 private:
  struct Place {
    int entry = -1, position = 0;
  };
  int starts(int entry) const { return trace_.lengths[sequences_[entry]] - depth_; }
  bool is_taken(int entry, int self) const;

  const Trace& trace_;
  std::vector<int> sequences_;  // with an eligible start
  int depth_;
  bool apart_;
  std::vector<Place> places_;
};

/// The tokens at which a batch stands that begins anew in every round: each request at a uniform token of all
/// sequences. Where there are 2 (r + 1) sequences, request r keeps apart from those before it, so that a smaller batch
/// is the beginning of a larger one.
std::vector<int> fresh_tokens(const Trace& trace, const std::vector<int>& sequences, int batch, Random& random);

}  // namespace moecarlo::oracle
