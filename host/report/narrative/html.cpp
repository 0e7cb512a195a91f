#include "host/report/narrative/html.hpp"

#include <fmt/format.h>

#include "host/report/results/escape.hpp"

namespace moecarlo {
namespace {

constexpr const char* style = R"css(
:root { color-scheme: light dark; --ink: #1f2933; --muted: #52606d; --page: #f5f7f9; --card: #ffffff; --line: #dfe4ea;
  --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --muted: #a3afbb; --page: #12171d; --card: #1b222a;
  --line: #313b46; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.55; font-size: 16px;
  font-family: Inter, system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 21px; margin: 56px 0 16px; padding-top: 16px; border-top: 1px solid var(--line); }
.subtitle { color: var(--muted); font-size: 17px; margin: 6px 0 20px; }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 14px; margin-bottom: 28px; }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
.answer { background: var(--card); border-left: 4px solid var(--accent); border-radius: 0 8px 8px 0; padding: 8px 24px;
  font-size: 17px; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 14px; margin: 28px 0; }
.key div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 18px; }
.key dt { font-size: 13.5px; color: var(--muted); }
.key dd { margin: 0; font-size: 12.5px; color: var(--muted); }
.key dd.value { font-size: 28px; font-weight: 650; color: var(--ink); font-variant-numeric: tabular-nums; line-height: 1.3; }
figure { margin: 24px 0; background: #ffffff; border: 1px solid var(--line); border-radius: 8px; padding: 10px 10px 0;
  break-inside: avoid; }
figure svg { display: block; width: 100%; height: auto; max-width: 860px; margin: 0 auto; }
figcaption { color: #52606d; font-size: 14px; padding: 4px 28px 18px; max-width: 860px; margin: 0 auto; }
.table { margin: 24px 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; width: fit-content;
  min-width: min(100%, 520px); max-width: 100%; }
th:last-child, td:last-child { padding-right: 16px; }
.table p { color: var(--muted); font-size: 14px; margin: 0; padding: 12px 16px; width: 0; min-width: 100%; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
td:not(.words) { word-spacing: -0.1em; }
th:first-child, td:first-child { padding-left: 16px; }
th, td { padding: 6px 8px; border-top: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; white-space: normal; }
th.words, td.words { text-align: left; }
td.long { white-space: normal; min-width: 16em; }
.notes li { margin: 6px 0; }
@media (max-width: 640px) { main { padding: 24px 14px 40px; } h1 { font-size: 24px; } .answer { font-size: 16px; } }
@media print { body { background: #ffffff; font-size: 11pt; } main { max-width: none; padding: 0; } nav { display: none; }
  .scroll { overflow: visible; } table { font-size: 8pt; } th, td { padding: 2px 6px; white-space: normal; }
  h2, .table p { break-after: avoid; } tr { break-inside: avoid; } }
)css";

std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading) {
    if (c == ' ') anchor += '-';
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) anchor += c;
    if (c >= 'A' && c <= 'Z') anchor += static_cast<char>(c - 'A' + 'a');
  }
  return anchor;
}

std::string written(const Heading& heading) {
  return fmt::format("<h2 id=\"{}\">{}</h2>\n", anchor_of(heading.text), escape_xml(heading.text));
}

std::string written(const Paragraph& paragraph) {
  return fmt::format("<p>{}</p>\n", escape_xml(paragraph.text));
}

std::string written(const Answer& answer) {
  std::string text = "<section class=\"answer\">\n";
  for (const std::string& paragraph : answer.paragraphs) text += fmt::format("<p>{}</p>\n", escape_xml(paragraph));
  return text + "</section>\n";
}

std::string written(const KeyFigures& key) {
  std::string text = "<dl class=\"key\">\n";
  for (const KeyFigure& figure : key.figures) {
    text += fmt::format("<div><dt>{}</dt><dd class=\"value\">{}</dd><dd>{}</dd><dd>{}</dd></div>\n",
                        escape_xml(figure.label), escape_xml(figure.value), escape_xml(figure.intervals),
                        escape_xml(figure.condition));
  }
  return text + "</dl>\n";
}

std::string row_text(const Table& table, const std::vector<std::string>& cells, const char* tag) {
  constexpr std::size_t long_text = 60;
  std::string text = "<tr>";
  for (std::size_t column = 0; column < cells.size(); ++column) {
    std::string kind = column < table.text_columns ? "words" : "";
    if (cells[column].size() > long_text) kind += " long";
    text += fmt::format("<{0}{1}>{2}</{0}>", tag, kind.empty() ? "" : fmt::format(" class=\"{}\"", kind),
                        escape_xml(cells[column]));
  }
  return text + "</tr>\n";
}

std::string written(const Table& table) {
  std::string text =
      fmt::format("<div class=\"table\"><p>{}</p><div class=\"scroll\"><table>\n", escape_xml(table.caption));
  bool has_header = false;
  for (const std::string& title : table.header) has_header = has_header || !title.empty();
  if (has_header) text += "<thead>" + row_text(table, table.header, "th") + "</thead>\n";
  text += "<tbody>\n";
  for (const auto& row : table.rows) text += row_text(table, row, "td");
  return text + "</tbody></table></div></div>\n";
}

std::string written(const Bullets& bullets) {
  std::string text = "<ul class=\"notes\">\n";
  for (const std::string& item : bullets.items) text += fmt::format("<li>{}</li>\n", escape_xml(item));
  return text + "</ul>\n";
}

std::string written(const Figure& figure) {
  return fmt::format("<figure>\n{}<figcaption>{}</figcaption>\n</figure>\n", figure.svg, escape_xml(figure.caption));
}

std::string navigation(const Document& document) {
  std::string text = "<nav>";
  for (const Block& block : document.blocks) {
    if (const auto* heading = std::get_if<Heading>(&block)) {
      text += fmt::format("<a href=\"#{}\">{}</a>", anchor_of(heading->text), escape_xml(heading->text));
    }
  }
  return text + "</nav>\n";
}

}  // namespace

std::string html(const Document& document) {
  const std::string title = escape_xml(document.title);
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"/>\n<title>{0}</title>\n<style>{1}</style>\n"
      "</head>\n<body>\n<main>\n<h1>{0}</h1>\n<p class=\"subtitle\">{2}</p>\n{3}",
      title, style, escape_xml(document.subtitle), navigation(document));
  for (const Block& block : document.blocks) {
    text += std::visit([](const auto& content) { return written(content); }, block);
  }
  return text + "</main>\n</body>\n</html>\n";
}

}  // namespace moecarlo
