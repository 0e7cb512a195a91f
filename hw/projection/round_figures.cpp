#include "hw/projection/round_figures.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

/// Names in the order in which they are asked for; a name that is known keeps its place.
class NameList {
 public:
  std::size_t place(const std::string& name) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found != names_.end()) return static_cast<std::size_t>(found - names_.begin());
    names_.push_back(name);
    return names_.size() - 1;
  }
  const Breakdown::Names& names() const { return names_; }

 private:
  Breakdown::Names names_;
};

bool takes_time(const Resource& resource) {
  return resource.seconds_per > 0;
}

}  // namespace

RoundFigures::Layout RoundFigures::make_layout(const PartTotals& parts) const {
  NameList list;
  Layout layout;
  layout.parts.resize(kRoundParts);
  const std::vector<Resource>& resources = system_.resources;
  parts.for_each([&](RoundPart part, const Done&) {
    const std::string name(name_of(part));
    Layout::OfPart& own = layout.parts[static_cast<std::size_t>(part)];
    own.seconds = list.place(name);
    own.operations = list.place("operations." + name);
    own.bytes_read = list.place("bytes_read." + name);
    for (const Resource& resource : resources)
      own.resources.push_back(takes_time(resource) ? list.place(name + "." + resource.name) : 0);
  });
  for (const Resource& resource : resources) {
    layout.energy.push_back(list.place("energy." + resource.energy));
    layout.bytes.push_back(resource.kind == ResourceKind::unit ? 0 : list.place("bytes." + resource.name));
  }
  layout.static_energy = list.place("energy.static");
  layout.joules = list.place("joules");
  layout.seconds = list.place("seconds");
  layout.at_means = list.place("seconds_at_means");
  layout.tokens = list.place("tokens");

  // From places in the list to places among the sorted names.
  Breakdown::Names sorted = list.names();
  std::sort(sorted.begin(), sorted.end());
  const auto settle = [&](std::size_t& place) {
    const auto found = std::lower_bound(sorted.begin(), sorted.end(), list.names()[place]);
    place = static_cast<std::size_t>(found - sorted.begin());
  };
  for (Layout::OfPart& own : layout.parts) {
    settle(own.seconds);
    settle(own.operations);
    settle(own.bytes_read);
    for (std::size_t& place : own.resources) settle(place);
  }
  for (std::size_t& place : layout.energy) settle(place);
  for (std::size_t& place : layout.bytes) settle(place);
  for (std::size_t* place :
       {&layout.static_energy, &layout.joules, &layout.seconds, &layout.at_means, &layout.tokens}) {
    settle(*place);
  }
  layout.names = std::make_shared<const Breakdown::Names>(std::move(sorted));
  return layout;
}

Breakdown RoundFigures::describe(const PartTotals& parts, double rounds, double tokens, double seconds_at_means) {
  const auto [known, is_new] = layouts_.try_emplace(parts.planned());
  if (is_new) known->second = make_layout(parts);
  const Layout& layout = known->second;
  const std::vector<Resource>& resources = system_.resources;
  std::vector<double> values(layout.names->size(), 0.0);
  Done all;
  parts.for_each([&](RoundPart part, const Done& total) {
    const Layout::OfPart& own = layout.parts[static_cast<std::size_t>(part)];
    const Work work = (1 / rounds) * total.work;
    values[own.seconds] = total.seconds / rounds;
    values[own.operations] = operations_of(system_, work);
    values[own.bytes_read] = bytes_read(system_, work);
    // The seconds that resources of one name would need for the part, whatever else is done.
    for (std::size_t r = 0; r < resources.size(); ++r) {
      double& seconds = values[own.resources[r]];
      if (takes_time(resources[r])) seconds = std::max(seconds, resource_seconds(system_, work, r));
    }
    all.seconds += total.seconds;
    all.work += total.work;
  });
  const Work work = (1 / rounds) * all.work;
  const double seconds = all.seconds / rounds;
  for (std::size_t r = 0; r < resources.size(); ++r) {
    values[layout.energy[r]] += work.amount(r) * resources[r].joules_per;
    if (resources[r].kind != ResourceKind::unit) values[layout.bytes[r]] += work.amount(r);
  }
  values[layout.static_energy] = system_.watts() * seconds;
  values[layout.joules] = joules_of(system_, work, seconds);
  values[layout.seconds] = seconds;
  values[layout.at_means] = seconds_at_means;
  values[layout.tokens] = tokens / rounds;
  return {layout.names, std::move(values)};
}

}  // namespace moecarlo::hw
