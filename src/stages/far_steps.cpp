// A scan of lines from far out: halving of cells whose ends differ, then bisection.
#include "src/stages/far_steps.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/ops.hpp"
#include "src/stages/numbers.hpp"

namespace crease {
namespace {

constexpr double kChange = 8;  // deviations that tell two values apart
constexpr double kRelativeChange = 1e-11;
constexpr double kStep = 24;  // deviations of a step that is worth measuring
constexpr double kRelativeStep = 1e-8;
constexpr double kNearCells = 2;  // of the finest length: cells of one step
constexpr int kBisections = 18;

/// Part of a line, and F at its ends.
struct Cell {
  Index line = 0;
  double low = 0;
  double high = 0;
  double at_low = 0;
  double at_high = 0;
  double length() const { return high - low; }
  double middle() const { return 0.5 * (low + high); }
};

struct Probe {
  Index line;
  double t;
};

struct Range {
  double low;
  double high;
};

class Scan {
 public:
  Scan(Asker& asker, const std::vector<FarLine>& lines, const std::vector<KnownStep>& known,
       const StepScan& plan, double& size)
      : asker_(asker), lines_(lines), known_(known), plan_(plan), size_(size) {}

  std::vector<FarStep> steps() {
    const std::vector<Cell> changing = halved(first_cells());
    std::vector<Cell> found = taken_together(changing);
    measure_ends(found);
    return half_way(std::move(found));
  }

 private:
  std::vector<double> point(const Probe& probe) const {
    const FarLine& line = lines_[static_cast<std::size_t>(probe.line)];
    std::vector<double> x = line.origin;
    for (std::size_t j = 0; j < x.size(); ++j) x[j] += probe.t * line.direction[j];
    return x;
  }

  std::vector<double> values(const std::vector<Probe>& probes) {
    Device& device = asker_.device();
    const Index d = asker_.inputs();
    const auto most = static_cast<std::size_t>(asker_.rows_at_once(1 + d));
    std::vector<double> all;
    while (all.size() < probes.size()) {
      const std::size_t first = all.size();
      HostMatrix x(0, d);
      for (std::size_t i = first; i < std::min(first + most, probes.size()); ++i) {
        x.append_row(point(probes[i]).data(), d);
      }
      const Round round = first == 0 ? Round::next : Round::same;
      const HostMatrix y = download(device, asker_.points(upload(device, x), round));
      all.insert(all.end(), y.data(), y.data() + y.rows());
    }
    for (const double value : all) size_ = std::max(size_, std::fabs(value));
    return all;
  }

  bool changes(const Cell& cell) const {
    return std::fabs(cell.at_high - cell.at_low) >
           std::max(kChange * plan_.sigma, kRelativeChange * size_);
  }

  /// Where known steps are on a line.
  std::vector<Range> hidden_on(const FarLine& line) const {
    std::vector<Range> hidden;
    for (const KnownStep& step : known_) {
      const double start = dot(step.normal, line.origin);
      const double rate = dot(step.normal, line.direction);
      const double one = (step.low - start) / rate;
      const double other = (step.high - start) / rate;
      if (std::isfinite(one) && std::isfinite(other)) {
        hidden.push_back({std::min(one, other), std::max(one, other)});
      }
    }
    return hidden;
  }

  /// Cells of all lines between points of equal angles, and between them and known steps.
  std::vector<Cell> first_cells() {
    std::vector<Cell> cells;
    const double end = std::atan(plan_.reach);
    for (Index l = 0; l < static_cast<Index>(lines_.size()); ++l) {
      const std::vector<Range> hidden = hidden_on(lines_[static_cast<std::size_t>(l)]);
      std::vector<double> t;
      for (Index k = 0; k <= plan_.cells; ++k) {
        const double part = static_cast<double>(k) / static_cast<double>(plan_.cells);
        t.push_back(plan_.radius * std::tan(end * (2 * part - 1)));
      }
      const double last = t.back();
      for (const Range& range : hidden) {
        for (const double bound : {range.low, range.high}) {
          if (std::fabs(bound) < last) t.push_back(bound);
        }
      }
      std::sort(t.begin(), t.end());
      for (std::size_t k = 0; k + 1 < t.size(); ++k) {
        const Cell cell{l, t[k], t[k + 1]};
        if (std::none_of(hidden.begin(), hidden.end(), [&](const Range& range) {
              return range.low < cell.middle() && cell.middle() < range.high;
            })) {
          cells.push_back(cell);
        }
      }
    }
    measure_ends(cells);
    return changing_only(cells);
  }

