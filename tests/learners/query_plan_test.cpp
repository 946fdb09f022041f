// The ranges of every number in a query plan.
#include "src/learners/query_plan.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace crease {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Question {
  QueryProblem problem;
  QueryPlan plan;
  RunControl run;
};

std::string refusal(const std::function<void(Question&)>& change) {
  Question question;
  change(question);
  try {
    check(question.problem, question.plan, question.run);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "accepted";
}

/// One number and where it lies in a question.
template <class T>
struct Number {
  const char* name;
  std::function<T&(Question&)> in;
  std::vector<T> bad;
  std::vector<T> good;
};

template <class T>
void expect_ranges(const std::vector<Number<T>>& numbers) {
  for (const Number<T>& number : numbers) {
    for (const T value : number.bad) {
      const std::string message = refusal([&](Question& q) { number.in(q) = value; });
      EXPECT_NE(message, "accepted") << number.name << " = " << value;
      EXPECT_NE(message.find(number.name), std::string::npos)
          << number.name << " = " << value << ": " << message;
    }
    for (const T value : number.good) {
      EXPECT_EQ(refusal([&](Question& q) { number.in(q) = value; }), "accepted")
          << number.name << " = " << value;
    }
  }
}

const std::vector<double> kNotPositive = {0, -1, -kInfinity, kInfinity, kNan};

TEST(QueryPlanTest, TheDefaultsAreAccepted) {
  EXPECT_EQ(refusal([](Question&) {}), "accepted");
}

TEST(QueryPlanTest, EveryRealNumberHasItsRange) {
  expect_ranges<double>({
      {"accuracy",
       [](Question& q) -> double& { return q.problem.accuracy; },
       kNotPositive,
       {1e-300, 10}},
      {"failure",
       [](Question& q) -> double& { return q.problem.failure; },
       {0, 1, -0.1, 1.5, kNan, kInfinity},
       {1e-12, 0.999}},
      {"resolution",
       [](Question& q) -> double& { return q.plan.resolution; },
       {-1, kInfinity, kNan},
       {0, 1e-6, 1}},
      {"hunt_density",
       [](Question& q) -> double& { return q.plan.hunt_density; },
       kNotPositive,
       {1}},
      {"sigmas", [](Question& q) -> double& { return q.plan.sigmas; }, kNotPositive, {3}},
      {"reach", [](Question& q) -> double& { return q.plan.reach; }, kNotPositive, {10}},
      {"cell_share",
       [](Question& q) -> double& { return q.plan.cell_share; },
       {0, 0.5, -1, kNan, kInfinity},
       {0.1}},
      {"cell_step",
       [](Question& q) -> double& { return q.plan.cell_step; },
       {0, 1, -1, kNan, kInfinity},
       {0.5}},
      {"flank",
       [](Question& q) -> double& { return q.plan.flank; },
       {0, 0.5, -1, kNan, kInfinity},
       {1e-3}},
      {"angle_resolution",
       [](Question& q) -> double& { return q.plan.angle_resolution; },
       kNotPositive,
       {1e-3}},
      {"step_share",
       [](Question& q) -> double& { return q.plan.step_share; },
       {0, 1, -1, kNan, kInfinity},
       {0.25}},
      {"shrink",
       [](Question& q) -> double& { return q.plan.shrink; },
       {1, 0, -8, kNan, kInfinity},
       {2}},
      {"gap_accuracy",
       [](Question& q) -> double& { return q.plan.gap_accuracy; },
       kNotPositive,
       {1e-3}},
      {"gap_relax",
       [](Question& q) -> double& { return q.plan.gap_relax; },
       {1, 0, -8, kNan, kInfinity},
       {2}},
      {"neuron_accuracy",
       [](Question& q) -> double& { return q.plan.neuron_accuracy; },
       kNotPositive,
       {1e-3}},
      {"group_conditioning",
       [](Question& q) -> double& { return q.plan.group_conditioning; },
       {0, 1, -1, kNan, kInfinity},
       {0.1}},
  });
}

TEST(QueryPlanTest, EveryCountHasItsRange) {
  expect_ranges<Index>({
      {"certificate_points",
       [](Question& q) -> Index& { return q.plan.certificate_points; },
       {-1},
       {0, 1}},
      {"look_points", [](Question& q) -> Index& { return q.plan.look_points; }, {0, -1}, {1}},
      {"cells", [](Question& q) -> Index& { return q.plan.first_cells; }, {3, 0, -1}, {4}},
      {"cells", [](Question& q) -> Index& { return q.plan.deflated_cells; }, {3, 0, -1}, {4}},
      {"line_rounds", [](Question& q) -> Index& { return q.plan.line_rounds; }, {0, -1}, {1}},
      {"line_points", [](Question& q) -> Index& { return q.plan.line_points; }, {64, 0, -1}, {65}},
      {"retries", [](Question& q) -> Index& { return q.plan.retries; }, {-1}, {0}},
      {"lines", [](Question& q) -> Index& { return q.plan.lines; }, {0, -1}, {1}},
      {"idle_lines", [](Question& q) -> Index& { return q.plan.idle_lines; }, {0, -1}, {1}},
      {"slice_from", [](Question& q) -> Index& { return q.plan.slice_from; }, {0, -1}, {1}},
      {"slice_size", [](Question& q) -> Index& { return q.plan.slice_size; }, {-1}, {0, 3}},
      {"slice_look_points",
       [](Question& q) -> Index& { return q.plan.slice_look_points; },
       {0, -1},
       {1}},
      {"device_bytes",
       [](Question& q) -> Index& { return q.run.budget.device_bytes; },
       {0, -1},
       {1}},
  });
}

TEST(QueryPlanTest, PromisesAndBudgetsMayBeLeftOutButNotBeNonsense) {
  for (const double bad : kNotPositive) {
    EXPECT_NE(refusal([&](Question& q) { q.problem.lipschitz = bad; }).find("lipschitz"),
              std::string::npos);
    EXPECT_NE(refusal([&](Question& q) { q.run.budget.seconds = bad; }).find("time budget"),
              std::string::npos);
  }
  for (const Index bad : {0, -1}) {
    EXPECT_NE(refusal([&](Question& q) { q.run.budget.queries = bad; }).find("budget"),
              std::string::npos);
  }
  EXPECT_EQ(refusal([](Question& q) {
              q.problem.lipschitz = 3;
              q.run.budget.seconds = 1e-9;
              q.run.budget.queries = 1;
            }),
            "accepted");
}

TEST(QueryPlanTest, AHuntOfMorePointsThanCanBeCountedIsRefused) {
  // 31.4 / 1e-300 points are no Index.
  EXPECT_NE(refusal([](Question& q) { q.plan.resolution = 1e-300; }).find("resolution"),
            std::string::npos);
  EXPECT_NE(refusal([](Question& q) {
              q.plan.resolution = 1;
              q.plan.hunt_density = 1e30;
            }).find("resolution"),
            std::string::npos);
}

}  // namespace
}  // namespace crease
