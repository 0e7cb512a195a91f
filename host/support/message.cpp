#include "host/support/message.hpp"

#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace moecarlo {
namespace {

bool send_bytes(int socket, const char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = ::send(socket, bytes, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool receive_bytes(int socket, char* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t received = ::recv(socket, bytes, size, 0);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    bytes += received;
    size -= static_cast<std::size_t>(received);
  }
  return true;
}

}  // namespace

Message& Message::put(std::uint64_t number) {
  bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
  return *this;
}

Message& Message::put(std::string_view text) {
  put(text.size());
  bytes_ += text;
  return *this;
}

std::uint64_t Message::take_number() {
  std::uint64_t number = 0;
  if (bytes_.size() - taken_ < sizeof number) throw std::out_of_range("message too short");
  std::memcpy(&number, bytes_.data() + taken_, sizeof number);
  taken_ += sizeof number;
  return number;
}

std::string Message::take_text() {
  const std::uint64_t size = take_number();
  if (size > bytes_.size() - taken_) throw std::out_of_range("message too short");
  std::string text = bytes_.substr(taken_, size);
  taken_ += size;
  return text;
}

bool send(int socket, const Message& message) {
  Message framed;
  framed.put(message.bytes());
  return send_bytes(socket, framed.bytes().data(), framed.bytes().size());
}

bool receive(int socket, Message& message, std::uint64_t most_bytes) {
  std::uint64_t size = 0;
  if (!receive_bytes(socket, reinterpret_cast<char*>(&size), sizeof size) || size > most_bytes) return false;
  std::string bytes(size, '\0');
  if (!receive_bytes(socket, bytes.data(), bytes.size())) return false;
  message = Message(std::move(bytes));
  return true;
}

}  // namespace moecarlo
