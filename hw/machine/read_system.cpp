#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "host/support/error.hpp"
#include "host/support/nearest_name.hpp"
#include "hw/machine/system.hpp"

namespace moecarlo::hw {
namespace {

constexpr const char* kFirstUnit = "compute";  // what the figures of every system's first unit are called

Standing standing_of(const std::string& status) {
  if (status == "published" || status == "measured") return Standing::published;
  return status == "assumed" ? Standing::assumed : Standing::derived;
}

/// Builds a system from the tables of its preset.
class SystemReader {
 public:
  explicit SystemReader(Preset preset) : reader_(system_.preset) {
    system_.preset = std::move(preset);
    system_.name = system_.preset.name;
  }

  System read() {
    read_devices();
    const std::vector<std::string> stores = reader_.texts("system.tiers");
    unit_names_ = reader_.texts("system.units");
    for (const std::string& name : stores) tier_names_.push_back(name);
    // Links first need the units' elements, units the links' places: names first, then what stands behind them.
    for (const std::string& name : unit_names_) add_unit(name);
    for (std::size_t tier = 0; tier < stores.size(); ++tier) add_store(stores[tier], tier);
    for (const std::string& name : reader_.tables_with("kind", "link")) add_link(name);
    if (reader_.has_setting("drafting.unit")) read_draft_device();
    for (std::size_t unit = 0; unit < unit_names_.size(); ++unit) connect_unit(unit);
    read_misses();
    check_middle_tiers();
    read_prefetch();
    read_overheads();
    read_static();
    connect_devices();
    if (reader_.has_setting("system.verify_reads")) read_verify_reads();
    if (reader_.has_setting("system.dense_weights")) read_dense_weights();
    reader_.finish();
    return std::move(system_);
  }

 private:
  std::uint8_t add(const Resource& resource) {
    if (system_.resources.size() == kMostResources)
      fail(ErrorKind::usage, "{}: too many resources (expected at most {})", system_.preset.file, kMostResources);
    system_.resources.push_back(resource);
    return static_cast<std::uint8_t>(system_.resources.size() - 1);
  }

  static std::string key(const std::string& table, std::string_view name) { return fmt::format("{}.{}", table, name); }

  void expect_kind(const std::string& table, std::string_view kind) {
    if (reader_.text(key(table, "kind")) != kind) reader_.refuse_setting(key(table, "kind"), kind);
  }

  double optional(const std::string& table, std::string_view name, std::string_view unit) {
    return reader_.has(key(table, name)) ? reader_.not_negative(key(table, name), unit) : 0;
  }

  /// Bytes a second that all devices together achieve.
  double bandwidth(const std::string& table) {
    const double peak = reader_.positive(key(table, "bandwidth"), "GB/s");
    return system_.devices.count * peak * reader_.share(key(table, "efficiency"));
  }

  /// The energy of a byte: one row for either direction, or one for each.
  void set_energy(Resource& resource, const std::string& table, std::string_view direction) {
    const std::string both = key(table, "energy");
    const std::string own = reader_.has(both) ? both : key(table, direction);
    resource.joules_per = reader_.not_negative(own, "pJ/bit");
    resource.energy_standing = standing_of(reader_.status(own));
  }

  void read_devices() {
    if (!reader_.has_table("devices")) return;
    system_.devices.count = reader_.count("devices.count");
    all_reduce_ = reader_.text("devices.all_reduce");
  }

  void connect_devices() {
    if (!all_reduce_) return;
    Devices& devices = system_.devices;
    devices.link = devices.far_link = link_named("devices.all_reduce", *all_reduce_);
    if (reader_.has_setting("devices.far")) {
      devices.far_link = link_named("devices.far", reader_.text("devices.far"));
    }
    if (reader_.has_setting("devices.topology")) devices.topology = reader_.text("devices.topology");
  }

  void add_unit(const std::string& name) {
    expect_kind(name, "unit");
    Unit unit;
    unit.name = name;
    const bool first = system_.units.empty();
    unit.bits_per_pass = reader_.has(key(name, "bits_per_pass")) || first
                             ? reader_.positive(key(name, "bits_per_pass"), "bit")
                             : system_.units.front().bits_per_pass;
    unit.decode = optional(name, "decode", "count");
    Resource resource;
    resource.table = name;
    resource.name = first ? kFirstUnit : name;
    resource.energy = kFirstUnit;
    resource.kind = ResourceKind::unit;
    double rate = 0;
    if (reader_.has(key(name, "throughput"))) {  // of 8-bit weights, which may take more than one pass
      rate = reader_.positive(key(name, "throughput"), "TOPS") * unit.passes(8);
      if (reader_.has(key(name, "efficiency")) && !has_own_view(name)) rate *= reader_.share(key(name, "efficiency"));
    } else {
      unit.elements = reader_.positive(key(name, "processing_elements"), "count");
      rate = 2 * unit.elements * reader_.positive(key(name, "macs_per_element"), "count") *
             reader_.positive(key(name, "clock"), "GHz");
    }
    resource.seconds_per = 1 / (system_.devices.count * rate);
    resource.joules_per = reader_.not_negative(key(name, "energy"), "pJ/op");
    resource.energy_standing = standing_of(reader_.status(key(name, "energy")));
    unit.operations = add(resource);
    system_.units.push_back(unit);
  }

