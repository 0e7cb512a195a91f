#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "host/report/narrative/figures.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo {

/// A report before it has a format. Markdown and HTML are both written from one of these, so they cannot disagree. All
/// text is plain; the writers escape it.

struct Heading {
  std::string text;
};

struct Paragraph {
  std::string text;
};

/// The one line that the report is read for.
struct VerdictLine {
  std::string text;
};

/// The study's answer in a few paragraphs, set apart from the rest.
struct Answer {
  std::vector<std::string> paragraphs;
};

struct KeyFigure {
  std::string label, value, intervals, condition;
};

struct KeyFigures {
  std::vector<KeyFigure> figures;
};

struct Table {
  std::string caption;
  std::vector<std::string> header;
  std::size_t text_columns = 1;  ///< the first columns hold words and are set left, the others numbers and right
  std::vector<std::vector<std::string>> rows;
  bool wraps = false;  ///< its cells break into lines, so that it fits a page
};

struct Bullets {
  std::vector<std::string> items;
};

/// Files beside the report.
struct FileLinks {
  std::vector<std::string> files;
};

/// What figures are: their units, what is counted and what that is divided by. Captions of tables lead here.
struct Definitions {
  struct Entry {
    std::string name, unit, definition, denominator;
  };
  std::vector<Entry> entries;
};

using Block =
    std::variant<Heading, VerdictLine, FileLinks, Definitions, Answer, Paragraph, KeyFigures, Table, Bullets, Figure>;

struct Document {
  std::string title, subtitle;
  std::vector<Block> blocks;
};

/// The report of a study. `figures` are those of the study, in any order.
Document build_document(const StudyResults& results, const std::vector<Figure>& figures);

}  // namespace moecarlo
