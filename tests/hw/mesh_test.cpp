#include <gmock/gmock.h>

#include <stdexcept>

#include "hw/mesh/ports.hpp"

namespace moecarlo::hw {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

/// Links by what they carry.
std::map<double, std::size_t> histogram(const LinkBytes& links) {
  std::map<double, std::size_t> counts;
  for (const auto& [link, bytes] : links) ++counts[bytes];
  return counts;
}

/// A 4 x 4 mesh, groups of four, uniform routing: one byte from each group to each device.
struct Case {
  Topology topology = Topology::parse("mesh:4x4", 0);
  Mapping mapping;
  explicit Case(const std::string& name) : mapping(named_mapping(name, topology, 4)) {}

  LinkBytes dispatch(TokenSource source = TokenSource::domain) const {
    return dispatch_bytes(topology, mapping, std::vector<double>(16, 4), source);
  }
};

TEST(Mesh, HasALinkEachWayBetweenNeighbours) {
  const Topology mesh = Topology::parse("mesh:4x4", 0);
  EXPECT_EQ(mesh.links().size(), 48U);
  EXPECT_EQ(mesh.hops(0, 15), 6U);
  EXPECT_THAT(mesh.path(0, 5), ElementsAre(Link{0, 1}, Link{1, 5}));  // the row first
}

TEST(Mesh, GroupsInRowsLoadTheColumns) {
  const Case rows("row");
  EXPECT_EQ(sum_of(rows.dispatch()), 80);
  EXPECT_THAT(histogram(rows.dispatch()), ElementsAre(Pair(3, 16), Pair(4, 8)));
  EXPECT_THAT(histogram(all_reduce(rows.topology, rows.mapping, 4).links), ElementsAre(Pair(6, 24)));
}

TEST(Mesh, GroupsInBlocksCrossTheWholeMesh) {
  const Case blocks("block");
  EXPECT_EQ(sum_of(blocks.dispatch()), 128);
  EXPECT_THAT(histogram(blocks.dispatch()), ElementsAre(Pair(2, 32), Pair(4, 16)));
  EXPECT_THAT(histogram(all_reduce(blocks.topology, blocks.mapping, 4).links), ElementsAre(Pair(6, 16)));
}

TEST(Mesh, EntwinedGroupsKeepTokensInSmallDomains) {
  const Case entwined("entwined");
  EXPECT_EQ(sum_of(entwined.dispatch()), 64);
  EXPECT_THAT(histogram(entwined.dispatch()), ElementsAre(Pair(2, 32)));
  EXPECT_THAT(histogram(all_reduce(entwined.topology, entwined.mapping, 4).links),  // six steps
              ElementsAre(Pair(6, 16), Pair(12, 8)));
}

TEST(Mesh, WithoutDomainsEveryDeviceSendsToEveryOther) {
  const LinkBytes links = Case("row").dispatch(TokenSource::all);
  EXPECT_EQ(sum_of(links), 160);
  EXPECT_EQ(most_of(links), 4);
}

/// D: bytes that a device reduces. A group sends k D / 16 to each of 16 devices.
double seconds(const std::string& mapping, double k, double D) {
  const Case mesh(mapping);
  const std::vector<double> to_device(16, 4 * k * D / 16);
  return all_reduce(mesh.topology, mesh.mapping, D).busiest +
         most_of(dispatch_bytes(mesh.topology, mesh.mapping, to_device)) +
         most_of(combine_bytes(mesh.topology, mesh.mapping, to_device));
}

TEST(Mesh, EntwinedRingsPayFromTopSixOn) {
  for (const double k : {1.0, 2.0, 6.0, 8.0}) {
    EXPECT_DOUBLE_EQ(seconds("row", k, 1), 1.5 + k / 2);
    EXPECT_DOUBLE_EQ(seconds("block", k, 1), 1.5 + k / 2);
    EXPECT_DOUBLE_EQ(seconds("entwined", k, 1), 3 + k / 4);
  }
  EXPECT_EQ(seconds("entwined", 6, 1), seconds("row", 6, 1));
}

TEST(Mesh, TransfersThatShareALinkWaitForEachOther) {
  const Topology line = Topology::parse("mesh:3x2", 0);
  LinkBytes links;
  for (const auto& [from, to] : {Link{0, 2}, Link{1, 2}}) {
    for (const Link& link : line.path(from, to)) ++links[link];
  }
  EXPECT_EQ(most_of(links), 2);
  links.clear();
  for (const auto& [from, to] : {Link{0, 2}, Link{1, 4}}) {
    for (const Link& link : line.path(from, to)) ++links[link];
  }
  EXPECT_EQ(most_of(links), 1);
}

TEST(Topologies, ASwitchIsOneHopAndNodesAreTwo) {
  EXPECT_EQ(Topology::parse("switch", 8).hops(0, 7), 1U);
  const Topology nodes = Topology::parse("nodes:2x4", 0);
  EXPECT_EQ(nodes.devices(), 8U);
  EXPECT_THAT(nodes.path(1, 6), ElementsAre(Link{1, 5}, Link{5, 6}));
  EXPECT_THAT(nodes.path(1, 5), ElementsAre(Link{1, 5}));
  const Topology wafers = Topology::parse("wafers:4x8x8", 0);
  EXPECT_EQ(wafers.devices(), 256U);
  EXPECT_EQ(wafers.hops(7, 8), 1U);  // the row goes on in the next wafer
  for (const char* wrong : {"mesh", "mesh:4", "mesh:4x0", "mesh:4x4x", "ring:4", "switch", "nodes:2", "mesh:400x400"}) {
    EXPECT_THROW(Topology::parse(wrong, 0), std::invalid_argument) << wrong;
  }
}

TEST(Mappings, RingsOfRectanglesGoFromNeighbourToNeighbour) {
  const Topology mesh = Topology::parse("mesh:8x8", 0);
  for (const std::uint32_t size : {4U, 8U, 16U, 32U}) {
    const Mapping block = named_mapping("block", mesh, size);
    for (const auto& ring : block.rings()) {
      for (std::uint32_t rank = 0; rank < size; ++rank) EXPECT_EQ(mesh.hops(ring[rank], ring[(rank + 1) % size]), 1U);
    }
  }
}

TEST(Mappings, EveryGroupHasADeviceOfEveryRank) {
  const Topology wafers = Topology::parse("wafers:2x4x4", 0);
  for (const char* name : {"row", "block", "entwined"}) {
    for (const std::uint32_t size : {1U, 2U, 4U, 8U}) {
      const Mapping mapping = named_mapping(name, wafers, size);
      std::vector<int> seen(32, 0);
      for (const auto& place : mapping.places) ++seen[place.group * size + place.rank];
      EXPECT_THAT(seen, ::testing::Each(1)) << name << " " << size;
    }
  }
  EXPECT_THROW(named_mapping("block", Topology::parse("switch", 8), 4), std::invalid_argument);
  EXPECT_THROW(named_mapping("row", wafers, 3), std::invalid_argument);
  EXPECT_THROW(named_mapping("diagonal", wafers, 4), std::invalid_argument);
}

TEST(Mappings, WafersGatherAllTokensAndDispatchInside) {
  const Topology wafers = Topology::parse("wafers:4x4x4", 0);
  const Mapping mapping = named_mapping("hierarchical", wafers, 4);
  EXPECT_EQ(mapping.groups, 16U);
  const std::vector<double> to_device(64, 16);
  for (const auto& links : {dispatch_bytes(wafers, mapping, to_device), combine_bytes(wafers, mapping, to_device)}) {
    for (const auto& [link, bytes] : links) EXPECT_FALSE(wafers.is_far(link)) << link.first << " " << link.second;
    EXPECT_THAT(histogram(links), ElementsAre(Pair(8, 4 * 32)));  // four times what one wafer's groups bring
  }
  // Three steps that scatter quarters, three between wafers, three that gather four quarters; 4 devices of 16 groups.
  const AllReduce reduce = all_reduce(wafers, mapping, 4);
  EXPECT_EQ(reduce.sent, 64 * (3 * 1 + 3 * 1 + 3 * 4));
  double far = 0;
  for (const auto& [link, bytes] : reduce.links) far += wafers.is_far(link) ? bytes : 0;
  EXPECT_EQ(far, 3 * 16 * (3 + 3));  // 16 devices a wafer send to the next; the last one's bytes go back over all three
  EXPECT_THROW(named_mapping("hierarchical", Topology::parse("mesh:4x4", 0), 4), std::invalid_argument);
  const Mapping nodes = named_mapping("hierarchical", Topology::parse("nodes:2x4", 0), 2);
  for (std::uint32_t device = 0; device < 8; ++device) {
    for (const Delivery& delivery : deliveries_to(device, nodes, TokenSource::domain)) {
      EXPECT_EQ(delivery.from / 4, device / 4);
    }
  }
}

TEST(Ports, OfAMeshAreItsLinks) {
  const Case rows("row");
  const Ports ports(rows.topology);
  EXPECT_EQ(ports.size(), 48U);
  const ExpertTraffic dispatch(ports, rows.mapping, TokenSource::domain, ExpertTraffic::Step::dispatch);
  const ExpertTraffic combine(ports, rows.mapping, TokenSource::domain, ExpertTraffic::Step::combine);
  std::vector<double> to_device;
  for (int device = 0; device < 16; ++device) to_device.push_back(1 + device * device % 7);
  EXPECT_DOUBLE_EQ(dispatch.crossing(to_device).near_bytes,
                   most_of(dispatch_bytes(rows.topology, rows.mapping, to_device)));
  EXPECT_DOUBLE_EQ(combine.crossing(to_device).near_bytes,
                   most_of(combine_bytes(rows.topology, rows.mapping, to_device)));
  EXPECT_EQ(dispatch.crossing(to_device).near_hops, 3U);  // along a column
}

TEST(Ports, OfASwitchSendAndReceive) {
  const Ports ports(Topology::parse("switch", 4));
  EXPECT_EQ(ports.size(), 8U);
  const std::vector<Message> to_one{{0, 3, 5}, {1, 3, 7}, {0, 2, 1}};
  EXPECT_EQ(crossing_of(ports, to_one).near_bytes, 12);
  const std::vector<Message> from_one{{0, 3, 5}, {0, 2, 8}, {1, 3, 7}};
  EXPECT_EQ(crossing_of(ports, from_one).near_bytes, 13);
}

TEST(Ports, BetweenNodesAreFar) {
  const Ports ports(Topology::parse("nodes:2x4", 0));
  const std::vector<Message> messages{{1, 6, 5}, {0, 6, 7}};
  const Crossing crossing = crossing_of(ports, messages);
  EXPECT_EQ(crossing.far_bytes, 7);
  EXPECT_EQ(crossing.near_bytes, 12);  // 6 receives them from 5 and from 4
  EXPECT_EQ(crossing.far_hops, 1U);
  EXPECT_EQ(crossing.near_hops, 1U);
  const Ports wafers(Topology::parse("wafers:2x2x2", 0));
  const std::vector<Message> across{{0, 3, 5}};
  EXPECT_EQ(crossing_of(wafers, across).far_bytes, 5);
  EXPECT_EQ(crossing_of(wafers, across).near_hops, 2U);
}

}  // namespace
}  // namespace moecarlo::hw