  Resource store_resource(const std::string& name) {
    expect_kind(name, "store");
    Resource resource;
    resource.table = resource.name = resource.energy = name;
    resource.kind = ResourceKind::store;
    resource.seconds_per = 1 / bandwidth(name);
    resource.message_seconds = optional(name, "latency", "us");
    resource.page_bytes = optional(name, "page", "KiB");
    set_energy(resource, name, "read_energy");
    return resource;
  }

  /// Its unit is one of the system's, its store none of the tiers.
  void read_draft_device() {
    DraftDevice device;
    device.unit = unit_named("drafting.unit", reader_.text("drafting.unit"));
    if (device.unit == 0) reader_.refuse_setting("drafting.unit", "another than the first unit, which verifies");
    const std::string store = reader_.text("drafting.store");
    device.capacity_bytes = reader_.positive(key(store, "capacity"), "GB");
    device.store = add(store_resource(store));
    device.link = link_named("drafting.link", reader_.text("drafting.link"));
    device.prefix = reader_.share("drafting.prefix");
    device.reuse = reader_.share_or_none("drafting.reuse");
    if (device.prefix == 1 && device.reuse < 1)
      fail(ErrorKind::usage,
           "{}: drafting.reuse: nothing is drafted beside a verification (expected 1 where prefix is 1)",
           system_.preset.file);
    system_.draft_device = device;
  }

  void add_store(const std::string& name, std::size_t number) {
    Resource resource = store_resource(name);
    Tier tier;
    tier.name = name;
    tier.capacity_bytes = system_.devices.count * reader_.positive(key(name, "capacity"), "GB");
    if (reader_.has_setting(key(name, "coupled"))) couple(resource, name);
    tier.read = add(resource);
    if (number + 1 < tier_names_.size()) {  // whatever is written into the last tier was there before
      Resource written;
      written.table = name;
      written.name = name + "_written";
      written.energy = name;
      written.kind = ResourceKind::store;
      set_energy(written, name, "write_energy");
      tier.written = add(written);
    }
    system_.tiers.push_back(tier);
  }

  void couple(Resource& resource, const std::string& store) {
    if (system_.groups() > 1)
      fail(ErrorKind::usage, "{}: {}.coupled: a second coupled store (expected one)", system_.preset.file, store);
    const Unit& unit = system_.units[unit_named(key(store, "coupled"), reader_.text(key(store, "coupled")))];
    const double elements = reader_.positive(key(store, "elements_per_expert"), "count");
    resource.groups = std::max(1.0, std::floor(unit.elements / elements));
  }

  void add_link(const std::string& name) {
    expect_kind(name, "link");
    Resource resource;
    resource.table = name;
    resource.name = reader_.has_setting(key(name, "figure")) ? reader_.text(key(name, "figure")) : name;
    resource.energy = "communication";
    resource.kind = ResourceKind::link;
    double rate = bandwidth(name);
    if (reader_.has_setting(key(name, "lanes")))  // bandwidth is that of one element of a unit
      rate *= system_.units[unit_named(key(name, "lanes"), reader_.text(key(name, "lanes")))].elements;
    resource.seconds_per = 1 / rate;
    resource.message_seconds = optional(name, "latency", "us") + optional("overhead", "message", "us");
    resource.page_bytes = optional(name, "page", "KiB");
    set_energy(resource, name, "energy");
    link_names_.push_back(name);
    links_.push_back(add(resource));
  }

  std::size_t tier_named(const std::string& where, const std::string& name) {
    const auto found = std::find(tier_names_.begin(), tier_names_.end(), name);
    if (found == tier_names_.end())
      reader_.refuse_setting(where, fmt::format("one of the tiers {}", fmt::join(tier_names_, ", ")));
    return static_cast<std::size_t>(found - tier_names_.begin());
  }

