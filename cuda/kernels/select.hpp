#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace moecarlo {

/// Rows of router logits in device memory and the rule by which each chooses; see ScoringRule.
struct SelectRows {
  const void* logits = nullptr;  ///< [rows][experts] float16 or float32
  bool float16 = false;
  const float* score_of_float16 = nullptr;  ///< [65536] scores by stored bits; null: the logit itself
  const float* bias = nullptr;              ///< [layers][experts]; null: none
  std::uint64_t rows = 0;                   ///< row r is of layer r mod layers
  std::uint32_t layers = 0, experts = 0, top_k = 0, num_groups = 1, top_k_groups = 1;
  std::uint16_t* ids = nullptr;                    ///< [rows][top_k], by descending score, lower index first on ties
  unsigned long long* first_not_finite = nullptr;  ///< index of a logit; lowered where one is not finite
};

/// A warp a row.
cudaError_t launch_select(const SelectRows& select, cudaStream_t stream);

}  // namespace moecarlo
