// Planted networks from the counter generator.
#include "src/families.hpp"

#include <algorithm>
#include <cmath>

#include "src/planted_draw.hpp"

namespace crease {
namespace {

/// What a stream of the generator is drawn for.
enum class Part : std::uint64_t { weights, biases, outputs, linear, constant, copies, count };

using Draw = PlantedDraw<Part>;

/// For one member of a mix.
Draw draw_of(Seed seed, Index member) {
  constexpr std::uint64_t kFirstStream = 0xfa000000;
  return {seed, kFirstStream +
                    static_cast<std::uint64_t>(member) * static_cast<std::uint64_t>(Part::count)};
}

/// Over the first `cols` columns.
double norm_of_row(const HostMatrix& matrix, Index i, Index cols) {
  double sum = 0;
  for (Index j = 0; j < cols; ++j) sum += matrix(i, j) * matrix(i, j);
  return std::sqrt(sum);
}

double norm_of_row(const HostMatrix& matrix, Index i) {
  return norm_of_row(matrix, i, matrix.cols());
}

ReluNetwork gaussian(const FamilyPlan& plan, const Draw& draw) {
  const Index d = plan.inputs;
  const Index k = plan.neurons;
  const Index p = plan.outputs;
  ReluNetwork network(d, k, p);
  network.weights = draw(Part::weights, k, d, 1 / std::sqrt(static_cast<double>(d)));
  network.bias = draw(Part::biases, k, 1, plan.spread);
  network.output =
      draw(Part::outputs, p, k, 1 / std::sqrt(static_cast<double>(std::max<Index>(k, 1))));
  network.constant = draw(Part::constant, p, 1, 0.1);
  if (plan.power) {
    network.bias = HostMatrix(k, 1);
    network.constant = HostMatrix(p, 1);
    network.power = *plan.power;
  }
  return network;
}

/// Neuron `to` at relative distance `gap` from neuron `from`: of its weights; the bias moves by as
/// much on average.
void put_beside(ReluNetwork& network, const HostMatrix& copies, Index from, Index to, double gap) {
  const double length = gap * norm_of_row(network.weights, from);
  const double norm = norm_of_row(copies, to, network.inputs());  // the last column is the bias's
  for (Index j = 0; j < network.inputs(); ++j) {
    network.weights(to, j) = network.weights(from, j) + length * copies(to, j) / norm;
  }
  network.bias(to, 0) = network.bias(from, 0) + length * copies(to, network.inputs());
}

ReluNetwork clusters(const FamilyPlan& plan, const Draw& draw) {
  require(plan.size >= 2, "clusters: size must be at least 2");
  require(plan.neurons >= plan.size, "clusters: needs at least as many neurons as size");
  ReluNetwork network = gaussian(plan, draw);
  const HostMatrix copies = draw(Part::copies, plan.neurons, plan.inputs + 1, 1);
  for (Index i = 0; i < plan.neurons; ++i) {
    const Index first = i / plan.size * plan.size;
    if (i != first) put_beside(network, copies, first, i, plan.gap.value_or(1e-4));
  }
  return network;
}

ReluNetwork cancelling(const FamilyPlan& plan, const Draw& draw) {
  require(plan.neurons >= 2, "cancelling: needs at least 2 neurons");
  constexpr double kCancelled = 0.9;
  ReluNetwork network = gaussian(plan, draw);
  const HostMatrix copies = draw(Part::copies, plan.neurons, plan.inputs + 1, 1);
  for (Index i = 1; i < plan.neurons; i += 2) {
    put_beside(network, copies, i - 1, i, plan.gap.value_or(1e-3));
    for (Index o = 0; o < plan.outputs; ++o) {
      network.output(o, i) = -kCancelled * network.output(o, i - 1);
    }
  }
  return network;
}

ReluNetwork parallel(const FamilyPlan& plan, const Draw& draw) {
  require(plan.biases >= 2, "parallel: biases must be at least 2");
  require(plan.neurons >= plan.biases, "parallel: needs at least as many neurons as biases");
  constexpr double kApart = 0.3;
  ReluNetwork network = gaussian(plan, draw);
  for (Index i = 0; i < plan.neurons; ++i) {
    const Index first = i / plan.biases * plan.biases;
    std::copy_n(network.weights.row(first), plan.inputs, network.weights.row(i));
    network.bias(i, 0) = network.bias(first, 0) + kApart * static_cast<double>(i - first) *
                                                      norm_of_row(network.weights, first);
  }
  return network;
}

ReluNetwork rare(const FamilyPlan& plan, const Draw& draw) {
  require(plan.neurons >= 1, "rare: needs at least 1 neuron");
  require(std::isfinite(plan.distance) && plan.distance >= 0,
          "rare: distance must not be negative");
  ReluNetwork network = gaussian(plan, draw);
  for (Index i = plan.neurons - (plan.neurons + 7) / 8; i < plan.neurons; ++i) {
    const double side = i % 2 == 0 ? -1 : 1;
    network.bias(i, 0) = side * plan.distance * norm_of_row(network.weights, i);
  }
  return network;
}

ReluNetwork dead(const FamilyPlan& plan, const Draw& draw) {
  require(plan.neurons >= 2, "dead: needs at least 2 neurons");
  ReluNetwork network = gaussian(plan, draw);
  for (Index i = 0; i < plan.neurons; ++i) {
    for (Index j = plan.inputs - plan.inputs / 4; j < plan.inputs; ++j) network.weights(i, j) = 0;
  }
  const Index first = plan.neurons - (plan.neurons + 3) / 4;
  for (Index i = first; i < plan.neurons; ++i) {
    if ((i - first) % 2 == 0) {
      std::fill_n(network.weights.row(i), plan.inputs, 0.0);
    } else {
      for (Index o = 0; o < plan.outputs; ++o) network.output(o, i) = 0;
    }
  }
  return network;
}

ReluNetwork constant(const FamilyPlan& plan, const Draw& draw) {
  ReluNetwork network = gaussian(plan, draw);
  network.output = HostMatrix(plan.outputs, plan.neurons);
  return network;
}

ReluNetwork affine(const FamilyPlan& plan, const Draw& draw) {
  ReluNetwork network = constant(plan, draw);
  network.linear = draw(Part::linear, plan.outputs, plan.inputs,
                        1 / std::sqrt(static_cast<double>(plan.inputs)));
  return network;
}

/// The sum of two networks: neurons of `a` first.
ReluNetwork sum(const ReluNetwork& a, const ReluNetwork& b) {
  ReluNetwork both(a.inputs(), a.neurons() + b.neurons(), a.outputs());
  for (const ReluNetwork* part : {&a, &b}) {
    const Index first = part == &a ? 0 : a.neurons();
    std::copy_n(part->weights.data(), part->weights.size(),
                both.weights.data() + first * a.inputs());
    std::copy_n(part->bias.data(), part->bias.size(), both.bias.data() + first);
    for (Index o = 0; o < a.outputs(); ++o) {
      std::copy_n(part->output.row(o), part->neurons(), both.output.row(o) + first);
      both.constant(o, 0) += part->constant(o, 0);
      for (Index j = 0; j < a.inputs(); ++j) both.linear(o, j) += part->linear(o, j);
    }
  }
  return both;
}

/// relu(s - a) + relu(s - a - width) - relu(2 s - 2 a - width), s = <v, x>, |v| = 1, a = offset:
/// Example 1.2 of Chen, Klivans, Meka 2021; the same for every output, up to its size.
ReluNetwork bump(const FamilyPlan& plan, const Draw& draw) {
  require(plan.neurons >= 3, "bump: needs at least 3 neurons");
  require(std::isfinite(plan.width) && plan.width > 0, "bump: width must be greater than 0");
  require(std::isfinite(plan.offset), "bump: offset must be finite");
  ReluNetwork slab(plan.inputs, 3, plan.outputs);
  const HostMatrix direction = draw(Part::copies, 1, plan.inputs, 1);
  const HostMatrix size = draw(Part::copies, 2, plan.outputs, 1);
  const double norm = norm_of_row(direction, 0);
  const double size_norm = norm_of_row(size, 1);
  for (Index i = 0; i < 3; ++i) {
    const double scale = i == 2 ? 2 : 1;
    for (Index j = 0; j < plan.inputs; ++j) {
      slab.weights(i, j) = scale * (direction(0, j) / norm);
    }
    for (Index o = 0; o < plan.outputs; ++o) {
      slab.output(o, i) = (i == 2 ? -1 : 1) * (size(1, o) / size_norm);
    }
  }
  slab.bias = {{-plan.offset}, {-(plan.offset + plan.width)}, {-(2 * plan.offset + plan.width)}};
  FamilyPlan rest = plan;
  rest.neurons -= 3;
  return rest.neurons == 0 ? slab : sum(gaussian(rest, draw), slab);
}

struct Family {
  const char* name;
  ReluNetwork (*make)(const FamilyPlan&, const Draw&);
  std::optional<Index> own_neurons;  // in a mix; none: a share of the rest
};

const std::vector<Family>& families() {
  static const std::vector<Family> kFamilies = {
      {"gaussian", gaussian, {}}, {"bump", bump, 3},
      {"clusters", clusters, {}}, {"cancelling", cancelling, {}},
      {"parallel", parallel, {}}, {"rare", rare, {}},
      {"dead", dead, {}},         {"affine", affine, 0},
      {"constant", constant, 0}};
  return kFamilies;
}

constexpr const char* kMix = "mix";
constexpr const char* kMixMeans = "gaussian,bump,clusters,cancelling,parallel,rare,dead,affine";

std::vector<Family> members_of(const std::string& list) {
  std::vector<Family> members;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string name = list.substr(begin, end - begin);
    const auto found = std::find_if(families().begin(), families().end(),
                                    [&](const Family& family) { return name == family.name; });
    if (found == families().end()) {
      std::string known;
      for (const std::string& each : family_names()) known += (known.empty() ? "" : ", ") + each;
      throw BadInput("unknown family \"" + name + "\"; expected " + known +
                     ", or several separated by commas");
    }
    members.push_back(*found);
    begin = end + 1;
  }
  return members;
}

}  // namespace

