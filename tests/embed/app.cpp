// A stranger's program: its own black box, learned through the public headers alone.
#include <crease/crease.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>

namespace {

// The program's own black box: two creases in R^3, one output, asked point by point.
double price(const double* x) {
  return 2.0 * std::max(x[0] - 0.5 * x[1] + 0.25, 0.0) -
         1.5 * std::max(0.3 * x[1] + x[2] - 0.1, 0.0) + 0.75;
}

class PriceOracle final : public crease::Oracle {
 public:
  crease::Index input_dim() const override { return 3; }
  crease::Index output_dim() const override { return 1; }

  void answer(crease::Device& device, crease::ConstDeviceView x, crease::DeviceView y) override {
    const crease::HostMatrix points = crease::download(device, x);
    crease::HostMatrix values(points.rows(), 1);
    for (crease::Index i = 0; i < points.rows(); ++i) values(i, 0) = price(points.row(i));
    asked_ += points.rows();
    device.copy_in(values, y);
  }

  crease::Index asked() const { return asked_; }

 private:
  crease::Index asked_ = 0;
};

int fail(const char* what) {
  std::fprintf(stderr, "embed: %s\n", what);
  return 1;
}

int learn() {
  const auto device = crease::make_cpu_device({.threads = 1});
  PriceOracle oracle;
  const auto learned = crease::learn_from_queries(*device, oracle, {.accuracy = 1e-8});
  const crease::RunReport& report = learned.report;
  std::printf("%s: %lld neurons after %lld queries\n", crease::to_string(report.outcome).c_str(),
              static_cast<long long>(report.neurons), static_cast<long long>(oracle.asked()));

  if (report.outcome != crease::Outcome::reached) return fail("the accuracy was not reached");
  if (report.neurons != 2) return fail("two neurons were expected");
  if (report.learning_queries + report.certificate_queries != oracle.asked())
    return fail("the report's queries are not what the black box was asked");

  // What `reached` promises: relative error 1e-8. The standard deviation of F is below 2.
  crease::HostMatrix x(1, 3);
  for (const double t : {-1.0, -0.25, 0.0, 0.5, 1.5}) {
    x(0, 0) = t;
    x(0, 1) = 1 - t;
    x(0, 2) = 0.5 * t;
    const double error =
        std::abs(crease::evaluate(*device, learned.network, x)(0, 0) - price(x.row(0)));
    if (!(error < 1e-6)) return fail("the learned network differs from the black box");
  }
  return 0;
}

// The same from examples alone, which somebody else drew.
int fit() {
  const auto device = crease::make_cpu_device({.threads = 1});
  crease::ReluNetwork unknown(3, 2, 1);
  unknown.weights(0, 0) = unknown.weights(1, 1) = 1;
  unknown.output(0, 0) = 2;
  unknown.output(0, 1) = -1;
  const auto examples = crease::make_planted_samples(unknown, {.value = 7}, 2000);
  const auto learned = crease::learn_narrow(*device, *examples, {.neurons = 2});
  if (learned.report.outcome != crease::Outcome::reached) return fail("the fit did not succeed");
  if (crease::match(unknown, learned.network, 1e-9).matched != 2)
    return fail("the fit has other neurons");
  return 0;
}

}  // namespace

int main() {
  try {
    const int learned = learn();
    return learned != 0 ? learned : fit();
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
