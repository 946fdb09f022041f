// A black box through a log: what is asked, what is kept, and whose bits come out.
#include <crease/answer_log.hpp>

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>

#include "src/digest.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

constexpr Index kInputs = 3;
constexpr Index kOutputs = 2;

/// Counts what it is asked; may know lines and fans, fail, or answer NaN.
struct Box {
  Index points = 0;
  Index lines = 0;
  Index fans = 0;
  bool knows_structure = true;
  Index fails_at = -1;  // points asked before
  Index nan_at = -1;
  double shift = 0;  // of the answers; structured ones are shifted by half as much again

  Index asked() const { return points + lines + fans; }
};

class BoxOracle final : public Oracle {
 public:
  explicit BoxOracle(Box& box) : box_(box) {}
  Index input_dim() const override { return kInputs; }
  Index output_dim() const override { return kOutputs; }

  void answer(Device& device, ConstDeviceView x, DeviceView y) override {
    if (box_.fails_at >= 0 && box_.points + x.rows > box_.fails_at) {
      throw OracleError("out of order");
    }
    give(device, download(device, x), 1, y);
    box_.points += x.rows;
  }
  bool answer_lines(Device& device, const Lines& lines, ConstDeviceView t, DeviceView y) override {
    if (!box_.knows_structure) return false;
    HostMatrix x(t.rows, kInputs);
    const HostMatrix steps = download(device, t);
    for (Index l = 0; l < lines.origins.rows; ++l) {
      const HostMatrix origin = download(device, lines.line(l).origin);
      const HostMatrix direction = download(device, lines.line(l).direction);
      const auto at = static_cast<std::size_t>(l);
      for (Index i = lines.first[at]; i < lines.first[at + 1]; ++i) {
        for (Index c = 0; c < kInputs; ++c) x(i, c) = origin(0, c) + steps(i, 0) * direction(0, c);
      }
    }
    give(device, x, 1.5, y);
    box_.lines += t.rows;
    return true;
  }
  bool answer_line(Device& device, const Line& line, ConstDeviceView t, DeviceView y) override {
    const std::array<Index, 2> all = {0, t.rows};
    return answer_lines(device, {line.origin, line.direction, all}, t, y);
  }
  bool answer_fan(Device& device, const Fan& fan, DeviceView y) override {
    if (!box_.knows_structure) return false;
    const HostMatrix centers = download(device, fan.centers);
    const HostMatrix directions = download(device, fan.directions);
    const HostMatrix steps = download(device, fan.steps);
    HostMatrix x(y.rows, kInputs);
    for (Index row = 0; row < y.rows; ++row) {
      const Index i = row / directions.rows();
      const Index j = row % directions.rows();
      for (Index c = 0; c < kInputs; ++c) {
        x(row, c) = centers(i, c) + steps(i, j) * directions(j, c);
      }
    }
    give(device, x, 1.5, y);
    box_.fans += y.rows;
    return true;
  }

 private:
  /// (x0 + x1 + x2 + shift, x0 - x1)
  void give(Device& device, const HostMatrix& x, double structure, DeviceView y) const {
    HostMatrix values(x.rows(), kOutputs);
    for (Index i = 0; i < x.rows(); ++i) {
      values(i, 0) = x(i, 0) + x(i, 1) + x(i, 2) + structure * box_.shift;
      values(i, 1) = x(i, 0) - x(i, 1);
      if (box_.nan_at >= 0 && box_.points + i >= box_.nan_at) values(i, 1) = NAN;
    }
    device.copy_in(values, y);
  }

  Box& box_;
};

LogIdentity identity(const std::string& seed = "1") {
  return {"box", kInputs, kOutputs, {{"seed", seed}}, "no budget"};
}

HostMatrix some_points(Index n, double first = 0) {
  HostMatrix x(n, kInputs);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = first + 0.37 * static_cast<double>(i);
  return x;
}

class LoggedOracleTest : public EveryBackend {
 protected:
  std::string file(const std::string& name = "log") const { return folder_.file(name); }