std::vector<std::string> family_names() {
  std::vector<std::string> names;
  for (const Family& family : families()) names.push_back(family.name);
  names.push_back(kMix);
  return names;
}

ReluNetwork make_family(const FamilyPlan& plan, Seed seed) {
  require(plan.inputs >= 1, "make: inputs must be at least 1");
  require(plan.outputs >= 1, "make: outputs must be at least 1");
  require(plan.neurons >= 0, "make: neurons must not be negative");
  constexpr Index kMostNumbers = Index{1} << 31;  // 16 GB; and no product below overflows
  for (const auto& [a, b] : {std::pair(plan.inputs, plan.neurons),
                             {plan.outputs, plan.neurons},
                             {plan.inputs, plan.outputs}}) {
    require(a <= kMostNumbers && b <= kMostNumbers && a * b <= kMostNumbers,
            "make: expected matrices of at most 2^31 numbers");
  }
  require(std::isfinite(plan.spread) && plan.spread >= 0, "gaussian: spread must not be negative");
  require(!plan.power || (std::isfinite(*plan.power) && *plan.power > 0),
          "gaussian: power must be finite and greater than 0");
  require(!plan.power || plan.family == "gaussian",
          "power: expected with the family gaussian alone");
  require(!plan.gap || (std::isfinite(*plan.gap) && *plan.gap > 0), "gap must be greater than 0");

  std::vector<Family> members = members_of(plan.family == kMix ? kMixMeans : plan.family);
  if (members.size() == 1) return members[0].make(plan, draw_of(seed, 0));

  Index rest = plan.neurons;
  for (const Family& member : members) rest -= member.own_neurons.value_or(0);
  require(rest >= 0, "mix: a bump needs 3 neurons of its own");
  const auto shares = [](const Family& member) { return !member.own_neurons; };
  if (rest > 0 && std::none_of(members.begin(), members.end(), shares)) {
    members.push_back(families()[0]);
  }
  Index sharers = std::count_if(members.begin(), members.end(), shares);
  ReluNetwork mix(plan.inputs, 0, plan.outputs);
  for (std::size_t i = 0; i < members.size(); ++i) {
    FamilyPlan part = plan;
    if (members[i].own_neurons) {
      part.neurons = *members[i].own_neurons;
    } else {
      part.neurons = (rest + sharers - 1) / sharers;
      rest -= part.neurons;
      --sharers;
    }
    mix = sum(mix, members[i].make(part, draw_of(seed, static_cast<Index>(i))));
  }
  return mix;
}

}  // namespace crease
