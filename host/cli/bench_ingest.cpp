#include "host/cli/bench_ingest.hpp"
#include "host/cli/terminal.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cuda/device_ranker.hpp"
#include "cuda/device_selector.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// Bytes per second of body(), which handles `bytes`, repeated until `seconds` are over; the first call warms up.
template <class Body>
double bytes_rate(double bytes, double seconds, const Body& body) {
  body();
  const auto start = Clock::now();
  double done = 0, took = 0;
  do {
    body();
    done += bytes;
    took = std::chrono::duration<double>(Clock::now() - start).count();
  } while (took < seconds);
  return done / took;
}

/// Eight pieces a call, two of them under way at any time.
double selection_rate(ExpertSelector& selector, const StoredLogits& logits, double seconds) {
  constexpr int kPieces = 8;
  const std::uint64_t tokens = (std::uint64_t{32} << 20) / logits.token_bytes();
  std::vector<std::uint16_t> ids(tokens * logits.layers * logits.rule.top_k);
  for (int i = 0; i < 2; ++i) {
    std::memset(selector.room(tokens), 0x3c, tokens * logits.token_bytes());
    selector.begin();
    selector.finish(ids);
  }
  return bytes_rate(static_cast<double>(kPieces * tokens * logits.token_bytes()), seconds, [&] {
    for (int i = 0; i < kPieces; ++i) {
      selector.room(tokens);
      selector.begin();
      if (i > 0) selector.finish(ids);
    }
    selector.finish(ids);
  });
}

double table_rate(const BenchTrace& logits, const TableOptions& options, double bytes, double seconds) {
  return bytes_rate(bytes, seconds, [&] { build_routing_table(logits.path(), options); });
}

}  // namespace

IngestRate measure_host_ingest(const BenchTrace& logits, double seconds) {
  const TraceReader reader(logits.path());
  const double bytes = static_cast<double>(reader.info().tokens * reader.stored_logits().token_bytes());
  TableOptions options;
  options.calibration_share.reset();
  return {"file to table, all threads", table_rate(logits, options, bytes, seconds), {}};
}

void measure_device_ingest(const BenchTrace& logits, int device, double copy_limit, double seconds,
                           std::vector<IngestRate>& rates) {
  const TraceReader reader(logits.path());
  const StoredLogits stored = reader.stored_logits();
  const double bytes = static_cast<double>(reader.info().tokens * stored.token_bytes());
  const std::unique_ptr<TableRanker> ranker = make_device_ranker(device);
  TableOptions options;
  options.calibration_share.reset();
  options.ranker = ranker.get();
  options.make_selector = [&](const StoredLogits& kind) { return make_device_selector(kind, device); };
  const double table = table_rate(logits, options, bytes, seconds);
  const auto selector = make_device_selector(stored, device);
  const double selected = selection_rate(*selector, stored, seconds);
  rates.push_back({"file to table, cuda", table, table / copy_limit});
  rates.push_back({"logits in memory to experts, cuda", selected, selected / copy_limit});
}

nlohmann::ordered_json to_json(const std::vector<IngestRate>& rates) {
  auto list = nlohmann::ordered_json::array();
  for (const IngestRate& rate : rates) {
    list.push_back({{"name", rate.name},
                    {"bytes_per_second", rate.bytes_per_second},
                    {"share_of_limit", rate.share_of_limit ? nlohmann::ordered_json(*rate.share_of_limit) : nullptr}});
  }
  return list;
}

void print(const std::vector<IngestRate>& rates) {
  say("\n{:<48} {:>14} {:>15}\n", "router logits", "GB/s", "share of limit");
  for (const IngestRate& rate : rates) {
    say("{:<48} {:>14.2f} {:>15}\n", rate.name, rate.bytes_per_second / 1e9,
        rate.share_of_limit ? fmt::format("{:.1f}%", 100 * *rate.share_of_limit) : "");
  }
}

}  // namespace moecarlo::cli
