#include <fstream>

#include "tests/trace/broken_rule.hpp"

namespace moecarlo {
namespace {

using ::testing::HasSubstr;
using namespace moecarlo::testing;

class HostileTrace : public ::testing::TestWithParam<BrokenRule> {};

TEST_P(HostileTrace, IsRefusedByName) {
  expect_refused(GetParam());
}

hid_t chunked(const Extents& chunk) {
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
  return creation;
}

void create_unwritten(hid_t file, const char* name, hid_t type, const Extents& extents, hid_t creation) {
  remove_object(file, name);
  const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  H5Dclose(H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT));
  H5Sclose(space);
}

hid_t open(hid_t file, const char* group) {
  return H5Gopen2(file, group, H5P_DEFAULT);
}

const BrokenRule groups[] = {
    {"AcceptanceTooLarge",
     [](hid_t f) {
       put_floats(open(f, "acceptance"), "accept_probability", H5T_IEEE_F32LE, {1, tokens}, {0, 0, 0, 1.5, 0, 0});
     },
     {"/acceptance/accept_probability", "[0, 3]", "0 to 1"}},
    {"AcceptanceShort",
     [](hid_t f) {
       put_floats(open(f, "acceptance"), "accept_probability", H5T_IEEE_F32LE, {1, 2}, {0, 0});
     },
     {"/acceptance/accept_probability", "wrong extents"}},
    {"AcceptanceNoBits",
     [](hid_t f) { remove_object(open(f, "acceptance"), "weight_bits"); },
     {"/acceptance/weight_bits", "missing"}},
    {"CacheFractionNegative",
     [](hid_t f) { put_floats(open(f, "acceptance"), "cache_fraction", H5T_IEEE_F32LE, {1}, {-0.5}); },
     {"/acceptance/cache_fraction", "out of range"}},
    {"DraftProbabilityAboveOne",
     [](hid_t f) {
       put_floats(open(f, "acceptance"), "draft_probability", H5T_IEEE_F32LE, {tokens}, {0, 0.5, 1, 1.5, 0, 0});
     },
     {"/acceptance/draft_probability", "out of range at [3]"}},
    {"DraftProbabilityOfOtherTokens",
     [](hid_t f) {
       put_floats(open(f, "acceptance"), "draft_probability", H5T_IEEE_F32LE, {2}, {0, 0.5});
     },
     {"/acceptance/draft_probability", "[tokens]"}},
    {"MagnitudesWithoutScale",
     [](hid_t f) { put_magnitudes(f, 1, std::vector<std::int64_t>(tokens * layers), {}); },
     {"/channel_magnitude@scale", "missing"}},
    {"MagnitudesOfOtherScales",
     [](hid_t f) {
       put_magnitudes(f, 1, std::vector<std::int64_t>(tokens * layers), {1, 1, 1});
     },
     {"/channel_magnitude@scale", "one for each of 2 layers, found 3"}},
    {"MagnitudesOfScaleZero",
     [](hid_t f) {
       put_magnitudes(f, 1, std::vector<std::int64_t>(tokens * layers), {1, 0});
     },
     {"/channel_magnitude@scale", "above 0"}},
    {"MagnitudesOfOtherTokens",
     [](hid_t f) {
       put_integers(f, "channel_magnitude", H5T_STD_U8LE, {1, layers, 2}, {1, 2, 3, 4});
     },
     {"/channel_magnitude", "6 tokens, 2 layers, 1 to 8192 channels"}},
    {"MagnitudesWider",
     [](hid_t f) {
       put_integers(f, "channel_magnitude", H5T_STD_I16LE, {1, layers, 2}, {1, 2, 3, 4});
     },
     {"/channel_magnitude", "expected uint8"}},
    {"ScaleOfIntegers",
     [](hid_t f) {
       put_magnitudes(f, 1, std::vector<std::int64_t>(tokens * layers), {});
       const hid_t dataset = H5Dopen2(f, "channel_magnitude", H5P_DEFAULT);
       set_number(dataset, "scale", 1);
       H5Dclose(dataset);
     },
     {"/channel_magnitude@scale", "floating-point"}},
    {"AcceptanceIsDataset",
     [](hid_t f) {
       remove_object(f, "acceptance");
       put_integers(f, "acceptance", H5T_STD_I32LE, {1}, {0});
     },
     {"/acceptance", "not a readable group"}},
    {"RoundOutsideTrace",
     [](hid_t f) {
       put_integers(open(f, "rounds"), "position", H5T_STD_I64LE, {2}, {1, 6});
     },
     {"/rounds/position", "[1]", "0 to 5, found 6"}},
    {"RoundDraftsTooMuch",
     [](hid_t f) {
       put_integers(open(f, "rounds"), "drafted", H5T_STD_I32LE, {2}, {2, 0});
     },
     {"/rounds/drafted", "0 to 1"}},
    {"RoundAcceptsTooMuch",
     [](hid_t f) {
       put_integers(open(f, "rounds"), "accepted", H5T_STD_I32LE, {2}, {1, 1});
     },
     {"/rounds/accepted", "[1]", "0 drafted, found 1"}},
    {"UnusedColumnHoldsIds",
     [](hid_t f) {
       put_integers(open(f, "rounds"), "drafted", H5T_STD_I32LE, {2}, {1, 1});
     },
     {"/rounds/verify_expert_ids", "[1, 1, 0, 0]", "found -1"}},
    {"UsedColumnCutShort",
     [](hid_t f) {
       put_integers(open(f, "rounds"), "drafted", H5T_STD_I32LE, {2}, {0, 0});
       put_integers(open(f, "rounds"), "accepted", H5T_STD_I32LE, {2}, {0, 0});
     },
     {"/rounds/verify_expert_ids", "unused column", "[0, 1, 0, 0]"}},
    {"LookupLayer",
     [](hid_t f) {
       put_integers(open(f, "lookups"), "layer", H5T_STD_I32LE, {4}, {0, 1, 3, 0});
     },
     {"/lookups/layer", "0 to 2, found 3"}},
    {"LookupExpert",
     [](hid_t f) {
       put_integers(open(f, "lookups"), "expert", H5T_STD_I32LE, {4}, {0, 1, 8, 0});
     },
     {"/lookups/expert", "0 to 7, found 8"}},
    {"LookupHit",
     [](hid_t f) {
       put_integers(open(f, "lookups"), "hit", H5T_STD_U8LE, {4}, {0, 1, 2, 0});
     },
     {"/lookups/hit", "0 to 1, found 2"}},
    {"LookupShort",
     [](hid_t f) {
       put_integers(open(f, "lookups"), "hit", H5T_STD_U8LE, {3}, {0, 1, 1});
     },
     {"/lookups/hit", "wrong extents"}},
    {"SweepsDescend",
     [](hid_t f) {
       put_integers(open(f, "lookups"), "sweep_offsets", H5T_STD_I64LE, {3}, {0, 5, 4});
     },
     {"/lookups/sweep_offsets", "do not ascend"}},
    {"ContextWithoutOffsets", [](hid_t f) { remove_object(f, "context_offsets"); }, {"/context_offsets", "missing"}},
    {"ContextOffsetsShort",
     [](hid_t f) {
       put_integers(f, "context_offsets", H5T_STD_I64LE, {2}, {0, 7});
     },
     {"/context_offsets", "wrong extents"}},
    {"PositionOutsideContext",
     [](hid_t f) {
       put_integers(f, "position", H5T_STD_I32LE, {tokens}, {0, 1, 2, 3, 1, 3});
     },
     {"/position", "[5]", "0 to 2, found 3"}},
};

const BrokenRule storage[] = {
    {"ExternalStorage",
     [](hid_t f) {
       const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
       H5Pset_external(creation, "/dev/zero", 0, tokens);
       create_unwritten(f, "phase", H5T_STD_U8LE, {tokens}, creation);
     },
     {"/phase", "external storage"}},
    {"VirtualStorage",
     [](hid_t f) {
       const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
       const hsize_t extent = tokens;
       const hid_t space = H5Screate_simple(1, &extent, nullptr);
       H5Pset_virtual(creation, space, "other.h5", "/phase", space);
       create_unwritten(f, "phase", H5T_STD_U8LE, {tokens}, creation);
     },
     {"/phase", "virtual storage"}},
    {"ExternalLink",
     [](hid_t f) {
       remove_object(f, "phase");
       H5Lcreate_external("other.h5", "/phase", f, "phase", H5P_DEFAULT, H5P_DEFAULT);
     },
     {"/phase", "external link"}},
    {"SoftLink",
     [](hid_t f) {
       remove_object(f, "phase");
       H5Lcreate_soft("/nowhere/phase", f, "phase", H5P_DEFAULT, H5P_DEFAULT);
     },
     {"/phase", "soft or external link"}},
    {"UserDefinedType",
     [](hid_t f) {
       const hid_t type = H5Tcopy(H5T_STD_U8LE);
       H5Tcommit2(f, "own_type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
       put_integers(f, "phase", type, {tokens}, {0, 1, 1, 1, 0, 1});
     },
     {"/phase", "user-defined type"}},
    {"CompoundType",
     [](hid_t f) {
       const hid_t type = H5Tcreate(H5T_COMPOUND, 1);
       H5Tinsert(type, "value", 0, H5T_STD_U8LE);
       const std::vector<std::uint8_t> values(tokens);
       put(f, "phase", type, {tokens}, type, values.data());
     },
     {"/phase", "found a compound"}},
    {"UnknownFilter",
     [](hid_t f) {
       const hid_t creation = chunked({tokens});
       H5Pset_filter(creation, 32000, H5Z_FLAG_OPTIONAL, 0, nullptr);
       const std::vector<std::uint8_t> values(tokens, 1);
       put(f, "phase", H5T_STD_U8LE, {tokens}, H5T_NATIVE_UINT8, values.data(), creation);
     },
     {"/phase", "filter not available", "32000"}},
    {"AbsurdExtents",
     [](hid_t f) { create_unwritten(f, "phase", H5T_STD_U8LE, {hsize_t{1} << 60}, chunked({1024})); },
     {"/phase", "absurd extents"}},
    {"ExtentsWithoutData",
     [](hid_t f) {
       create_unwritten(f, "expert_ids", H5T_STD_U8LE, {hsize_t{1} << 40, layers, top_k},
                        chunked({1024, layers, top_k}));
     },
     {"/expert_ids", "data missing"}},
    {"NeverWritten",
     [](hid_t f) { create_unwritten(f, "phase", H5T_STD_U8LE, {tokens}, H5P_DEFAULT); },
     {"/phase", "data missing"}},
    {"AbsurdChunks",
     [](hid_t f) {
       const hid_t creation = chunked({hsize_t{1} << 29});
       const hsize_t extent = tokens;
       const hsize_t most = H5S_UNLIMITED;
       remove_object(f, "phase");
       const hid_t space = H5Screate_simple(1, &extent, &most);
       H5Dclose(H5Dcreate2(f, "phase", H5T_STD_U8LE, space, H5P_DEFAULT, creation, H5P_DEFAULT));
     },
     {"/phase", "absurd chunks"}},
};

INSTANTIATE_TEST_SUITE_P(Groups, HostileTrace, ::testing::ValuesIn(groups), name_of);
INSTANTIATE_TEST_SUITE_P(Storage, HostileTrace, ::testing::ValuesIn(storage), name_of);

TEST(TraceFile, WholeOnesAreAccepted) {
  const ScratchFolder folder;
  EXPECT_EQ(refusal(make_id_trace(folder / "ids.h5")), "accepted");
  EXPECT_EQ(refusal(make_logit_trace(folder / "logits.h5")), "accepted");
}

TEST(TraceFile, MissingIsRefused) {
  const ScratchFolder folder;
  EXPECT_THAT(refusal(folder / "absent.h5"), HasSubstr("no such file"));
  EXPECT_THAT(refusal(folder.path()), HasSubstr("not a file"));
}

TEST(TraceFile, OtherFormatIsRefused) {
  const ScratchFolder folder;
  std::ofstream(folder / "text.h5") << "not HDF5 at all";
  EXPECT_THAT(refusal(folder / "text.h5"), HasSubstr("not a readable HDF5 file"));
  std::ofstream(folder / "empty.h5") << "";
  EXPECT_THAT(refusal(folder / "empty.h5"), HasSubstr("not a readable HDF5 file"));
}

TEST(TraceFile, TruncatedIsRefusedAtEveryLength) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "whole.h5");
  const auto whole = std::filesystem::file_size(path);
  for (std::uintmax_t length = 0; length < whole; length += 97) {
    const auto part = folder / "part.h5";
    std::filesystem::copy_file(path, part, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(part, length);
    EXPECT_NE(refusal(part), "accepted") << length << " of " << whole << " bytes";
  }
}

}  // namespace
}  // namespace moecarlo