  /// F at the ends, neighbours' common ends once.
  void measure_ends(std::vector<Cell>& cells) {
    std::vector<Probe> probes;
    std::vector<std::size_t> first;
    for (const Cell& cell : cells) {
      const bool shared =
          !probes.empty() && probes.back().line == cell.line && probes.back().t == cell.low;
      if (!shared) probes.push_back({cell.line, cell.low});
      first.push_back(probes.size() - 1);
      probes.push_back({cell.line, cell.high});
    }
    const std::vector<double> y = values(probes);
    for (std::size_t c = 0; c < cells.size(); ++c) {
      cells[c].at_low = y[first[c]];
      cells[c].at_high = y[first[c] + 1];
    }
  }

  std::vector<Cell> changing_only(const std::vector<Cell>& cells) const {
    std::vector<Cell> kept;
    for (const Cell& cell : cells) {
      if (changes(cell)) kept.push_back(cell);
    }
    return kept;
  }

  /// Without lines that change nearly everywhere: those are not made of steps.
  std::vector<Cell> without_crowded(const std::vector<Cell>& cells) const {
    std::vector<Index> count(lines_.size());
    for (const Cell& cell : cells) ++count[static_cast<std::size_t>(cell.line)];
    std::vector<Cell> kept;
    for (const Cell& cell : cells) {
      if (count[static_cast<std::size_t>(cell.line)] <= plan_.most_cells) kept.push_back(cell);
    }
    return kept;
  }

  std::vector<Cell> halved(std::vector<Cell> cells) {
    while (true) {
      std::vector<Probe> middles;
      for (const Cell& cell : cells) {
        if (cell.length() > plan_.finest) middles.push_back({cell.line, cell.middle()});
      }
      if (middles.empty()) return cells;
      const std::vector<double> y = values(middles);
      std::vector<Cell> next;
      std::size_t asked = 0;
      for (const Cell& cell : cells) {
        if (!(cell.length() > plan_.finest)) {
          next.push_back(cell);
          continue;
        }
        const double at_middle = y[asked++];
        next.push_back({cell.line, cell.low, cell.middle(), cell.at_low, at_middle});
        next.push_back({cell.line, cell.middle(), cell.high, at_middle, cell.at_high});
      }
      cells = without_crowded(changing_only(next));
    }
  }

  /// One cell a step, with the finest length added on both sides: there F should be constant.
  std::vector<Cell> taken_together(std::vector<Cell> cells) const {
    std::sort(cells.begin(), cells.end(), [](const Cell& a, const Cell& b) {
      return std::pair(a.line, a.low) < std::pair(b.line, b.low);
    });
    std::vector<Cell> steps;
    for (const Cell& cell : cells) {
      if (!steps.empty() && steps.back().line == cell.line &&
          cell.low - steps.back().high <= kNearCells * plan_.finest) {
        steps.back().high = cell.high;
      } else {
        steps.push_back(cell);
      }
    }
    std::vector<Cell> kept;
    for (Cell& step : steps) {
      step.low -= plan_.finest;
      step.high += plan_.finest;
      if (step.length() <= plan_.longest) kept.push_back(step);
    }
    return kept;
  }

  std::vector<FarStep> half_way(std::vector<Cell> cells) {
    const double least = std::max(kStep * plan_.sigma, kRelativeStep * size_);
    std::erase_if(
        cells, [&](const Cell& cell) { return !(std::fabs(cell.at_high - cell.at_low) > least); });
    std::vector<FarStep> steps;
    std::vector<Index> on_line(lines_.size());
    for (const Cell& cell : cells) {
      ++on_line[static_cast<std::size_t>(cell.line)];
      FarStep step;
      step.direction = lines_[static_cast<std::size_t>(cell.line)].direction;
      step.before = cell.at_low;
      step.after = cell.at_high;
      step.length = cell.length();
      steps.push_back(std::move(step));
    }
    if (plan_.most_steps > 0 &&
        *std::max_element(on_line.begin(), on_line.end()) > plan_.most_steps) {
      return steps;
    }
    for (int level = 0; level < kBisections; ++level) {
      std::vector<Probe> middles;
      for (const Cell& cell : cells) middles.push_back({cell.line, cell.middle()});
      const std::vector<double> y = values(middles);
      for (std::size_t c = 0; c < cells.size(); ++c) {
        const double half = 0.5 * (steps[c].before + steps[c].after);
        const bool beyond = (y[c] > half) == (steps[c].after > steps[c].before);
        (beyond ? cells[c].high : cells[c].low) = middles[c].t;
      }
    }
    for (std::size_t c = 0; c < cells.size(); ++c) {
      steps[c].at = point({cells[c].line, cells[c].middle()});
    }
    return steps;
  }

  Asker& asker_;
  const std::vector<FarLine>& lines_;
  const std::vector<KnownStep>& known_;
  const StepScan& plan_;
  double& size_;
};

}  // namespace

std::vector<FarStep> far_steps(Asker& asker, const std::vector<FarLine>& lines,
                               const std::vector<KnownStep>& known, const StepScan& scan,
                               double& size) {
  return Scan(asker, lines, known, scan, size).steps();
}

}  // namespace crease