  std::uint8_t unit_named(const std::string& where, const std::string& name) {
    const auto found = std::find(unit_names_.begin(), unit_names_.end(), name);
    if (found == unit_names_.end())
      reader_.refuse_setting(where, fmt::format("one of the units {}", fmt::join(unit_names_, ", ")));
    return static_cast<std::uint8_t>(found - unit_names_.begin());
  }

  std::uint8_t link_named(const std::string& where, const std::string& name) {
    const auto found = std::find(link_names_.begin(), link_names_.end(), name);
    if (found == link_names_.end())
      reader_.refuse_setting(where, fmt::format("one of the links {}", fmt::join(link_names_, ", ")));
    return links_[static_cast<std::size_t>(found - link_names_.begin())];
  }

  bool has_own_view(const std::string& name) const { return reader_.has(key(name, "bandwidth")); }

  /// "hb", or "ext via streamline": what a unit reads of a tier crosses these.
  void connect_unit(std::size_t number) {
    Unit& unit = system_.units[number];
    unit.paths.resize(system_.tiers.size());
    if (system_.draft_device && system_.draft_device->unit == number) return;  // sees its own store alone
    const std::string sees = key(unit.name, "sees");
    std::optional<std::size_t> seen;
    for (const std::string& path : reader_.texts(sees)) {
      std::istringstream words(path);
      std::string store, via, link;
      words >> store >> via >> link;
      const std::size_t tier = tier_named(sees, store);
      unit.paths[tier] = {system_.tiers[tier].read};
      seen = tier;
      if (via.empty()) continue;
      if (via != "via" || link.empty() || !words.eof()) reader_.refuse_setting(sees, "\"STORE\" or \"STORE via LINK\"");
      unit.paths[tier].push_back(link_named(sees, link));
    }
    if (has_own_view(unit.name)) unit.paths[seen.value()] = {add_view(unit, *seen)};
    if (reader_.has_setting(key(unit.name, "broadcast")))
      unit.broadcast = link_named(key(unit.name, "broadcast"), reader_.text(key(unit.name, "broadcast")));
    if (reader_.has_setting(key(unit.name, "collect"))) {
      unit.collect = link_named(key(unit.name, "collect"), reader_.text(key(unit.name, "collect")));
      unit.output_bytes = reader_.positive(key(unit.name, "output_size"), "B");
    }
    if (reader_.has_setting(key(unit.name, "helps"))) add_helper(number);
  }

  /// A store at a rate and an energy of the unit's own.
  std::uint8_t add_view(const Unit& unit, std::size_t tier) {
    Resource view;
    view.table = view.name = unit.name;
    view.energy = system_.tiers[tier].name;
    view.kind = ResourceKind::store;
    view.seconds_per = 1 / bandwidth(unit.name);
    view.joules_per = reader_.not_negative(key(unit.name, "read_energy"), "pJ/bit");
    view.energy_standing = standing_of(reader_.status(key(unit.name, "read_energy")));
    return add(view);
  }

  void add_helper(std::size_t number) {
    const std::string& name = system_.units[number].name;
    const std::string helps = key(name, "helps");
    if (reader_.text(helps) != unit_names_.front() || number == 0)
      reader_.refuse_setting(helps, fmt::format("the first unit, {}", unit_names_.front()));
    if (system_.helper)
      fail(ErrorKind::usage, "{}: {}: a second unit that helps (expected one)", system_.preset.file, helps);
    if (!system_.units[number].sees(system_.home()))
      reader_.refuse_setting(key(name, "sees"), fmt::format("the home tier {}", tier_names_.back()));
    Helper helper;
    helper.unit = static_cast<std::uint8_t>(number);
    helper.capacity_bytes = system_.devices.count * reader_.positive(key(name, "capacity"), "GB");
    helper.dense_share = reader_.share_or_none(key(name, "dense_weights"));
    helper.cache_share = reader_.share_or_none(key(name, "kv_cache"));
    helper.works_beside = reader_.share_or_none(key(name, "works_beside")) > 0;
    const std::string split = key(name, "split");
    if (reader_.has_setting(split)) {
      if (reader_.text(split) != "tokens") reader_.refuse_setting(split, "tokens");
      if (system_.has_cache()) reader_.refuse_setting(split, "one tier, all of which both units see");
      helper.splits_experts = true;
    }
    system_.helper = helper;
  }

