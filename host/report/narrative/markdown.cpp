#include "host/report/narrative/markdown.hpp"

#include <fmt/format.h>

#include "host/report/results/escape.hpp"

namespace moecarlo {
namespace {

std::string written(const Heading& heading) {
  return fmt::format("## {}\n\n", escape_markdown(heading.text));
}

std::string written(const Paragraph& paragraph) {
  return escape_markdown(paragraph.text) + "\n\n";
}

std::string written(const VerdictLine& verdict) {
  return fmt::format("**Verdict:** {}\n\n", escape_markdown(verdict.text));
}

std::string written(const FileLinks& links) {
  std::string text;
  for (const std::string& file : links.files) text += fmt::format("{}[{}]({})", text.empty() ? "" : ", ", file, file);
  return text + "\n\n";
}

std::string written(const Answer& answer) {
  std::string text;
  for (const std::string& paragraph : answer.paragraphs) {
    text += fmt::format("{}> {}\n", text.empty() ? "" : ">\n", escape_markdown(paragraph));
  }
  return text + '\n';
}

std::string row_text(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += fmt::format(" {} |", escape_markdown(cell));
  return text + '\n';
}

std::string written(const Table& table) {
  std::string text = fmt::format("**{}**\n\n", escape_markdown(table.caption)) + row_text(table.header) + "|";
  for (std::size_t column = 0; column < table.header.size(); ++column) {
    text += column < table.text_columns ? " --- |" : " ---: |";
  }
  text += '\n';
  for (const auto& row : table.rows) text += row_text(row);
  return text + '\n';
}

std::string written(const KeyFigures& key) {
  Table table{"Key figures", {"figure", "value", "at"}, 3, {}};
  for (const KeyFigure& figure : key.figures) {
    const std::string value = figure.intervals.empty() ? figure.value : figure.value + ' ' + figure.intervals;
    table.rows.push_back({figure.label, value, figure.condition});
  }
  return written(table);
}

std::string written(const Definitions& definitions) {
  Table table{"What each figure is", {"figure", "unit", "what is counted or computed", "divided by"}, 4, {}};
  for (const auto& entry : definitions.entries) {
    table.rows.push_back({entry.name, entry.unit, entry.definition, entry.denominator});
  }
  return written(table);
}

std::string written(const Bullets& bullets) {
  std::string text;
  for (const std::string& item : bullets.items) text += fmt::format("- {}\n", escape_markdown(item));
  return text + '\n';
}

std::string written(const Figure& figure) {
  return fmt::format("![{0}](figures/{1}.svg)\n\n*{0}.* {2}\n\n", escape_markdown(figure.title), figure.id,
                     escape_markdown(figure.caption));
}

}  // namespace

std::string markdown(const Document& document) {
  std::string text = fmt::format("# {}\n\n{}\n\n", escape_markdown(document.title), escape_markdown(document.subtitle));
  for (const Block& block : document.blocks) {
    text += std::visit([](const auto& content) { return written(content); }, block);
  }
  text.pop_back();
  return text;
}

}  // namespace moecarlo