  std::unique_ptr<Oracle> logged(Box& box, AnswerLog* log, const PastAnswers* past = nullptr,
                                 Index batch = 0) const {
    return make_logged_oracle(std::make_unique<BoxOracle>(box), log, past, batch);
  }

  HostMatrix points(Oracle& oracle, const HostMatrix& x) {
    const DeviceMatrix on_device = upload(device(), x);
    DeviceMatrix y(device(), x.rows(), kOutputs);
    oracle.answer(device(), on_device, y);
    return download(device(), y);
  }
  std::optional<HostMatrix> lines(Oracle& oracle, double first = 0) {
    const DeviceMatrix origins = upload(device(), HostMatrix{{1, 2, 3}, {0.1, 0.2, first}});
    const DeviceMatrix directions = upload(device(), HostMatrix{{1, 0, 0}, {0.3, 0.7, 0.9}});
    const DeviceMatrix t = upload(device(), HostMatrix{{0.1}, {0.2}, {0.3}, {0.7}, {1.1}});
    const std::array<Index, 3> places = {0, 2, 5};
    DeviceMatrix y(device(), 5, kOutputs);
    if (!oracle.answer_lines(device(), {origins, directions, places}, t, y)) return std::nullopt;
    return download(device(), y);
  }
  std::optional<HostMatrix> line(Oracle& oracle) {
    const DeviceMatrix origin = upload(device(), HostMatrix{{1, 2, 3}});
    const DeviceMatrix direction = upload(device(), HostMatrix{{1, 0, 0}});
    const DeviceMatrix t = upload(device(), HostMatrix{{0.1}, {0.2}});
    DeviceMatrix y(device(), 2, kOutputs);
    if (!oracle.answer_line(device(), {origin, direction}, t, y)) return std::nullopt;
    return download(device(), y);
  }
  std::optional<HostMatrix> fan(Oracle& oracle) {
    const DeviceMatrix centers = upload(device(), HostMatrix{{1, 2, 3}, {4, 5, 6}});
    const DeviceMatrix directions = upload(device(), HostMatrix{{1, 0, 0}, {0.3, 0.7, 0.9}});
    const DeviceMatrix steps = upload(device(), HostMatrix{{0.1, 0.2}, {0.3, 0.7}});
    DeviceMatrix y(device(), 4, kOutputs);
    if (!oracle.answer_fan(device(), {centers, directions, steps}, y)) return std::nullopt;
    return download(device(), y);
  }

  TemporaryFolder folder_;
};
CREASE_ON_EVERY_BACKEND(LoggedOracleTest);

TEST_P(LoggedOracleTest, AQuestionReachesTheBoxAsItWasAskedAndOnceOnly) {
  Box box;
  BoxOracle plain(box);
  const HostMatrix of_points = points(plain, some_points(7));
  const HostMatrix of_lines = *lines(plain);
  const HostMatrix of_line = *line(plain);
  const HostMatrix of_fan = *fan(plain);
  for (int run = 0; run < 2; ++run) {
    Box again;
    AnswerLog log(file(), identity());
    const auto oracle = logged(again, &log);
    EXPECT_EQ(oracle->input_dim(), kInputs);
    EXPECT_EQ(oracle->output_dim(), kOutputs);
    EXPECT_TRUE(same_bits(points(*oracle, some_points(7)), of_points));
    EXPECT_TRUE(same_bits(*lines(*oracle), of_lines));
    EXPECT_TRUE(same_bits(*line(*oracle), of_line));
    EXPECT_TRUE(same_bits(*fan(*oracle), of_fan));
    EXPECT_EQ(again.points, run == 0 ? 7 : 0);
    EXPECT_EQ(again.lines, run == 0 ? 7 : 0);
    EXPECT_EQ(again.fans, run == 0 ? 4 : 0);
    EXPECT_EQ(oracle->reused(), 0);
  }
}

