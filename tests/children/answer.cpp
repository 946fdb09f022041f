// A black box behind a process, in C++: answers requests until its input ends. The same function as
// answer.py: crease learn 'exec:./crease_child_answer' --inputs 3 --outputs 2
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

constexpr std::int64_t kInputs = 3;
constexpr std::int64_t kOutputs = 2;
struct Neuron {
  double weights[kInputs];
  double bias;
  double output[kOutputs];
};
constexpr Neuron kNeurons[] = {{{1, -0.5, 0.25}, 0.5, {1, -0.5}},
                               {{-0.75, 1, 0.5}, -0.25, {0.5, 1}},
                               {{0.5, 0.5, -1}, 0.125, {-1, 0.75}}};

/// y [p] <- F(x [d]): your function.
void answer(const double* x, double* y) {
  std::fill(y, y + kOutputs, 0.0);
  for (const Neuron& neuron : kNeurons) {
    double z = neuron.bias;
    for (int j = 0; j < kInputs; ++j) z += neuron.weights[j] * x[j];
    for (int o = 0; o < kOutputs; ++o) y[o] += neuron.output[o] * std::max(z, 0.0);
  }
}

template <class Number>
bool read_all(std::vector<Number>& numbers) {
  return std::fread(numbers.data(), sizeof(Number), numbers.size(), stdin) == numbers.size();
}

template <class Number>
void write_all(const std::vector<Number>& numbers) {
  std::fwrite(numbers.data(), sizeof(Number), numbers.size(), stdout);
}

}  // namespace

int main() {
  std::vector<std::int64_t> head(2);
  while (read_all(head)) {
    const std::int64_t n = head[0];
    if (head[1] != kInputs) return 1;
    std::vector<double> x(static_cast<std::size_t>(n * kInputs));
    if (!read_all(x)) return 1;
    std::vector<double> y(static_cast<std::size_t>(n * kOutputs));
    for (std::int64_t i = 0; i < n; ++i) answer(&x[i * kInputs], &y[i * kOutputs]);
    write_all(std::vector<std::int64_t>{n, kOutputs});
    write_all(y);
    std::fflush(stdout);
  }
}
