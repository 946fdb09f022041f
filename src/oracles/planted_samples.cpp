// Gaussian examples of a known network, with Gaussian and gross errors.
#include <crease/gaussian.hpp>
#include <crease/samples.hpp>

#include <cmath>
#include <limits>
#include <utility>

#include "kernels/ops.hpp"
#include "src/device_network.hpp"
#include "src/normal.hpp"
#include "src/stages/random.hpp"

namespace crease {
namespace {

/// sqrt(mean over o of E F_o^2).
double root_mean_square(const ReluNetwork& network) {
  double sum = gaussian_variance(network);
  const HostMatrix mean = gaussian_mean(network);
  for (Index o = 0; o < network.outputs(); ++o) sum += mean(o, 0) * mean(o, 0);
  return std::sqrt(sum / static_cast<double>(network.outputs()));
}

class PlantedSamples final : public SampleSource {
 public:
  PlantedSamples(ReluNetwork network, Seed seed, std::optional<Index> rows,
                 const PlantedErrors& errors)
      : network_(std::move(network)), seed_(seed), rows_(rows), errors_(errors) {
    if (errors.noise > 0 || errors.gross > 0) size_ = root_mean_square(network_);
    if (errors.gross > 0) gross_beyond_ = inverse_normal_tail(errors.gross);
  }

  Index input_dim() const override { return network_.inputs(); }
  Index output_dim() const override { return network_.outputs(); }
  std::optional<Index> rows_left() const override {
    if (!rows_) return std::nullopt;
    return *rows_ - next_;
  }

  void draw(Device& device, DeviceView x, DeviceView y) override {
    require(x.rows == y.rows && x.cols == input_dim() && y.cols == output_dim(),
            "SampleSource::draw: x must be [n, d] and y [n, p]");
    require(!rows_ || x.rows <= *rows_ - next_,
            "SampleSource::draw: so many examples are not left");
    const Index first = next_;
    next_ += x.rows;
    if (x.rows == 0) return;
    fill(device, Stream::planted_inputs, first, 1, x);
    DeviceNetwork(device, network_).evaluate(x, y);
    if (errors_.noise > 0) {
      const DeviceMatrix ones = ones_of(device, y.cols);
      DeviceMatrix errors(device, y.rows, y.cols);
      fill(device, Stream::planted_noise, first, errors_.noise * size_, errors);
      add_scaled(device, 1, ones, errors, y);
    }
    if (errors_.gross > 0) add_gross_errors(device, first, y);
  }

  bool rewind() override {
    next_ = 0;
    return true;
  }

 private:
  void fill(Device& device, Stream stream, Index first, double scale, DeviceView out) const {
    fill_gaussian(device, seed_, static_cast<std::uint64_t>(stream), first, scale, out);
  }

  static DeviceMatrix ones_of(Device& device, Index count) {
    DeviceMatrix ones(device, 1, count);
    crease::fill(device, 1.0, ones);
    return ones;
  }

  /// Few numbers are hit: chosen on the host.
  void add_gross_errors(Device& device, Index first, DeviceView y) const {
    DeviceMatrix drawn(device, y.rows, y.cols);
    fill(device, Stream::planted_gross_place, first, 1, drawn);
    const HostMatrix place = download(device, drawn);
    fill(device, Stream::planted_gross, first, errors_.gross_size * size_, drawn);
    const HostMatrix size = download(device, drawn);
    HostMatrix answers = download(device, y);
    for (Index i = 0; i < answers.size(); ++i) {
      if (place.data()[i] > gross_beyond_) answers.data()[i] += size.data()[i];
    }
    device.copy_in(answers, y);
  }

  ReluNetwork network_;
  Seed seed_;
  std::optional<Index> rows_;
  PlantedErrors errors_;
  double size_ = 0;  // root mean square of F
  double gross_beyond_ = std::numeric_limits<double>::infinity();
  Index next_ = 0;
};

}  // namespace

std::unique_ptr<SampleSource> make_planted_samples(ReluNetwork network, Seed seed,
                                                   std::optional<Index> rows,
                                                   const PlantedErrors& errors) {
  check(network);
  require(!rows || *rows >= 0, "make_planted_samples: rows must not be negative");
  require(std::isfinite(errors.noise) && errors.noise >= 0 && std::isfinite(errors.gross_size) &&
              errors.gross_size >= 0,
          "make_planted_samples: errors must be finite and not negative");
  require(errors.gross >= 0 && errors.gross <= 1,
          "make_planted_samples: the share of gross errors must be between 0 and 1");
  return std::make_unique<PlantedSamples>(std::move(network), seed, rows, errors);
}

}  // namespace crease