TEST_P(LoggedOracleTest, ABoxWithoutStructureIsLeftToItsPoints) {
  Box box;
  box.knows_structure = false;
  for (int run = 0; run < 2; ++run) {
    AnswerLog log(file(), identity());
    const auto oracle = logged(box, &log);
    EXPECT_FALSE(lines(*oracle));
    EXPECT_FALSE(line(*oracle));
    EXPECT_FALSE(fan(*oracle));
    points(*oracle, some_points(4));
    EXPECT_EQ(log.answers(), 4);
    EXPECT_EQ(box.asked(), 4);
  }
}

TEST_P(LoggedOracleTest, ABoxThatAnswersTheSameOtherwiseTheSecondTimeIsReplayedAsItWas) {
  HostMatrix first, second;
  {
    Box box;
    AnswerLog log(file(), identity());
    const auto oracle = logged(box, &log);
    first = points(*oracle, some_points(2));
    box.shift = 1;
    second = points(*oracle, some_points(2));
    EXPECT_EQ(box.points, 4);
  }
  EXPECT_FALSE(same_bits(first, second));
  Box box;
  AnswerLog log(file(), identity());
  const auto oracle = logged(box, &log);
  EXPECT_TRUE(same_bits(points(*oracle, some_points(2)), first));
  EXPECT_TRUE(same_bits(points(*oracle, some_points(2)), second));
  EXPECT_EQ(box.asked(), 0);
}

TEST_P(LoggedOracleTest, AnotherQuestionThanTheOneLoggedIsRefusedBeforeItIsAsked) {
  Box box;
  {
    AnswerLog log(file(), identity());
    const auto oracle = logged(box, &log);
    points(*oracle, some_points(2));
    lines(*oracle);
    points(*oracle, some_points(3));
  }
  const Index asked = box.asked();
  AnswerLog log(file(), identity());
  const auto oracle = logged(box, &log);
  points(*oracle, some_points(2));
  EXPECT_THROW(points(*oracle, some_points(3, 0.5)), FileError);
  lines(*oracle);
  EXPECT_THROW(lines(*oracle, 0.5), FileError);
  EXPECT_EQ(box.asked(), asked);
  points(*oracle, some_points(3));
  points(*oracle, some_points(3, 0.5));
  EXPECT_EQ(box.asked(), asked + 3);
}

TEST_P(LoggedOracleTest, WhatFailedIsNotKeptAndAskedAgain) {
  Box box;
  AnswerLog log(file(), identity());
  const auto oracle = logged(box, &log);
  box.fails_at = 0;
  EXPECT_THROW(points(*oracle, some_points(2)), OracleError);
  EXPECT_EQ(log.answers(), 0);
  box.fails_at = -1;
  box.nan_at = 0;
  EXPECT_TRUE(std::isnan(points(*oracle, some_points(2))(1, 1)));
  EXPECT_EQ(log.answers(), 0);
  box.nan_at = -1;
  points(*oracle, some_points(2));
  EXPECT_EQ(log.answers(), 2);
}

TEST_P(LoggedOracleTest, PartsOfABatchThatFailedAreNotAskedAgain) {
  for (const bool throws : {true, false}) {
    const std::string path = file(throws ? "throws" : "nan");
    Box box;
    const HostMatrix x = some_points(10);
    {
      AnswerLog log(path, identity());
      const auto oracle = logged(box, &log, nullptr, 3);
      (throws ? box.fails_at : box.nan_at) = 5;
      if (throws) {
        EXPECT_THROW(points(*oracle, x), OracleError);
      } else {
        EXPECT_TRUE(std::isnan(points(*oracle, x)(5, 1)));
      }
      EXPECT_EQ(log.answers(), 3);  // the first part; the second has a point that failed
      box = Box();
      const HostMatrix y = points(*oracle, x);
      EXPECT_EQ(y(9, 0), x(9, 0) + x(9, 1) + x(9, 2));
      EXPECT_EQ(box.points, 7);
      EXPECT_EQ(log.answers(), 10);
    }
    AnswerLog log(path, identity());
    points(*logged(box, &log, nullptr, 3), x);
    EXPECT_EQ(box.points, 7);
  }
}

