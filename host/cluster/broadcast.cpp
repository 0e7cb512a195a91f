#include "host/cluster/broadcast.hpp"

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace moecarlo {
namespace {

/// Sends an object part by part. A struct names its parts in `parts_of` below; one that is forgotten there does not
/// compile.
class Sender {
 public:
  explicit Sender(Communicator& all) : all_(all) {}

  template <class... Parts>
  void operator()(Parts&... parts) {
    (send(parts), ...);
  }

 private:
  template <class T>
  void send(T& part) {
    if constexpr (std::is_trivially_copyable_v<T>) {
      all_.broadcast(std::as_writable_bytes(std::span(&part, 1)));
    } else {
      parts_of(part, *this);
    }
  }
  void send(std::string& text) {
    resize(text);
    all_.broadcast(std::as_writable_bytes(std::span(text)));
  }
  template <class T>
  void send(std::vector<T>& items) {
    resize(items);
    if constexpr (std::is_trivially_copyable_v<T>) {
      all_.broadcast(std::as_writable_bytes(std::span(items)));
    } else {
      for (T& item : items) send(item);
    }
  }
  template <class T>
  void send(std::optional<T>& maybe) {
    bool is_there = maybe.has_value();
    send(is_there);
    if (is_there && !maybe) maybe.emplace();
    if (maybe) send(*maybe);
  }
  template <class Container>
  void resize(Container& container) {
    std::uint64_t size = container.size();
    send(size);
    container.resize(size);
  }

  Communicator& all_;
};

void parts_of(TraceInfo& info, Sender& send) {
  auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = info;
  send(a, b, c, d, e, f, g, h, i, j, k, l, m);
}
void parts_of(CalibrationSplit& split, Sender& send) {
  auto& [a, b] = split;
  send(a, b);
}
void parts_of(RoutingTable& table, Sender& send) {
  auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = table;
  send(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
}
void parts_of(ChannelMagnitudes& magnitudes, Sender& send) {
  auto& [a, b, c] = magnitudes;
  send(a, b, c);
}
void parts_of(CapturedAcceptance& captured, Sender& send) {
  auto& [a, b, c, d] = captured;
  send(a, b, c, d);
}
void parts_of(PerturbedTables& tables, Sender& send) {
  auto& [a, b, c, d, e, f, g] = tables;
  send(a, b, c, d, e, f, g);
}
void parts_of(TraceSources& sources, Sender& send) {
  auto& [a, b, c, d, e, f, g, h, i, j, k, l] = sources;
  send(a, b, c, d, e, f, g, h, i, j, k, l);
}

}  // namespace

void broadcast(Communicator& all, RoutingTable& table, TraceSources& sources) {
  Sender send(all);
  send(table, sources);
}

}  // namespace moecarlo
