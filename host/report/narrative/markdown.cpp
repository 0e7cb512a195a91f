#include "host/report/narrative/markdown.hpp"

#include <fmt/format.h>

#include "host/report/results/escape.hpp"

namespace moecarlo {
namespace {

std::string markdown_of(const Heading& heading) {
  return fmt::format("## {}\n\n", escape_markdown(heading.text));
}

std::string markdown_of(const Paragraph& paragraph) {
  return escape_markdown(paragraph.text) + "\n\n";
}

std::string markdown_of(const VerdictLine& verdict) {
  return fmt::format("**Verdict:** {}\n\n", escape_markdown(verdict.text));
}

std::string markdown_of(const FileLinks& links) {
  std::string text;
  for (const std::string& file : links.files) text += fmt::format("{}[{}]({})", text.empty() ? "" : ", ", file, file);
  return text + "\n\n";
}

std::string markdown_of(const Answer& answer) {
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

std::string markdown_of(const Table& table) {
  std::string text = fmt::format("**{}**\n\n", escape_markdown(table.caption)) + row_text(table.header) + "|";
  for (std::size_t column = 0; column < table.header.size(); ++column) {
    text += column < table.text_columns ? " --- |" : " ---: |";
  }
  text += '\n';
  for (const auto& row : table.rows) text += row_text(row);
  return text + '\n';
}

std::string markdown_of(const KeyFigures& key) {
  Table table{"Key figures", {"figure", "value", "at"}, 3, {}};
  for (const KeyFigure& figure : key.figures) {
    const std::string value = figure.intervals.empty() ? figure.value : figure.value + ' ' + figure.intervals;
    table.rows.push_back({figure.label, value, figure.condition});
  }
  return markdown_of(table);
}

std::string markdown_of(const Definitions& definitions) {
  Table table{"What each figure is", {"figure", "unit", "what is counted or computed", "divided by"}, 4, {}};
  for (const auto& entry : definitions.entries) {
    table.rows.push_back({entry.name, entry.unit, entry.definition, entry.denominator});
  }
  return markdown_of(table);
}

std::string markdown_of(const Bullets& bullets) {
  std::string text;
  for (const std::string& item : bullets.items) text += fmt::format("- {}\n", escape_markdown(item));
  return text + '\n';
}

std::string markdown_of(const Figure& figure) {
  return fmt::format("![{0}](figures/{1}.svg)\n\n*{0}.* {2}\n\n", escape_markdown(figure.title), figure.id,
                     escape_markdown(figure.caption));
}

}  // namespace

std::string markdown(const Document& document) {
  std::string text = fmt::format("# {}\n\n{}\n\n", escape_markdown(document.title), escape_markdown(document.subtitle));
  for (const Block& block : document.blocks) {
    text += std::visit([](const auto& content) { return markdown_of(content); }, block);
  }
  text.pop_back();
  return text;
}

}  // namespace moecarlo
