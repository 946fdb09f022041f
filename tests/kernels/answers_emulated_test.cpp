// The CUDA kernels of answers, emulated, against their CPU twins.
#include "tests/support/emulated.hpp"

#include <memory>
#include <utility>

#include "kernels/cuda/answers.cuh"
#include "kernels/ops.hpp"
#include "tests/support/devices.hpp"
#include "tests/support/near.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {
namespace {

constexpr std::pair<Index, Index> kShapes[] = {{1, 1}, {31, 32}, {33, 257}, {64, 3}, {257, 2}};

TEST(AnswersEmulatedTest, RoundedNumbersHaveTheBitsOfTheCpuTwin) {
  const std::unique_ptr<Device> cpu = make_cpu_device({.threads = 1, .poison = true});
  for (const auto& [n, p] : kShapes) {
    HostMatrix values = normals(n, p, 3);
    for (Index i = 0; i < values.size(); i += 3) values.data()[i] *= 1e5;  // beyond binary16
    for (const auto kind :
         {Imperfection::Kind::float32, Imperfection::Kind::float16, Imperfection::Kind::decimals}) {
      Imperfection format;
      format.kind = kind;
      format.decimals = 3;
      Padded expected(*cpu, values);
      round_answers(*cpu, format, expected);
      for (const simt::Way& way : simt::ways_per_element()) {
        Padded y(*cpu, values);
        simt::launch(way, [&] { round_answers_kernel(kind, power_of_ten(3), y); });
        EXPECT_TRUE(same_bits(y.read(), expected.read())) << n << " x " << p << ", " << way.name();
        Fenced tight(*cpu, values);
        simt::launch(way, [&] { round_answers_kernel(kind, power_of_ten(3), tight); });
        EXPECT_TRUE(same_bits(tight.read(), expected.read())) << way.name();
      }
    }
  }
}

TEST(AnswersEmulatedTest, NoiseHasTheBitsOfTheCpuTwin) {
  const std::unique_ptr<Device> cpu = make_cpu_device({.threads = 1, .poison = true});
  for (const auto& [n, p] : kShapes) {
    const HostMatrix values = normals(n, p, 3);
    Padded expected(*cpu, values);
    add_answer_noise(*cpu, Seed{7}, 0.5, expected);
    for (const simt::Way& way : simt::ways_per_element()) {
      Padded y(*cpu, values);
      simt::launch(way, [&] { add_answer_noise_kernel(7, 0.5, y); });
      EXPECT_TRUE(same_bits(y.read(), expected.read())) << n << " x " << p << ", " << way.name();
      Fenced tight(*cpu, values);
      simt::launch(way, [&] { add_answer_noise_kernel(7, 0.5, tight); });
      EXPECT_TRUE(same_bits(tight.read(), expected.read())) << way.name();
    }
  }
}

}  // namespace
}  // namespace crease
