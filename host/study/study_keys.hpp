#pragma once

#include <string>
#include <vector>

namespace moecarlo {

/// A key of a study file as reference pages state it. What parse_study.cpp asks for and what stands here are the same
/// keys; a test holds that.
struct StudyKey {
  std::string table, key;
  std::string type;     ///< a word of TOML, or the words that it may be
  std::string initial;  ///< the value where it is not given; "required", or "none"
  std::string unit;     ///< empty where it has none
  std::string meaning;
};

/// In the order in which a study is written.
std::vector<StudyKey> study_keys();

}  // namespace moecarlo
