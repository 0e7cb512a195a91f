#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/oracle/pass.hpp"
#include "tests/oracle/simulate.hpp"

namespace moecarlo::oracle {

/// What the columns of a pass ask of memory, by the rule of a design point, which its label names: "threshold(0.05)".
class Demander {
 public:
  Demander(const RankedTrace& trace, const Study& study, const std::string& label);

  /// Path probabilities of a request's columns, whose draft begins at `token`. odds(i): that draft position i is
  /// accepted, given those before it.
  void trust(Pass& pass, int request, int token, int depth, const std::function<double(int position)>& odds) const;

  /// What each column uses of each layer, all path probabilities known.
  void ask(Pass& pass) const;

  bool is(const std::string& rule) const { return rule_ == rule; }

  /// The least product of gate and magnitude of a channel that is loaded; none where all are.
  std::optional<double> least_channel() const;

  /// Whether a column has a say in which channels are loaded.
  bool chooses_channels(const Pass& pass, const Column& column) const;

  /// The choice with the largest gate, the most popular one of several.
  static int first_choice(const std::map<int, int>& gates);

  /// Whether residents matter: each layer then has to be asked anew when they are known.
  bool reads_residents() const { return says("keep_hits") || says("miss_rate"); }
  void ask_layer(Pass& pass, int layer, const ObjectSet& residents) const;

  /// What a pass asked for in a layer, and the end of the pass: a rule that aims at a miss rate goes by them.
  void hear(const ObjectSet& asked, const ObjectSet& residents);
  void end_pass();

 private:
  void threshold(std::vector<Column*>& columns, int layer) const;
  void budget(std::vector<Column*>& columns, int layer, const ObjectSet& residents) const;
  void half(Column& column, int layer) const;
  void salient(std::vector<Column*>& columns, int layer) const;
  void slices(Column& column, int layer) const;
  void top_p(Column& column, int layer) const;
  void find_threshold();
  std::int64_t least_gate() const;
  double after(const std::string& word) const;
  std::int64_t importance_of(const std::map<int, int>& gates, int confidence) const;
  bool is_important(std::int64_t measure) const;
  ObjectSet objects_of(const Experts& experts) const;
  bool says(const std::string& word) const;

  const RankedTrace& trace_;
  const Study& study_;
  std::string rule_;                     ///< "threshold"
  std::vector<std::string> words_;       ///< what stands in its brackets
  std::int64_t threshold_ = 0;           ///< half: of what importance_of looks at; slices: the least gate
  std::int64_t asked_ = 0, missed_ = 0;  ///< of late, in 1/256 of an object
};

}  // namespace moecarlo::oracle