TEST_P(LoggedOracleTest, PointsThatAnotherRunAskedAreNotAsked) {
  Box box;
  {
    AnswerLog log(file("past"), identity());
    const auto oracle = logged(box, &log);
    points(*oracle, some_points(4));
    lines(*oracle);
    fan(*oracle);
  }
  PastAnswers past;
  past.add(file("past"), identity("2"));
  EXPECT_EQ(past.size(), 4 + 5 + 4 - 1);  // a line and the fan share a point

  // From points to lines and fans, and the other way: the same points have the same bits.
  Box again;
  again.shift = 100;  // what is asked now is told by it
  HostMatrix first;
  {
    AnswerLog log(file(), identity("2"));
    const auto oracle = logged(again, &log, &past);
    HostMatrix x = some_points(4);
    x.append_row(some_points(1, 50).data(), kInputs);
    x.append_row(HostMatrix{{1.1, 2, 3}}.data(), kInputs);      // on the first line
    x.append_row(HostMatrix{{4 + 0.3, 5, 6}}.data(), kInputs);  // of the fan
    first = points(*oracle, x);
    EXPECT_EQ(again.points, 1);
    EXPECT_EQ(oracle->reused(), 6);
    EXPECT_EQ(first(4, 0), (50 + 0.37 * 0) + (50 + 0.37) + (50 + 0.37 * 2) + 100);
    EXPECT_EQ(first(5, 0), 1.1 + 2 + 3);
    EXPECT_EQ(first(6, 0), 4 + 0.3 + 5 + 6);

    EXPECT_EQ((*line(*oracle))(1, 0), 1 + 0.2 + 2 + 3);  // known whole
    EXPECT_EQ(again.asked(), 1);
    EXPECT_EQ(oracle->reused(), 8);

    lines(*oracle, 0.5);  // the second line is new: its three points are asked
    EXPECT_EQ(again.points, 4);
    EXPECT_EQ(again.lines, 0);
    EXPECT_EQ(oracle->reused(), 10);
  }
  // The log holds all of it: without the past it says the same.
  const Index asked = again.asked();
  AnswerLog log(file(), identity("2"));
  const auto oracle = logged(again, &log);
  HostMatrix x = some_points(4);
  x.append_row(some_points(1, 50).data(), kInputs);
  x.append_row(HostMatrix{{1.1, 2, 3}}.data(), kInputs);
  x.append_row(HostMatrix{{4 + 0.3, 5, 6}}.data(), kInputs);
  EXPECT_TRUE(same_bits(points(*oracle, x), first));
  EXPECT_EQ(oracle->reused(), 6);
  EXPECT_EQ(again.asked(), asked);
}

TEST_P(LoggedOracleTest, WithAPastAloneNothingIsWritten) {
  Box box;
  PastAnswers past;
  const auto oracle = logged(box, nullptr, &past);
  points(*oracle, some_points(3));
  EXPECT_TRUE(lines(*oracle));
  EXPECT_EQ(box.asked(), 8);
  EXPECT_EQ(oracle->reused(), 0);
  EXPECT_TRUE(folder_.names().empty());
}

TEST(DigestTest, NetworksAndPointsThatDifferInOneBitHaveOtherDigests) {
  ReluNetwork network;
  network.weights = HostMatrix{{1, 2}, {3, 4}};
  network.bias = HostMatrix{{0.5}, {0.25}};
  network.output = HostMatrix{{1, -1}};
  network.linear = HostMatrix{{0, 0}};
  network.constant = HostMatrix{{7}};
  const Digest before = digest_of(network);
  EXPECT_EQ(digest_of(network), before);
  network.power = 2;
  EXPECT_NE(digest_of(network), before);
  network.power = 1;
  network.linear(0, 1) = -0.0;
  EXPECT_NE(digest_of(network), before);
  const double x[] = {1, 2};
  const double y[] = {1, std::nextafter(2, 3)};
  EXPECT_NE(digest_of_point(x, 2), digest_of_point(y, 2));
  EXPECT_EQ(to_string(Digest{0x1f, 0xa000000000000000}), "a000000000000000000000000000001f");
}

}  // namespace
}  // namespace crease
