#pragma once

#include <string>

#include "host/report/narrative/document.hpp"

namespace moecarlo {

/// The document as Markdown (CommonMark with pipe tables); figures are links to figures/ID.svg.
std::string markdown(const Document& document);

}  // namespace moecarlo
