#include "host/parallel/placement_file.hpp"

#include <gmock/gmock.h>

#include <fstream>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Placement> read(const std::string& text) {
  const std::string path = ::testing::TempDir() + "placement.csv";
  std::ofstream(path) << text;
  return read_placement(path, 2, 2, 3);
}

TEST(PlacementFiles, NameTheDevicesOfEveryExpert) {
  for (const Placement& layer : read("expert,device\n0,2\n1,0\n0,1\n")) {
    EXPECT_THAT(layer, ElementsAre(ElementsAre(2, 1), ElementsAre(0)));
  }
  const std::vector<Placement> layers = read("layer,expert,device\n0,0,0\n0,1,1\n1,1,2\n1,0,0\n");
  EXPECT_THAT(layers[1], ElementsAre(ElementsAre(0), ElementsAre(2)));
}

TEST(PlacementFiles, MistakesAreNamed) {
  for (const auto& [text, says] : {std::pair{"expert\n", "line 1"},
                                   {"expert,device\n0\n", "line 2: 1 fields (expected 2)"},
                                   {"expert,device\n0,3\n", "line 2: device 3 (expected 0 to 2)"},
                                   {"expert,device\n2,0\n", "expert 2 (expected 0 to 1)"},
                                   {"expert,device\n0,x\n", "device x"},
                                   {"expert,device\n0,1\n0,1\n", "line 3: expert 0 on device 1 (expected once)"},
                                   {"expert,device\n0,1\n", "no device for expert 1"},
                                   {"layer,expert,device\n0,0,0\n0,1,1\n1,0,0\n", "layer 1: no device for expert 1"},
                                   {"layer,expert,device\n2,0,0\n", "layer 2 (expected 0 to 1)"}}) {
    try {
      read(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(says)) << text;
    }
  }
}

}  // namespace
}  // namespace moecarlo
