#pragma once

#include <vector>

#include "tests/oracle/drafter.hpp"

namespace moecarlo::oracle {

/// What a cache slot holds, in one layer: the experts themselves, or with slices the upper slice of each expert under
/// its own number and the lower one `experts` further.
using ObjectSet = std::set<int>;

/// One column of a verify pass: a token of one request.
struct Column {
  int request = 0;
  int number = 0;        ///< among the columns of its request: 0 .. depth the path, then siblings
  int level = 0;         ///< tokens between it and the last emitted one
  bool sibling = false;  ///< of a tree; the others are the path that acceptance follows
  bool verified = true;  ///< a tree drafts siblings that are not verified
  bool accepted = false;
  bool drafts = false;                   ///< draft step `level` was made from here
  int token = -1;                        ///< of the trace, that it routes like; -1: it is not known to any
  std::vector<Experts> chosen;           ///< [layers]
  std::vector<std::map<int, int>> gate;  ///< [layers] of each choice, where gates are known
  std::vector<std::map<int, int>> of;    ///< [layers] the token that each choice is from, where gates are known
  int confidence = 65535;                ///< path probability, of 65535
  std::vector<ObjectSet> used;           ///< [layers] what it asks of memory
};

/// One verify pass of a batch: its columns in the order in which a cache touches them, first column 0 of each request.
struct Pass {
  std::vector<Column> columns;
  std::vector<Draft> drafts;  ///< [batch]
};

/// Makes the columns of passes from where requests stand and what was drafted.
class PassBuilder {
 public:
  PassBuilder(const RankedTrace& trace, const Study& study, int depth, Random& random);

  /// Adds a request, its columns 0 .. drafted and their siblings, to a pass that `finish` then puts in order.
  void add(Pass& pass, int token, const Draft& draft) const;
  void finish(Pass& pass) const;

 private:
  std::vector<Experts> routing(int token) const;
  bool knows_gates() const { return !trace_.mass.empty() && study_.mode != Mode::perturbed; }
  std::vector<Experts> redrawn(int token) const;
  void take_sibling(Column& column, int other) const;

  const RankedTrace& trace_;
  const Study& study_;
  int depth_;
  Random& random_;
};

}  // namespace moecarlo::oracle
