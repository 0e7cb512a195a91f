#include "hw/calibrate/calibrate.hpp"
#include "hw/calibrate/verify_width.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/cli/commands.hpp"
#include "host/cli/output.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/counted_points.hpp"
#include "host/study/names.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"
#include "hw/model/model.hpp"

namespace moecarlo::cli {
namespace {

using hw::CalibratedPoint;
using hw::Calibration;
using Json = nlohmann::ordered_json;

struct CalibrateOptions {
  std::string points, study, machine, model, scheme;
  Output output;
  std::vector<std::string> fits;
  double zipf = 1, tolerance = 0.15, context = 1024;
  bool json = false;
};

/// What is predicted with, and where its routing comes from.
struct Prepared {
  hw::CalibrationSetup setup;
  std::vector<hw::MeasuredPoint> points;
  std::string routing;
};

bool drafts(const std::vector<hw::MeasuredPoint>& points) {
  return std::any_of(points.begin(), points.end(), [](const auto& point) { return point.depth > 0; });
}

/// The scheme that points with a depth draft by: the one that was asked for, else the study's first that drafts.
std::optional<hw::Scheme> drafter_of(const CalibrateOptions& options, const std::optional<Study>& study) {
  if (!options.scheme.empty()) {
    hw::Scheme scheme = hw::find_scheme(options.scheme);
    if (!scheme.drafts) fail(ErrorKind::usage, "calibrate: --scheme {} does not draft", options.scheme);
    return scheme;
  }
  if (!study || !study->hardware) return std::nullopt;
  for (const std::string& name : study->hardware->schemes) {
    if (hw::Scheme scheme = hw::find_scheme(name); scheme.drafts) return scheme;
  }
  return std::nullopt;
}

/// What a study says of cells that are empty: whatever it has one of alone.
hw::UnknownCells unknown_of(const Study& study) {
  hw::UnknownCells unknown;
  const auto alone = [](const std::vector<std::uint32_t>& list) {
    return list.size() == 1 ? std::optional<double>(list.front()) : std::nullopt;
  };
  unknown.batch = alone(study.grid.batch);
  unknown.depth = alone(study.grid.depth);
  unknown.capacity = alone(study.grid.capacity);
  if (study.grid.policy.size() == 1) unknown.policy = to_string(study.grid.policy.front());
  if (!study.hardware) return unknown;
  unknown.model = study.hardware->model;
  if (study.hardware->systems.size() == 1) unknown.machine = study.hardware->systems.front();
  return unknown;
}

/// The one that is asked for, or that all points have.
std::string one_of_all(const std::string& asked, const std::vector<hw::MeasuredPoint>& points,
                       std::string hw::MeasuredPoint::*which, const char* option) {
  if (!asked.empty()) return asked;
  for (const hw::MeasuredPoint& point : points) {
    if (point.*which != points.front().*which)
      fail(ErrorKind::usage, "{}: points of '{}' and of '{}' (expected one alone, or {})", point.place,
           points.front().*which, point.*which, option);
  }
  return points.front().*which;
}

Prepared prepare(const CalibrateOptions& options) {
  Prepared prepared;
  hw::CalibrationSetup& setup = prepared.setup;
  std::optional<Study> study;
  if (!options.study.empty()) study = read_study(options.study);
  prepared.points = hw::read_measured_points(options.points, study ? unknown_of(*study) : hw::UnknownCells{});
  const bool hardware = study && study->hardware;
  setup.context = hardware ? study->hardware->context : options.context;
  const std::string asked = options.model.empty() && hardware ? study->hardware->model : options.model;
  setup.model = hw::read_model(one_of_all(asked, prepared.points, &hw::MeasuredPoint::model, "--model"));
  const std::string machine = one_of_all(options.machine, prepared.points, &hw::MeasuredPoint::machine, "--hardware");
  setup.system = hw::read_preset(hw::find_preset("systems", machine));
  setup.fits = options.fits;
  setup.zipf = options.zipf;
  setup.tolerance = options.tolerance;
  if (drafts(prepared.points)) setup.drafter = drafter_of(options, study);
  if (!study) return prepared;
  setup.bits = study->grid.bits.front();
  prepared.routing = count_measured_points(*study, setup.model, prepared.points);
  return prepared;
}

std::string band_of(const hw::FittedConstant& one) {
  constexpr double beyond_sense = 1e6;  // between the ends of a band
  if (one.high > beyond_sense * one.low) return "the points do not determine it";
  return fmt::format("{:.4g} to {:.4g}", one.low, one.high);
}

/// The machine with what was fitted in place of its own constants.
std::string fitted_toml(const Calibration& calibration, const hw::CalibrationSetup& setup,
                        const CalibrateOptions& options) {
  std::string text = fmt::format("# {} fitted to the points of {}.\n", setup.system.name, options.points);
  const bool is_file = options.machine.find(".toml") != std::string::npos;
  std::string tables;
  for (const hw::FittedConstant& one : calibration.fitted) {
    const std::size_t dot = one.key.find('.');
    if (one.key == hw::kRoutingZipf) {
      text += fmt::format("# Routing: popularity of the i-th expert i^-{:.4g} ({}).\n", one.value, band_of(one));
      continue;
    }
    tables += fmt::format(
        "\n[{}]\n{} = {{ value = {}, unit = \"{}\", status = \"fitted\", source = \"{}: {} as its points move by "
        "their uncertainty\" }}\n",
        one.key.substr(0, dot), one.key.substr(dot + 1), one.value, one.unit, options.points, band_of(one));
  }
  std::string base = setup.system.name;
  if (is_file) {  // beside the file that extends it
    const auto folder = std::filesystem::absolute(options.output.path).parent_path();
    base = "./" + std::filesystem::absolute(setup.system.file).lexically_proximate(folder).string();
  }
  return text + fmt::format("extends = \"{}\"\n", base) + tables;
}

/// Whose routing it is that hits and misses were found with.
std::string routing_of(const Calibration& calibration, const std::string& trace) {
  if (!trace.empty()) return "counted on " + trace;
  return fmt::format("no trace stands in: independent tokens, popularity i^-{:.3g}", calibration.zipf);
}

Json to_json(const Calibration& calibration, const std::string& routing) {
  Json json{{"routing", routing}, {"fitted", Json::array()}, {"points", Json::array()}};
  for (const hw::FittedConstant& one : calibration.fitted) {
    json["fitted"].push_back(
        {{"constant", one.key}, {"value", one.value}, {"unit", one.unit}, {"low", one.low}, {"high", one.high}});
  }
  for (const CalibratedPoint& point : calibration.points) {
    json["points"].push_back({{"use", point.measured.fits ? "fit" : "predict"},
                              {"batch", point.measured.batch},
                              {"depth", point.measured.depth},
                              {"policy", point.measured.policy},
                              {"capacity", point.measured.capacity},
                              {"quantity", point.measured.quantity},
                              {"measured", point.measured.value},
                              {"ours", point.ours},
                              {"low", point.low},
                              {"high", point.high},
                              {"left_out", point.left_out ? Json(*point.left_out) : Json()},
                              {"verdict", point.verdict.empty() ? Json() : Json(point.verdict)}});
  }
  return json;
}

void print_point(const CalibratedPoint& point) {
  const hw::MeasuredPoint& measured = point.measured;
  const std::string left_out = point.left_out ? fmt::format(", without it {:.4g}", *point.left_out) : "";
  say("{:<8} {:<8} capacity {:>5g} batch {:>3} depth {}: {} measured {:.4g}, ours {:.4g} ({:.4g} to {:.4g}{}) {:+.1f} "
      "%\n",
      point.verdict.empty() ? "fitted" : point.verdict, measured.policy, measured.capacity, measured.batch,
      measured.depth, measured.quantity, measured.value, point.ours, point.low, point.high, left_out,
      100 * (point.ours / measured.value - 1));
}

void print_text(const Calibration& calibration, double tolerance, const std::string& routing) {
  std::vector<CalibratedPoint> points = calibration.points;
  std::stable_sort(points.begin(), points.end(), [](const auto& a, const auto& b) {
    return (a.verdict == "fail") > (b.verdict == "fail");  // what failed comes first
  });
  for (const CalibratedPoint& point : points) print_point(point);
  for (const hw::FittedConstant& one : calibration.fitted) {
    say("fitted {} = {:.4g} {} ({})\n", one.key, one.value, one.unit, band_of(one));
  }
  const auto count = [&](const char* verdict) {
    return std::count_if(points.begin(), points.end(), [&](const auto& point) { return point.verdict == verdict; });
  };
  say("{} passed, {} failed, {} not sure at {:.0f} %; routing: {}\n", count("pass"), count("fail"), count("not sure"),
      100 * tolerance, routing);
}

Json to_json(const std::vector<hw::WidthPoint>& points) {
  Json rows = Json::array();
  for (const hw::WidthPoint& point : points) {
    const bool judged = point.row.width == 1 || point.verdict != "cannot be judged";
    rows.push_back({{"use", point.row.width == 1 ? "fit" : "predict"},
                    {"model", point.row.model},
                    {"machine", point.row.machine},
                    {"verify_width", point.row.width},
                    {"quantity", "ratio to width 1"},
                    {"measured", point.measured},
                    {"ours", judged ? Json(point.ours) : Json()},
                    {"low", judged ? Json(point.low) : Json()},
                    {"high", judged ? Json(point.high) : Json()},
                    {"verdict", point.verdict.empty() ? Json() : Json(point.verdict)},
                    {"reason", point.reason}});
  }
  return rows;
}

void print_widths(std::vector<hw::WidthPoint> points, double zipf) {
  std::stable_sort(points.begin(), points.end(), [](const auto& a, const auto& b) {
    return (a.verdict == "fail") > (b.verdict == "fail");  // what failed comes first
  });
  for (const hw::WidthPoint& point : points) {
    if (point.row.width == 1) continue;
    say("{:<16} {} on {}, {} rows: {:.3f} times one row", point.verdict, point.row.model, point.row.machine,
        point.row.width, point.measured);
    if (point.verdict != "cannot be judged")
      say(", ours {:.3f} (every weight read once) to {:.3f} (for each row)", point.low, point.high);
    say("{}{}\n", point.reason.empty() ? "" : ": ", point.reason);
  }
  say("routing: no trace stands in: independent tokens, popularity i^-{:.3g}\n", zipf);
}

void run_widths(const CalibrateOptions& options) {
  if (!options.fits.empty() || options.output.is_asked() || !options.study.empty())
    fail(ErrorKind::usage, "{}: rows by verify width are ratios (expected no --fit, --study or -o beside them)",
         options.points);
  hw::WidthSetup setup;
  setup.zipf = options.zipf;
  setup.context = options.context;
  const std::vector<hw::WidthPoint> points = hw::judge_widths(hw::read_width_rows(options.points), setup);
  if (options.json) {
    say_json(Json{{"fitted", Json::array()}, {"points", to_json(points)}});
  } else {
    print_widths(points, setup.zipf);
  }
}

void run(const CalibrateOptions& options, const Common& common) {
  if (hw::holds_width_rows(options.points)) {
    run_widths(options);
    return;
  }
  if (options.output.is_asked()) expect_new_file(options.output);
  const auto [setup, points, trace] = prepare(options);
  const Calibration calibration = hw::calibrate(setup, points);
  const std::string routing = routing_of(calibration, trace);
  if (options.json) {
    say_json(to_json(calibration, routing));
  } else {
    print_text(calibration, setup.tolerance, routing);
  }
  if (!options.output.is_asked()) return;
  write_atomically(options.output.path, fitted_toml(calibration, setup, options));
  if (!common.quiet) remark("machine: {}\n", options.output.path);
}

}  // namespace

void add_calibrate(CLI::App& app, const Common& common) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* command =
      app.add_subcommand("calibrate", "Fit a machine's constants to measured points and predict the others");
  command->add_option("POINTS", options->points, "Measured points, a CSV file; or passes by verify width")->required();
  command->add_option("--study", options->study,
                      "Study whose trace, acceptance, model, context and drafting scheme are taken");
  command->add_option("--scheme", options->scheme, "Scheme that points with a depth draft by; default: the study's");
  command->add_option("--model", options->model, "Model preset or config.json; default: the study's, the points'");
  command->add_option("--hardware", options->machine, "System preset or file; default: the points' machine");
  command->add_option("--fit", options->fits, "Up to three constants, e.g. overhead.layer,pcie.efficiency,routing.zipf")
      ->delimiter(',');
  command->add_option("--zipf", options->zipf, "Popularity exponent of the routing to start from")
      ->check(CLI::Range(0.0, 10.0));
  command->add_option("--context", options->context, "Cached tokens of points that name none, without a study")
      ->check(CLI::Range(0.0, 1e8));
  command->add_option("--tolerance", options->tolerance, "Relative error that a prediction may have")
      ->check(CLI::Range(0.0, 10.0));
  add_output(*command, options->output, "Preset file for the machine with what was fitted");
  command->add_flag("--json", options->json, "Print JSON on stdout");
  command->footer("Example: moecarlo calibrate measured.csv --hardware mi210-x2 --fit overhead.layer,routing.zipf");
  command->callback([options, &common] { run(*options, common); });
}

}  // namespace moecarlo::cli
