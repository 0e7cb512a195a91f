#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moecarlo {

/// Numbers and texts in the order in which they were put, for one process to send and another to take. Taking what is
/// not there throws std::out_of_range: the sender may have been led astray by the file that it reads.
class Message {
 public:
  Message() = default;
  explicit Message(std::string bytes) : bytes_(std::move(bytes)) {}

  Message& put(std::uint64_t number);
  Message& put(std::string_view text);

  std::uint64_t take_number();
  std::string take_text();

  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::size_t taken_ = 0;
};

/// Sends a message whole; false if nobody is there to read it.
bool send(int socket, const Message& message);

/// Waits for a message whole. False at the end of the stream, and for one of more than `most_bytes`.
bool receive(int socket, Message& message, std::uint64_t most_bytes);

}  // namespace moecarlo
