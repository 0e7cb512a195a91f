#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace moecarlo {

/// Takes a text from front to back, a piece at a time.
using TextSink = std::function<void(std::string_view)>;

/// A text that goes to a sink whenever it has grown to a piece, so that one of many megabytes is never whole in memory.
class PiecedText {
 public:
  explicit PiecedText(TextSink sink) : sink_(std::move(sink)) { text_.reserve(2 * kPiece); }

  std::string& text() { return text_; }  ///< what has not been handed on; append to it

  /// Call it where nothing looks back at what was appended before.
  void hand_on() {
    if (text_.size() >= kPiece) finish();
  }
  void finish() {
    sink_(text_);
    text_.clear();
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 18;

  TextSink sink_;
  std::string text_;
};

/// The whole of what `write(sink)` hands to a sink.
template <class Write>
std::string collected(const Write& write) {
  std::string whole;
  write([&](std::string_view piece) { whole += piece; });
  return whole;
}

}  // namespace moecarlo
