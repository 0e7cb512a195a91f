#include "host/report/narrative/html.hpp"

#include <fmt/format.h>

#include "host/report/charts/palette.hpp"
#include "host/report/results/escape.hpp"

namespace moecarlo {
namespace {

constexpr const char* style = R"css(
:root { color-scheme: light dark; --ink: #1f2933; --muted: #52606d; --page: #f5f7f9; --card: #ffffff; --line: #dfe4ea;
  --accent: #00609a; --axis: #7b8794; --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #b5599b; --c4: #e69f00;
  --c5: #56b4e9; --c7: #8c6d1f; --rest: #b0b9c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaef; --muted: #a9b4c0; --page: #12171d; --card: #1b222a;
  --line: #313b46; --accent: #66bdf0; --axis: #8592a0; --c0: #56a8e0; --c1: #ff8a3c; --c2: #2cc79b; --c3: #dc8cc6;
  --c4: #f2b632; --c5: #8fd0f5; --c7: #c9a655; --rest: #8d98a5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.55; font-size: 16px;
  font-family: Inter, system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 30px; line-height: 1.2; letter-spacing: -0.01em; margin: 0; overflow-wrap: anywhere; }
h2 { display: inline; font-size: 19px; margin: 0; }
.subtitle { color: var(--muted); font-size: 17px; margin: 6px 0 20px; }
.verdict { font-size: 22px; line-height: 1.35; font-weight: 600; margin: 20px 0; border-left: 4px solid var(--accent);
  padding-left: 16px; }
.files { font-size: 14px; }
details { border-top: 1px solid var(--line); }
summary { cursor: pointer; padding: 14px 0; }
summary:focus-visible, a:focus-visible, .scroll:focus-visible, figure:focus-visible { outline: 3px solid var(--accent);
  outline-offset: 2px; }
details > :last-child { margin-bottom: 28px; }
a { color: var(--accent); }
.answer { background: var(--card); border-radius: 8px; padding: 8px 24px; }
.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 14px; margin: 28px 0; }
.key div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 14px 18px; }
.key dt { font-size: 13.5px; color: var(--muted); }
.key dd { margin: 0; font-size: 12.5px; color: var(--muted); }
.key dd.value { font-size: 28px; font-weight: 650; color: var(--ink); font-variant-numeric: tabular-nums; line-height: 1.3; }
figure { margin: 24px 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 10px 10px 0;
  break-inside: avoid; overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; min-width: 640px; max-width: 860px; margin: 0 auto; }
figcaption { color: var(--muted); font-size: 14px; padding: 4px 28px 18px; max-width: 860px; margin: 0 auto;
  position: sticky; left: 0; }
.table { margin: 24px 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; width: fit-content;
  min-width: min(100%, 520px); max-width: 100%; }
th:last-child, td:last-child { padding-right: 16px; }
caption { text-align: left; color: var(--muted); font-size: 14px; }
caption span { display: block; position: sticky; left: 0; padding: 12px 16px; max-width: min(calc(100vw - 32px), 990px); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; }
td:not(.words) { word-spacing: -0.1em; }
th:first-child, td:first-child { padding-left: 16px; }
th, td { padding: 6px 8px; border-top: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; white-space: normal; }
tbody th { font-weight: 400; white-space: nowrap; }
tbody th, td { vertical-align: top; }
th.words, td.words { text-align: left; }
.wraps td, .wraps td.long { white-space: normal; min-width: 6.5em; text-align: left; }
.wraps th { text-align: left; }
th.long, td.long { white-space: normal; min-width: 16em; text-align: left; }
.notes li { margin: 6px 0; }
@media (max-width: 640px) { main { padding: 24px 14px 40px; } h1 { font-size: 24px; } .verdict { font-size: 18px; }
  figcaption { padding: 4px 6px 14px; max-width: calc(100vw - 50px); } }
