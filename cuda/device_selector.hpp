#pragma once

#include <memory>

#include "host/trace/expert_selector.hpp"

namespace moecarlo {

/// Chooses experts on GPU `device`, bit for bit as select_experts does. Null for rules whose scores a device does not
/// compute with the same bits: softmax with a selection bias, sigmoid with one over logits of 32 bits (of 16 bits there
/// are few enough for a table from the host); and for more than 32 groups. Throws a machine error where there is no
/// such GPU.
std::unique_ptr<ExpertSelector> make_device_selector(const StoredLogits& logits, int device);

}  // namespace moecarlo
