#pragma once

#include <filesystem>
#include <vector>

#include "host/report/narrative/document.hpp"

namespace moecarlo {

/// Writes report.html, report.md and the figures, as SVG and PNG, into a folder that is there. Without librsvg, or
/// where the environment says MOECARLO_PNG=0, they are SVG only, and the report says so. A file that cannot be written
/// is a machine error.
void write_document(Document document, const std::vector<Figure>& figures, const std::filesystem::path& directory);

}  // namespace moecarlo