@page { margin: 18mm 15mm; }
@media print { :root { --ink: #000000; --muted: #444444; --page: #ffffff; --card: #ffffff; --line: #cccccc; }
  body { font-size: 10pt; } main { max-width: none; padding: 0; } details:not([open]) { display: none; }
  .scroll, figure { overflow: visible; } figure svg { min-width: 0; }
  table { font-size: 7pt; } th, td, tbody th { padding: 2px 4px; white-space: normal; }
  th.long, td.long { min-width: 8em; } caption span { max-width: none; } tr { break-inside: avoid; } }
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

/// A question whose evidence is folded; what follows up to the next heading is inside.
std::string html_of(const Heading& heading) {
  return fmt::format("<details><summary><h2 id=\"{}\">{}</h2></summary>\n", anchor_of(heading.text),
                     escape_xml(heading.text));
}

std::string html_of(const VerdictLine& verdict) {
  return fmt::format("<p class=\"verdict\">{}</p>\n", escape_xml(verdict.text));
}

std::string html_of(const FileLinks& links) {
  std::string text = "<p class=\"files\">All figures in full:";
  for (const std::string& file : links.files) {
    text += fmt::format(" <a href=\"{0}\">{0}</a>{1}", file, &file == &links.files.back() ? "" : ",");
  }
  return text + ". <a href=\"#definitions\">What each figure is</a>.</p>\n";
}

std::string html_of(const Paragraph& paragraph) {
  return fmt::format("<p>{}</p>\n", escape_xml(paragraph.text));
}

std::string html_of(const Answer& answer) {
  std::string text = "<section class=\"answer\">\n";
  for (const std::string& paragraph : answer.paragraphs) text += fmt::format("<p>{}</p>\n", escape_xml(paragraph));
  return text + "</section>\n";
}

std::string html_of(const KeyFigures& key) {
  std::string text = "<dl class=\"key\">\n";
  for (const KeyFigure& figure : key.figures) {
    text += fmt::format("<div><dt>{}</dt><dd class=\"value\">{}</dd><dd>{}</dd><dd>{}</dd></div>\n",
                        escape_xml(figure.label), escape_xml(figure.value), escape_xml(figure.intervals),
                        escape_xml(figure.condition));
  }
  return text + "</dl>\n";
}

/// Column headings have their scope, and so has the first cell of a row, which names it.
std::string row_text(const Table& table, const std::vector<std::string>& cells, bool is_header) {
  constexpr std::size_t long_text = 60;
  std::string text = "<tr>";
  for (std::size_t column = 0; column < cells.size(); ++column) {
    std::string kind = column < table.text_columns ? "words" : "";
    if (cells[column].size() > long_text) kind += kind.empty() ? "long" : " long";
    const bool names_row = !is_header && column == 0;
    const char* tag = is_header && !cells[column].empty() ? "th scope=\"col\"" : names_row ? "th scope=\"row\"" : "td";
    text += fmt::format("<{}{}>{}</{}>", tag, kind.empty() ? "" : fmt::format(" class=\"{}\"", kind),
                        escape_xml(cells[column]), std::string_view(tag, 2));
  }
  return text + "</tr>\n";
}

/// The table scrolls inside itself, also by keyboard. `id`: where links lead, may be empty.
std::string table_text(const Table& table, const std::string& id) {
  std::string text = fmt::format(
      "<div class=\"table{3}\"{0}><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{1}\"><table>\n"
      "<caption><span>{2}</span></caption>\n",
      id.empty() ? "" : fmt::format(" id=\"{}\"", id), escape_xml(table.caption.substr(0, table.caption.find(':'))),
      escape_xml(table.caption), table.wraps ? " wraps" : "");
  bool has_header = false;
  for (const std::string& title : table.header) has_header = has_header || !title.empty();
  if (has_header) text += "<thead>" + row_text(table, table.header, true) + "</thead>\n";
  text += "<tbody>\n";
  for (const auto& row : table.rows) text += row_text(table, row, false);
  return text + "</tbody></table></div></div>\n";
}

std::string html_of(const Table& table) {
  return table_text(table, "");
}

std::string html_of(const Definitions& definitions) {
  Table table{"What each figure is: summed over all before one is divided by the other",
              {"figure", "unit", "what is counted or computed", "divided by"},
              4,
              {}};
  for (const auto& entry : definitions.entries) {
    table.rows.push_back({entry.name, entry.unit, entry.definition, entry.denominator});
  }
  return table_text(table, "definitions");
}

std::string html_of(const Bullets& bullets) {
  std::string text = "<ul class=\"notes\">\n";
  for (const std::string& item : bullets.items) text += fmt::format("<li>{}</li>\n", escape_xml(item));
  return text + "</ul>\n";
}

/// The picture in the page's colours: charts have a fixed set of them, and each has its variable in the style above.
std::string in_page_colours(std::string svg) {
  static const std::vector<std::pair<std::string, std::string>> names = [] {
    std::vector<std::pair<std::string, std::string>> all{{colours::paper, "card"},  {colours::ink, "ink"},
                                                         {colours::muted, "muted"}, {colours::axis, "axis"},
                                                         {colours::grid, "line"},   {colours::neutral, "rest"}};
    for (const std::size_t category : {0, 1, 2, 3, 4, 5, 7}) {
      all.emplace_back(category_colour(category), fmt::format("c{}", category));
    }
    return all;
  }();
  for (const auto& [colour, name] : names) {
    const std::string from = '"' + colour + '"', to = fmt::format("\"var(--{})\"", name);
    for (std::size_t at = svg.find(from); at != std::string::npos; at = svg.find(from, at + to.size())) {
      svg.replace(at, from.size(), to);
    }
  }
  return svg;
}

std::string html_of(const Figure& figure) {
  return fmt::format(
      "<figure tabindex=\"0\">\n{}<figcaption>{} <a href=\"figures/{}.svg\">SVG</a></figcaption>\n</figure>\n",
      in_page_colours(figure.svg), escape_xml(figure.caption), figure.id);
}

/// The blocks, each question closed before the next.
std::string body(const Document& document) {
  std::string text;
  bool open = false;
  for (const Block& block : document.blocks) {
    if (std::holds_alternative<Heading>(block)) {
      text += open ? "</details>\n" : "";
      open = true;
    }
    text += std::visit([](const auto& content) { return html_of(content); }, block);
  }
  return text + (open ? "</details>\n" : "");
}

}  // namespace

std::string html(const Document& document) {
  const std::string title = escape_xml(document.title);
  std::string text = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"/>\n<title>{0}</title>\n<style>{1}</style>\n"
      "</head>\n<body>\n<main>\n<h1>{0}</h1>\n<p class=\"subtitle\">{2}</p>\n",
      title, style, escape_xml(document.subtitle));
  return text + body(document) + "</main>\n</body>\n</html>\n";
}

}  // namespace moecarlo
