#pragma once

#include <string>

#include "host/report/narrative/document.hpp"

namespace moecarlo {

/// The document as one HTML page that needs nothing else: style and figures are inside, there are no scripts, nothing
/// is loaded. It adapts to narrow screens, dark displays and paper.
std::string html(const Document& document);

}  // namespace moecarlo
