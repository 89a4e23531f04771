#include "runtime/lab/bench/plots.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <stdexcept>

namespace sluice::bench {

namespace {

constexpr double width = 720;
constexpr double height = 420;
constexpr double left = 80;
constexpr double right = 20;
constexpr double top = 40;
constexpr double bottom = 150;

// Distinguishable with red-green colour blindness, on a white and on a black background.
constexpr std::array line_colors{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56a0d3"};

constexpr const char* style =
  "<style>text{font:13px sans-serif;fill:#222}.grid{stroke:#ccc;stroke-width:1}.axis{stroke:#666;stroke-width:1}"
  ".title{font-weight:bold}@media (prefers-color-scheme:dark){text{fill:#ddd}.grid{stroke:#444}.axis{stroke:#999}}"
  "</style>";

std::string escaped(const std::string& text) {
  std::string result;
  for (auto c : text)
    switch (c) {
    case '<': result += "&lt;"; break;
    case '>': result += "&gt;"; break;
    case '&': result += "&amp;"; break;
    case '"': result += "&quot;"; break;
    default: result += c;
    }
  return result;
}

std::string short_number(double number) {
  if (number >= 1e6)
    return fmt::format("{:g}M", number / 1e6);
  return number >= 1e3 ? fmt::format("{:g}k", number / 1e3) : fmt::format("{:g}", number);
}

// Positions of a logarithmic axis between two places on the page.
class log_axis {
public:
  log_axis(double least, double most, double from, double to)
    : least_(std::log10(least)), range_(std::max(1e-9, std::log10(most) - least_)), from_(from), to_(to) {}

  double at(double value) const { return from_ + (std::log10(value) - least_) / range_ * (to_ - from_); }

private:
  double least_, range_, from_, to_;
};

struct extent {
  double least = 1e300;
  double most = 1e-300;

  void add(double value) {
    least = std::min(least, value);
    most = std::max(most, value);
  }
};

void draw_y_axis(std::string& out, const log_axis& y, const extent& range) {
  for (auto power = std::floor(std::log10(range.least)); power <= std::ceil(std::log10(range.most)); ++power) {
    auto value = std::pow(10, power);
    out += fmt::format("<line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>", left,
                       width - right, y.at(value));
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>", left - 8, y.at(value) + 4,
                       short_number(value));
  }
}

void draw_x_axis(std::string& out, const log_axis& x_axis, const std::vector<double>& values) {
  for (auto value : values) {
    out += fmt::format("<line class=\"axis\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>", x_axis.at(value),
                       height - bottom, height - bottom + 5);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", x_axis.at(value),
                       height - bottom + 20, short_number(value));
  }
}

void draw_line(std::string& out, const plot_line& line, size_t place, const log_axis& x_axis, const log_axis& y_axis) {
  const auto* color = line_colors[place % line_colors.size()];
  std::string points;
  for (const auto& [at_x, at_y] : line.points) {
    points += fmt::format("{:.1f},{:.1f} ", x_axis.at(at_x), y_axis.at(at_y));
    out +=
      fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>", x_axis.at(at_x), y_axis.at(at_y), color);
  }
  out += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>", points, color);
  // The legend has two columns below the plot.
  auto legend_x = left + static_cast<double>(place % 2) * (width - left - right) / 2;
  auto legend_y = height - bottom + 64 + static_cast<double>(place / 2) * 22;
  out += fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" stroke=\"{3}\" stroke-width=\"3\"/>", legend_x,
                     legend_x + 18, legend_y - 4, color);
  out += fmt::format("<text x=\"{}\" y=\"{}\">{}</text>", legend_x + 24, legend_y, escaped(line.name));
}

using figure_of = std::function<double(const contender_result&)>;

std::vector<plot_line> lines_of(const std::vector<const case_result*>& family, const figure_of& figure) {
  std::vector<plot_line> result;
  for (const auto* one_case : family)
    for (const auto& found : one_case->contenders) {
      auto value = figure(found);
      if (value <= 0)
        continue;
      auto line =
        std::find_if(result.begin(), result.end(), [&](const auto& known) { return known.name == found.name; });
      if (line == result.end())
        line = result.insert(result.end(), {found.name, {}});
      line->points.emplace_back(static_cast<double>(one_case->size), value);
    }
  for (auto& line : result)
    std::sort(line.points.begin(), line.points.end());
  return result;
}

std::filesystem::path write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out{file, std::ios::binary};
  out << text;
  out.close();
  if (!out)
    throw std::runtime_error{"cannot write the plot " + file.string()};
  return file;
}

} // namespace

std::string draw(const plot& chart) {
  extent across, up;
  std::vector<double> sizes;
  for (const auto& line : chart.lines)
    for (const auto& [at_x, at_y] : line.points) {
      across.add(at_x);
      up.add(at_y);
      sizes.push_back(at_x);
    }
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  auto out =
    fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\"><title>{}</title>", width,
                height, escaped(chart.title));
  out += style;
  out += fmt::format("<text class=\"title\" x=\"{}\" y=\"22\">{}</text>", left, escaped(chart.title));
  if (!sizes.empty()) {
    log_axis to_right{across.least, across.most, left + 20, width - right - 20};
    log_axis to_top{std::pow(10, std::floor(std::log10(up.least))), std::pow(10, std::ceil(std::log10(up.most))),
                    height - bottom, top};
    draw_y_axis(out, to_top, up);
    draw_x_axis(out, to_right, sizes);
    for (size_t i = 0; i < chart.lines.size(); ++i)
      draw_line(out, chart.lines[i], i, to_right, to_top);
  }
  out += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", (left + width - right) / 2,
                     height - bottom + 40, escaped(chart.x_label));
  out += fmt::format("<text transform=\"translate(18 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                     (top + height - bottom) / 2, escaped(chart.y_label));
  return out + "</svg>\n";
}

std::vector<std::filesystem::path> write_plots(const std::vector<case_result>& all,
                                               const std::filesystem::path& folder) {
  std::map<std::string, std::vector<const case_result*>> families;
  for (const auto& one_case : all)
    if (!one_case.family.empty())
      families[one_case.family].push_back(&one_case);
  std::vector<std::filesystem::path> result;
  for (const auto& [name, members] : families) {
    if (members.size() < 2)
      continue;
    const auto& x_label = members.front()->size_label;
    auto p99 = [](const contender_result& contender) { return quantile(contender.latencies(), 0.99); };
    plot rates{"Rate: " + name, x_label, "operations per second", lines_of(members, &contender_result::per_second)};
    plot times{"p99 of one operation: " + name, x_label, "microseconds", lines_of(members, p99)};
    result.push_back(write_file(folder / ("rate-" + name + ".svg"), draw(rates)));
    result.push_back(write_file(folder / ("p99-" + name + ".svg"), draw(times)));
  }
  return result;
}

} // namespace sluice::bench
