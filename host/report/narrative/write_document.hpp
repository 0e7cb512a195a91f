#pragma once

#include <filesystem>
#include <vector>

#include "host/report/narrative/document.hpp"

namespace moecarlo {

/// Writes report.html, report.md and the figures, as SVG and PNG, into a folder that is there. A build
/// without librsvg says in the report that there is no PNG. A file that cannot be written is a machine error.
void write_document(Document document, const std::vector<Figure>& figures, const std::filesystem::path& directory);

}  // namespace moecarlo
