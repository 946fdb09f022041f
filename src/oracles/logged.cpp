// A black box whose every answer is kept before it is used, and found again.
#include <crease/answer_log.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "src/digest.hpp"

namespace crease {
namespace {

constexpr Index kChunkBytes = Index{64} << 20;  // of points that are asked because others are known

/// Where the points of a question are: calls `use` with row and coordinates of one after the other.
using UsePoint = std::function<void(Index row, const double* x)>;
using WalkPoints = std::function<void(const UsePoint& use)>;

/// Points as line_points() and fan_points() make them, bit for bit: the product is rounded.
void add_scaled(const double* origin, double step, const double* direction,
                std::vector<double>& x) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double along = step * direction[i];
    x[i] = origin[i] + along;
  }
}

class LoggedOracle final : public Oracle {
 public:
  LoggedOracle(std::unique_ptr<Oracle> oracle, AnswerLog* log, const PastAnswers* past, Index batch)
      : oracle_(std::move(oracle)),
        log_(log),
        past_(past),
        batch_(batch),
        columns_(oracle_->output_dim() * (oracle_->answer_kind().sigmas ? 2 : 1)) {}

  Index input_dim() const override { return oracle_->input_dim(); }
  Index output_dim() const override { return oracle_->output_dim(); }
  Index reused() const override { return reused_ + oracle_->reused(); }

  AnswerKind answer_kind() const override { return oracle_->answer_kind(); }

