#pragma once

#include <cstdint>

namespace moecarlo {

/// Sizes of the intersections of 16 sets (rows) with 8 sets (columns) of 256 bits each, added up by the tensor cores in
/// one instruction (PTX ISA, mma.m16n8k256 over single bits with .and.popc; sm_80 and later). A warp holds sets and
/// sizes together. With g = lane / 4 and q = lane % 4, a thread has
///   row_words[0], [1]   word q (of 32 bits) of rows g and g + 8
///   row_words[2], [3]   word q + 4 of rows g and g + 8
///   column_words[0], [1]   words q and q + 4 of column g
///   of[0], of[1]   the sizes of row g with columns 2 q and 2 q + 1;  of[2], of[3]   those of row g + 8
struct IntersectionSizes {
  std::uint32_t of[4] = {};

  __device__ void add(const std::uint32_t (&row_words)[4], const std::uint32_t (&column_words)[2]) {
    asm("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+r"(of[0]), "+r"(of[1]), "+r"(of[2]), "+r"(of[3])
        : "r"(row_words[0]), "r"(row_words[1]), "r"(row_words[2]), "r"(row_words[3]), "r"(column_words[0]),
          "r"(column_words[1]));
  }
};

}  // namespace moecarlo
