#include "host/study/grid.hpp"

#include <gmock/gmock.h>

#include <tuple>

namespace moecarlo {
namespace {

using testing::ElementsAre;

Study study_of(std::vector<Policy> policies) {
  Study study;
  study.grid.batch = {1, 4};
  study.grid.depth = {2, 5};
  study.grid.policy = std::move(policies);
  study.grid.capacity = {4, 8};
  return study;
}

const Study kStateless = study_of({Policy::static_residents});
const Study kStateful = study_of({Policy::static_residents, Policy::lru});

// At batch 1: 9 experts when autoregressive, 6 and in the first three layers 7 when drafting. At batch 4: 8, listed
// too.
const std::vector<ImpliedCapacity> kImplied = {{1, true, {9, 0}}, {1, false, {6, 3}}, {4, false, {8, 0}}};

const GridCell& cell_at(const Grid& grid, std::uint32_t batch, std::uint32_t depth) {
  for (const GridCell& cell : grid.cells) {
    if (cell.batch == batch && cell.depth == depth) return cell;
  }
  throw std::out_of_range("no such cell");
}

TEST(MakeGrid, CrossesBatchesAndDepthsInThatOrder) {
  const Grid grid = make_grid(kStateful, {});
  ASSERT_EQ(grid.cells.size(), 4U);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> order;
  for (const GridCell& cell : grid.cells) {
    order.emplace_back(cell.batch, cell.depth);
    EXPECT_THAT(cell.capacities, ElementsAre(Capacity{4, 0}, Capacity{8, 0}));
    EXPECT_THAT(cell.joint, ElementsAre(false, false));
  }
  EXPECT_THAT(order, ElementsAre(testing::Pair(1, 2), testing::Pair(1, 5), testing::Pair(4, 2), testing::Pair(4, 5)));
}

TEST(MakeGrid, AListOfAlphasHasACellForEachWhereTokensAreDrafted) {
  Study study = kStateful;
  study.grid.batch = {1};
  study.grid.depth = {0, 2};
  study.acceptance.alpha = 0.3;
  EXPECT_EQ(make_grid(study, {}).cells.size(), 2U);
  EXPECT_EQ(make_grid(study, {}).cells.back().alpha, std::nullopt);
  study.acceptance.alphas = {0.3, 0.8};
  std::vector<std::pair<std::uint32_t, std::optional<double>>> cells;
  const Grid grid = make_grid(study, {});
  for (const GridCell& cell : grid.cells) cells.emplace_back(cell.depth, cell.alpha);
  EXPECT_THAT(cells, ElementsAre(testing::Pair(0, std::nullopt), testing::Pair(2, std::optional(0.3)),
                                 testing::Pair(2, std::optional(0.8))));
}

TEST(MakeGrid, HardwareAddsTheAutoregressiveBaseline) {
  const Grid grid = make_grid(kStateful, kImplied);
  EXPECT_EQ(grid.cells.size(), 6U);
  EXPECT_EQ(grid.cells[0].depth, 0U);
  EXPECT_EQ(grid.cells[3].depth, 0U);
}

TEST(MakeGrid, ADepthZeroThatIsListedIsNotAddedAgain) {
  Study study = kStateful;
  study.grid.depth = {0, 2};
  EXPECT_EQ(make_grid(study, kImplied).cells.size(), 4U);
}

TEST(MakeGrid, ImpliedCapacitiesJoinTheirOwnCellsInOrderAndAreMarked) {
  const Grid grid = make_grid(kStateful, kImplied);
  EXPECT_THAT(cell_at(grid, 1, 0).capacities, ElementsAre(Capacity{4, 0}, Capacity{8, 0}, Capacity{9, 0}));
  EXPECT_THAT(cell_at(grid, 1, 0).joint, ElementsAre(false, false, true));
  for (const std::uint32_t depth : {2U, 5U}) {
    EXPECT_THAT(cell_at(grid, 1, depth).capacities, ElementsAre(Capacity{4, 0}, Capacity{6, 3}, Capacity{8, 0}));
    EXPECT_THAT(cell_at(grid, 1, depth).joint, ElementsAre(false, true, false));
    EXPECT_THAT(cell_at(grid, 4, depth).capacities, ElementsAre(Capacity{4, 0}, Capacity{8, 0}));
    EXPECT_THAT(cell_at(grid, 4, depth).joint, ElementsAre(false, true));
  }
  EXPECT_THAT(cell_at(grid, 4, 0).capacities, ElementsAre(Capacity{4, 0}, Capacity{8, 0}));
  EXPECT_THAT(cell_at(grid, 4, 0).joint, ElementsAre(false, false));
}

TEST(MakeGrid, AStatelessStudyCountsTheUnionOfAllCapacitiesEverywhere) {
  for (const GridCell& cell : make_grid(kStateless, kImplied).cells) {
    EXPECT_THAT(cell.capacities, ElementsAre(Capacity{4, 0}, Capacity{6, 3}, Capacity{8, 0}, Capacity{9, 0}));
  }
  const Grid grid = make_grid(kStateless, kImplied);
  EXPECT_THAT(cell_at(grid, 1, 0).joint, ElementsAre(false, false, false, true));
  EXPECT_THAT(cell_at(grid, 4, 0).joint, ElementsAre(false, false, false, false));
  EXPECT_THAT(cell_at(grid, 4, 5).joint, ElementsAre(false, false, true, false));
}

TEST(MakeGrid, CapturedAcceptanceHasACellForTheBitsThatHardwareImpliesToo) {
  Study study = kStateful;
  study.acceptance.model = AcceptanceModel::captured;
  study.grid.batch = {1};
  study.grid.depth = {2};
  study.grid.bits = {4};
  // Elastic holds 8 experts of 4 bits, as the grid lists; a draft head leaves room for 5 whole ones.
  const Grid grid = make_grid(study, {{1, false, {8, 0}, 4}, {1, false, {5, 0}, 8}, {1, true, {6, 0}, 8}});
  std::vector<std::tuple<std::uint32_t, std::uint32_t, bool>> cells;  // capacity, bits, joint
  for (const GridCell& cell : grid.cells) {
    if (cell.depth == 0 || cell.independent) continue;
    cells.emplace_back(cell.capacities.at(0).base, cell.bits, cell.joint.at(0));
  }
  EXPECT_THAT(cells, ElementsAre(std::tuple(4, 4, false), std::tuple(5, 8, true), std::tuple(8, 4, true)));
}

TEST(IsStateless, HoldsOnlyWhereNoPolicyRemembers) {
  EXPECT_TRUE(shares_starts(kStateless));
  EXPECT_FALSE(shares_starts(kStateful));
  EXPECT_FALSE(shares_starts(study_of({Policy::lru})));
}

}  // namespace
}  // namespace moecarlo
