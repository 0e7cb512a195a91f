#include "hw/calibrate/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"
#include "hw/model/model.hpp"

namespace moecarlo::cli {
namespace {

using hw::CalibratedPoint;
using hw::Calibration;
using Json = nlohmann::ordered_json;

struct Options {
  std::string points, study, machine, model, output;
  std::vector<std::string> fits;
  double zipf = 1, tolerance = 0.15, context = 1024;
  bool json = false;
};

hw::CalibrationSetup setup_of(const Options& options, const std::vector<hw::MeasuredPoint>& points) {
  hw::CalibrationSetup setup;
  std::string model = options.model.empty() ? points.front().model : options.model;
  setup.context = options.context;
  if (!options.study.empty()) {
    const Study study = read_study(options.study);
    if (!study.hardware) fail(ErrorKind::usage, "{}: no [hardware] (expected its model and context)", options.study);
    if (options.model.empty()) model = study.hardware->model;
    setup.context = study.hardware->context;
  }
  setup.model = hw::read_model(model);
  const std::string machine = options.machine.empty() ? points.front().machine : options.machine;
  setup.system = hw::read_preset(hw::find_preset("systems", machine));
  setup.fits = options.fits;
  setup.zipf = options.zipf;
  setup.tolerance = options.tolerance;
  return setup;
}

/// The machine with what was fitted in place of its own constants.
std::string fitted_toml(const Calibration& calibration, const hw::CalibrationSetup& setup, const Options& options) {
  std::string text = fmt::format("# {} fitted to the points of {}.\n", setup.system.name, options.points);
  const bool is_file = setup.system.file.find('/') != std::string::npos && !options.machine.empty() &&
                       options.machine.find(".toml") != std::string::npos;
  std::string tables;
  for (const hw::FittedConstant& one : calibration.fitted) {
    const std::size_t dot = one.key.find('.');
    if (one.key == hw::kRoutingZipf) {
      text += fmt::format("# Routing: popularity of the i-th expert i^-{:.4g} ({:.4g} to {:.4g}).\n", one.value,
                          one.low, one.high);
      continue;
    }
    tables += fmt::format(
        "\n[{}]\n{} = {{ value = {}, unit = \"{}\", status = \"fitted\", source = \"{}: {:.4g} to {:.4g} as its points "
        "move by their uncertainty\" }}\n",
        one.key.substr(0, dot), one.key.substr(dot + 1), one.value, one.unit, options.points, one.low, one.high);
  }
  return text + fmt::format("extends = \"{}\"\n", is_file ? setup.system.file : setup.system.name) + tables;
}

Json to_json(const Calibration& calibration) {
  Json json{{"fitted", Json::array()}, {"points", Json::array()}};
  for (const hw::FittedConstant& one : calibration.fitted) {
    json["fitted"].push_back(
        {{"constant", one.key}, {"value", one.value}, {"unit", one.unit}, {"low", one.low}, {"high", one.high}});
  }
  for (const CalibratedPoint& point : calibration.points) {
    json["points"].push_back({{"use", point.measured.fits ? "fit" : "predict"},
                              {"batch", point.measured.batch},
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
  say("{:<8} {:<8} capacity {:>5g} batch {:>3}: {} measured {:.4g}, ours {:.4g} ({:.4g} to {:.4g}{}) {:+.1f} %\n",
      point.verdict.empty() ? "fitted" : point.verdict, measured.policy, measured.capacity, measured.batch,
      measured.quantity, measured.value, point.ours, point.low, point.high, left_out,
      100 * (point.ours / measured.value - 1));
}

void print_text(const Calibration& calibration, double tolerance) {
  std::vector<CalibratedPoint> points = calibration.points;
  std::stable_sort(points.begin(), points.end(), [](const auto& a, const auto& b) {
    return (a.verdict == "fail") > (b.verdict == "fail");  // what failed comes first
  });
  for (const CalibratedPoint& point : points) print_point(point);
  for (const hw::FittedConstant& one : calibration.fitted) {
    say("fitted {} = {:.4g} {} ({:.4g} to {:.4g})\n", one.key, one.value, one.unit, one.low, one.high);
  }
  const auto count = [&](const char* verdict) {
    return std::count_if(points.begin(), points.end(), [&](const auto& point) { return point.verdict == verdict; });
  };
  say("{} passed, {} failed, {} not sure at {:.0f} %; routing by popularity i^-{:.3g}, no trace stands in\n",
      count("pass"), count("fail"), count("not sure"), 100 * tolerance, calibration.zipf);
}

void run(const Options& options, const Common& common) {
  const std::vector<hw::MeasuredPoint> points = hw::read_measured_points(options.points);
  const hw::CalibrationSetup setup = setup_of(options, points);
  const Calibration calibration = hw::calibrate(setup, points);
  if (options.json) {
    say_json(to_json(calibration));
  } else {
    print_text(calibration, setup.tolerance);
  }
  if (options.output.empty()) return;
  write_atomically(options.output, fitted_toml(calibration, setup, options));
  if (!common.quiet) remark("machine: {}\n", options.output);
}

}  // namespace

void add_calibrate(CLI::App& app, const Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("calibrate", "Fit a machine's constants to measured points and predict the others");
  command->add_option("POINTS", options->points, "Measured points, a CSV file")->required();
  command->add_option("--study", options->study, "Study whose hardware model and context are taken");
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
  command->add_option("-o,--output", options->output, "Preset file for the machine with what was fitted");
  command->add_flag("--json", options->json, "Print JSON on stdout");
  command->footer("Example: moecarlo calibrate measured.csv --hardware mi210-x2 --fit overhead.layer,routing.zipf");
  command->callback([options, &common] { run(*options, common); });
}

}  // namespace moecarlo::cli
