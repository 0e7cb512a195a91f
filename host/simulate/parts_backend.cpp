#include "host/simulate/parts_backend.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace moecarlo {
namespace {

class PartsBackend final : public Backend {
 public:
  PartsBackend(std::unique_ptr<Backend> shared, std::unique_ptr<Backend> apart, std::vector<std::uint32_t> cells_apart)
      : shared_(std::move(shared)), apart_(std::move(apart)), cells_apart_(std::move(cells_apart)) {}

  std::string name() const override { return shared_->name(); }

  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
           const std::function<bool()>& stop) override {
    if (range.cell == TrajectoryRange::kAllCells && !shared_->run(range, counters, stop)) return false;
    return std::all_of(cells_apart_.begin(), cells_apart_.end(), [&](std::uint32_t cell) {
      return !range.has(cell) || apart_->run({range.stream, range.first, range.last, cell}, counters, stop);
    });
  }

 private:
  std::unique_ptr<Backend> shared_, apart_;
  std::vector<std::uint32_t> cells_apart_;
};

}  // namespace

std::unique_ptr<Backend> in_parts(const Plan& plan,
                                  const std::function<std::unique_ptr<Backend>(const PlanView&)>& make) {
  std::vector<std::uint32_t> cells_apart = plan.cells_apart();
  auto shared = make(plan.view());
  if (cells_apart.empty()) return shared;
  return std::make_unique<PartsBackend>(std::move(shared), make(plan.view_apart()), std::move(cells_apart));
}

}  // namespace moecarlo