  /// What is in a tier between is read from there.
  void check_middle_tiers() {
    const Misses& misses = system_.misses;
    for (std::size_t tier = 1; tier < system_.home(); ++tier) {
      for (const auto& [share, number] :
           {std::pair{1 - misses.there, std::uint8_t{0}}, std::pair{misses.there, misses.far_unit}}) {
        const Unit& unit = system_.units[number];
        if (share > 0 && !unit.sees(tier))
          reader_.refuse_setting(key(unit.name, "sees"), fmt::format("the tier {}", system_.tiers[tier].name));
      }
    }
  }

  void read_misses() {
    if (!reader_.has_table("miss") && !reader_.has_setting("miss.unit")) return;
    Misses& misses = system_.misses;
    const auto share = [&](std::string_view name) {
      return reader_.has(key("miss", name)) ? reader_.share_or_none(key("miss", name)) : 0;
    };
    misses.in_place = share("in_place");
    misses.fetch = share("fetch");
    misses.there = share("there");
    constexpr double rounding = 1e-9;
    if (std::abs(misses.in_place + misses.fetch + misses.there - 1) > rounding)
      fail(ErrorKind::usage, "{}: miss: shares that do not add up (expected in_place + fetch + there = 1, found {})",
           system_.preset.file, misses.in_place + misses.fetch + misses.there);
    if (!system_.has_cache())
      fail(ErrorKind::usage, "{}: miss: one tier misses nothing (expected two tiers)", system_.preset.file);
    if (misses.in_place + misses.fetch > 0 && !system_.units.front().sees(system_.home()))
      reader_.refuse_setting(key(unit_names_.front(), "sees"), fmt::format("the home tier {}", tier_names_.back()));
    if (misses.there == 0) return;
    misses.far_unit = unit_named("miss.unit", reader_.text("miss.unit"));
    if (!system_.units[misses.far_unit].sees(system_.home()))
      reader_.refuse_setting("miss.unit", fmt::format("a unit that sees the home tier {}", tier_names_.back()));
    misses.link = {link_named("miss.link", reader_.text("miss.link"))};
  }

  void read_prefetch() {
    if (!reader_.has_table("prefetch")) return;
    if (system_.misses.fetch == 0)
      fail(ErrorKind::usage, "{}: prefetch: misses that nobody fetches (expected miss.fetch above 0)",
           system_.preset.file);
    Prefetch& prefetch = system_.prefetch;
    prefetch.layers = reader_.count("prefetch.layers");
    prefetch.recall = reader_.share("prefetch.recall");
    prefetch.precision = reader_.share("prefetch.precision");
  }

  void read_overheads() {
    Overheads& overheads = system_.overheads;
    overheads.pass = optional("overhead", "pass", "us");
    overheads.layer = optional("overhead", "layer", "us");
    overheads.managed_layer = optional("overhead", "managed_layer", "us");
  }

  void read_static() {
    for (const std::string& name : reader_.names("static")) {
      const std::string own = key("static", name);
      system_.static_watts[static_cast<std::size_t>(standing_of(reader_.status(own)))] +=
          system_.devices.count * reader_.not_negative(own, "W");
    }
  }

  void read_dense_weights() {
    constexpr const char* where = "system.dense_weights";
    const std::string lie = reader_.text(where);
    DenseWeights& dense = system_.dense_weights;
    dense.spill = lie == "spill";
    if (!dense.spill) dense.tier = tier_named(where, lie);
    if (!system_.units.front().sees(system_.near_dense()))
      reader_.refuse_setting(where, fmt::format("a tier that {} sees", unit_names_.front()));
    if (!dense.spill && !system_.dense_at_home()) return;
    if (!system_.has_cache()) reader_.refuse_setting(where, "a tier before home for what does not spill");
    const double there = system_.misses.there;
    if (there == 0 && !system_.units.front().sees(system_.home()))
      reader_.refuse_setting(key(unit_names_.front(), "sees"), fmt::format("the home tier {}", tier_names_.back()));
    if (there > 0 && there < 1)
      fail(ErrorKind::usage,
           "{}: {}: layers at home, and some misses alone are computed there (expected miss.there 0 or 1)",
           system_.preset.file, where);
  }

  void read_verify_reads() {
    const std::string reads = reader_.text("system.verify_reads");
    if (reads != "union" && reads != "per_row") reader_.refuse_setting("system.verify_reads", "union or per_row");
    system_.reads_per_row = reads == "per_row";
  }

  System system_;
  PresetReader reader_;  ///< of its preset
  std::vector<std::string> tier_names_, unit_names_, link_names_;
  std::vector<std::uint8_t> links_;
  std::optional<std::string> all_reduce_;
};

}  // namespace

System make_system(Preset preset) {
  return SystemReader(std::move(preset)).read();
}

}  // namespace moecarlo::hw