  /// In parts of at most batch_ points, each kept by itself. Where one fails, all will be asked
  /// for again: then the parts before it count as not asked for yet.
  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    const Index most = batch_ > 0 ? batch_ : x.rows;
    std::vector<Given> given;
    const auto take_back = [&] {
      for (const Given& part : given) {
        --times_[part.question];
        reused_ -= part.reused;
      }
    };
    try {
      for (Index first = 0; first < x.rows; first += most) {
        const Index count = std::min(most, x.rows - first);
        const Index before = reused_;
        const auto question =
            answer_part(device, x.row_block(first, count), y.row_block(first, count));
        if (!question) {
          take_back();  // not finite: who asks will see it
          given.clear();
          continue;
        }
        given.push_back({*question, reused_ - before});
      }
    } catch (...) {
      take_back();
      throw;
    }
  }

  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override {
    const HostMatrix origin = download(device, line.origin);
    const HostMatrix direction = download(device, line.direction);
    const HostMatrix steps = download(device, t);
    const Digest question = Digester().add("line").add(origin).add(direction).add(steps).digest();
    const auto ask = [&] { return oracle_->answer_line(device, line, t, y); };
    const auto walk = [&](const UsePoint& use) {
      walk_line(origin.row(0), direction.row(0), steps, 0, steps.rows(), use);
    };
    return serve(device, question, y, knows_line_, ask, walk) != Served::left;
  }

  bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) override {
    const HostMatrix origins = download(device, lines.origins);
    const HostMatrix directions = download(device, lines.directions);
    const HostMatrix steps = download(device, t);
    Digester digester;
    digester.add("lines").add(origins).add(directions).add(steps);
    for (const Index first : lines.first) digester.add(first);
    const auto ask = [&] { return oracle_->answer_lines(device, lines, t, y); };
    const auto walk = [&](const UsePoint& use) {
      for (Index l = 0; l < origins.rows(); ++l) {
        const auto begin = static_cast<std::size_t>(l);
        walk_line(origins.row(l), directions.row(l), steps, lines.first[begin],
                  lines.first[begin + 1], use);
      }
    };
    return serve(device, digester.digest(), y, knows_lines_, ask, walk) != Served::left;
  }

  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    const HostMatrix centers = download(device, fan.centers);
    const HostMatrix directions = download(device, fan.directions);
    const HostMatrix steps = download(device, fan.steps);
    const Digest question = Digester().add("fan").add(centers).add(directions).add(steps).digest();
    const auto ask = [&] { return oracle_->answer_fan(device, fan, y); };
    const auto walk = [&](const UsePoint& use) {
      std::vector<double> x(static_cast<std::size_t>(input_dim()));
      for (Index i = 0; i < centers.rows(); ++i) {
        for (Index j = 0; j < directions.rows(); ++j) {
          add_scaled(centers.row(i), steps(i, j), directions.row(j), x);
          use(i * directions.rows() + j, x.data());
        }
      }
    };
    return serve(device, question, y, knows_fan_, ask, walk) != Served::left;
  }

 private:
  using Key = std::pair<std::uint64_t, std::uint64_t>;
  enum class Served {
    left,   // the oracle leaves the structure to its points
    given,  // answers that are not finite: nobody keeps them
    kept
  };
  struct Given {
    Key question;
    Index reused;
  };

  static Key key_of(const Digest& question) { return {question.high, question.low}; }

  /// The question, if its answers were kept.
  std::optional<Key> answer_part(Device& device, ConstDeviceView x, DeviceView y) {
    const HostMatrix points = download(device, x);
    const Digest question = Digester().add("points").add(points).digest();
    const auto ask = [&] {
      oracle_->answer(device, x, y);
      return true;
    };
    const auto walk = [&](const UsePoint& use) {
      for (Index i = 0; i < points.rows(); ++i) use(i, points.row(i));
    };
    bool known = true;
    if (serve(device, question, y, known, ask, walk) != Served::kept) return std::nullopt;
    return key_of(question);
  }

  void walk_line(const double* origin, const double* direction, const HostMatrix& t, Index begin,
                 Index end, const UsePoint& use) const {
    std::vector<double> x(static_cast<std::size_t>(input_dim()));
    for (Index i = begin; i < end; ++i) {
      add_scaled(origin, t(i, 0), direction, x);
      use(i, x.data());
    }
  }

  static std::vector<Digest> digests(const WalkPoints& walk, Index rows, Index d) {
    std::vector<Digest> points(static_cast<std::size_t>(rows));
    walk([&](Index row, const double* x) {
      points[static_cast<std::size_t>(row)] = digest_of_point(x, d);
    });
    return points;
  }

  /// Fills y from the log, from the past, or by asking; false where the oracle left the structure
  /// to its points. `known` is whether it is known to answer such a question, and is set.
  template <class Ask>
  Served serve(Device& device, const Digest& question, DeviceView y, bool& known, const Ask& ask,
               const WalkPoints& walk) {
    Index& asked_before = times_[key_of(question)];
    if (log_ != nullptr) {
      if (const auto kept = log_->find(question, asked_before)) {
        require(kept->answers.rows() == y.rows, "a log's answers do not fit their question");
        known = true;
        device.copy_in(kept->answers, y);
        reused_ += kept->reused;
        ++asked_before;
        return Served::kept;
      }
      if (known) log_->require_all_found();
      log_->reserve(y.rows);
    }
    std::vector<Digest> points;
    Index found = 0;
    if (past_ != nullptr) {
      points = digests(walk, y.rows, input_dim());
      found = std::count_if(points.begin(), points.end(),
                            [&](const Digest& point) { return past_->find(point) != nullptr; });
    }
    HostMatrix answers;
    if (found == 0) {
      if (!ask()) return Served::left;
      known = true;
      answers = download(device, y);
    } else {
      answers = complete(device, points, y.rows - found, walk);
      device.copy_in(answers, y);
    }
    if (!can_be_kept(answers)) return Served::given;
    if (log_ != nullptr) {
      if (points.empty()) points = digests(walk, y.rows, input_dim());
      log_->keep(question, asked_before, points, answers, found);
    }
    reused_ += found;
    ++asked_before;
    return Served::kept;
  }

  /// Finite, but for standard deviations, which may be infinite.
  bool can_be_kept(const HostMatrix& answers) const {
    const Index p = output_dim();
    for (Index i = 0; i < answers.rows(); ++i) {
      for (Index o = 0; o < answers.cols(); ++o) {
        const double value = answers(i, o);
        if (std::isnan(value) || (o < p && std::isinf(value))) return false;
      }
    }
    return true;
  }

  /// What the past knows, and the rest asked as points.
  HostMatrix complete(Device& device, const std::vector<Digest>& points, Index missing,
                      const WalkPoints& walk) {
    const Index d = input_dim();
    const Index p = columns_;
    HostMatrix answers(static_cast<Index>(points.size()), p);
    const Index row_size = (d + p) * static_cast<Index>(sizeof(double));
    HostMatrix chunk(std::min(missing, std::max<Index>(1, kChunkBytes / row_size)), d);
    std::vector<Index> rows;
    const auto ask = [&] {
      const auto n = static_cast<Index>(rows.size());
      if (n == 0) return;
      const DeviceMatrix x = upload(device, ConstHostView(chunk).row_block(0, n));
      DeviceMatrix y(device, n, p);
      oracle_->answer(device, x, y);
      const HostMatrix values = download(device, y);
      for (Index i = 0; i < n; ++i) {
        std::copy_n(values.row(i), p, answers.row(rows[static_cast<std::size_t>(i)]));
      }
      rows.clear();
    };
    walk([&](Index row, const double* x) {
      if (const double* there = past_->find(points[static_cast<std::size_t>(row)])) {
        std::copy_n(there, p, answers.row(row));
        return;
      }
      std::copy_n(x, d, chunk.row(static_cast<Index>(rows.size())));
      rows.push_back(row);
      if (static_cast<Index>(rows.size()) == chunk.rows()) ask();
    });
    ask();
    return answers;
  }

  std::unique_ptr<Oracle> oracle_;
  AnswerLog* log_;
  const PastAnswers* past_;
  Index batch_;
  Index columns_;  // of an answer
  Index reused_ = 0;
  bool knows_line_ = false;
  bool knows_lines_ = false;
  bool knows_fan_ = false;
  std::map<Key, Index> times_;  // each question was answered so far
};

}  // namespace

std::unique_ptr<Oracle> make_logged_oracle(std::unique_ptr<Oracle> oracle, AnswerLog* log,
                                           const PastAnswers* past, Index batch) {
  require(batch >= 0, "make_logged_oracle: batch must not be negative");
  require(oracle != nullptr, "make_logged_oracle: there must be an oracle");
  return std::make_unique<LoggedOracle>(std::move(oracle), log, past, batch);
}

}  // namespace crease
