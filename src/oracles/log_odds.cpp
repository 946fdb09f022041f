// The logits behind a black box that answers probabilities, modulo their common function.
#include <cmath>
#include <utility>

#include "kernels/answer_format.hpp"
#include "kernels/odds.hpp"
#include "kernels/ops.hpp"
#include "src/oracles/changed_answers.hpp"

namespace crease {
namespace {

using Kind = Imperfection::Kind;

constexpr int kMostDecimalsFound = 10;
constexpr Index kEnough = 4096;  // numbers seen, after which their format is believed
constexpr double kQuanta = 20;   // q: a probability below this many says too little

/// What all numbers seen so far are in; the first that fits, from the coarsest on.
class FormatFinder {
 public:
  void see(double number) {
    ++seen_;
    while (decimals_ <= kMostDecimalsFound && !is_in(number, Kind::decimals)) ++decimals_;
    float16_ = float16_ && is_in(number, Kind::float16);
    float32_ = float32_ && is_in(number, Kind::float32);
  }
  Imperfection found() const {
    Imperfection format;
    if (decimals_ <= kMostDecimalsFound) {
      format.kind = Kind::decimals;
      format.decimals = decimals_;
    } else if (float16_) {
      format.kind = Kind::float16;
    } else if (float32_) {
      format.kind = Kind::float32;
    }
    return format;
  }
  bool settled() const { return found().kind == Kind::float64 || seen_ >= kEnough; }

 private:
  bool is_in(double number, Kind kind) const {
    const double scale = kind == Kind::decimals ? power_of_ten(decimals_) : 1;
    return in_format(number, kind, scale) == number;
  }

  Index seen_ = 0;
  int decimals_ = 0;
  bool float16_ = true;
  bool float32_ = true;
};

OddsFormat odds_format(bool logarithms, const Imperfection& format) {
  switch (format.kind) {
    case Kind::float32:
      return {logarithms, 0, 0x1p-24, 1.2e-38};
    case Kind::float16:
      return {logarithms, 0, 0x1p-11, 6.2e-5};
    case Kind::decimals: {
      const double q = 0.5 / power_of_ten(format.decimals);
      return {logarithms, q, 0x1p-53, kQuanta * q};
    }
    default:
      return {logarithms, 0, 0x1p-53, 2.3e-308};
  }
}

std::string name_of(const Imperfection& format) {
  switch (format.kind) {
    case Kind::float32:
      return "float32";
    case Kind::float16:
      return "float16";
    case Kind::decimals:
      return "decimal " + std::to_string(format.decimals);
    default:
      return "float64";
  }
}

class LogOddsOracle final : public ChangedAnswers {
 public:
  LogOddsOracle(std::unique_ptr<Oracle> probabilities, const LogOddsOptions& options)
      : ChangedAnswers(std::move(probabilities)),
        outputs_(output_dim()),
        logarithms_(options.logarithms),
        format_(options.format) {}

  AnswerKind answer_kind() const override {
    std::string format;
    if (logarithms_) {
      format = *logarithms_ ? "log-probabilities" : "probabilities";
      format += " " + name_of(format_ ? *format_ : finder_.found());
    }
    return {true, std::move(format), "the common function of the outputs"};
  }

 private:
  DeviceView place_of_answers(DeviceView y) const override {
    require(y.cols == 2 * outputs_,
            "the log-odds of an oracle come with their standard deviations: 2 p columns");
    return y.col_block(0, outputs_);
  }

  void change(Device& device, DeviceView y) override {
    if (y.rows == 0) return;
    if (!logarithms_ || (!format_ && !finder_.settled())) {
      find_out(download(device, y.col_block(0, outputs_)));
    }
    log_odds(device, odds_format(*logarithms_, format_ ? *format_ : finder_.found()), y);
    const Index row = first_non_finite_row(device, y.col_block(0, outputs_));
    if (row >= 0) complain(row, y.rows, download(device, y.row_block(row, 1)));
  }

  void find_out(const HostMatrix& numbers) {
    if (!logarithms_) {
      logarithms_ = false;
      for (Index o = 0; o < outputs_; ++o) *logarithms_ = *logarithms_ || numbers(0, o) < 0;
    }
    for (Index i = 0; i < numbers.size() && !format_; ++i) {
      const double number = numbers.data()[i];
      const bool inside =
          *logarithms_ ? number < 0 && std::isfinite(number) : number > 0 && number < 1;
      if (inside) finder_.see(number);
    }
  }

  [[noreturn]] void complain(Index row, Index rows, const HostMatrix& wrong) const {
    const double number = wrong(0, outputs_ + 1);
    const std::string what = *logarithms_ ? "log-probabilities" : "probabilities";
    const std::string fault = wrong(0, outputs_) == kSumIsWrong
                                  ? "the probabilities add up to " + std::to_string(number)
                                  : "it holds " + std::to_string(number);
    throw OracleError("the black box does not answer " + what + ": row " + std::to_string(row) +
                      " of a batch of " + std::to_string(rows) + ": " + fault);
  }

  Index outputs_;
  std::optional<bool> logarithms_;
  std::optional<Imperfection> format_;
  FormatFinder finder_;
};

}  // namespace

std::unique_ptr<Oracle> make_log_odds_oracle(std::unique_ptr<Oracle> probabilities,
                                             const LogOddsOptions& options) {
  require(probabilities != nullptr, "make_log_odds_oracle: there must be an oracle");
  require(probabilities->output_dim() >= 2,
          "make_log_odds_oracle: one probability alone has no odds: needs two outputs or more");
  require(!probabilities->answer_kind().sigmas,
          "make_log_odds_oracle: the answers must come without their standard deviations");
  if (options.format) {
    require(options.format->kind != Kind::noise,
            "make_log_odds_oracle: probabilities may be rounded, but not noisy");
    require(
        options.format->decimals >= 0 && options.format->decimals <= Imperfection::kMostDecimals,
        "make_log_odds_oracle: decimals must be between 0 and 22");
  }
  return std::make_unique<LogOddsOracle>(std::move(probabilities), options);
}

}  // namespace crease
