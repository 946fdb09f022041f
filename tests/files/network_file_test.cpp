// Networks under PyTorch's names.
#include <gmock/gmock.h>
#include <crease/files.hpp>

#include <cmath>

#include "tests/files/file_bytes.hpp"
#include "tests/support/same_network.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NetworkFileTest : public ::testing::Test {
 protected:
  static std::vector<double> values(const HostMatrix& matrix) {
    return {matrix.data(), matrix.data() + matrix.size()};
  }
  std::string refusal(const TensorFile& file) {
    write_tensors(path_, file);
    const std::string text = file_error([&] { load_network(path_); });
    EXPECT_THAT(text, HasSubstr(path_));
    return text;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.file("net.safetensors");
  const TensorFile good_{{{"0.weight", {{3, 2}, {1, 2, 3, 4, 5, 6}}},
                          {"0.bias", {{3}, {7, 8, 9}}},
                          {"2.weight", {{1, 3}, {-1, -2, -3}}},
                          {"2.bias", {{1}, {0.5}}}},
                         {}};
};

ReluNetwork two_outputs() {
  ReluNetwork network(3, 2, 2);
  network.weights = {{0.1, 2, 3}, {4, 5, 6}};
  network.bias = {{-0.0}, {1e-300}};
  network.output = {{1, 2}, {3, 4}};
  network.linear = {{0, 0, 0}, {0, 1e-9, 0}};
  network.constant = {{5}, {6}};
  return network;
}

TEST_F(NetworkFileTest, ANetworkComesBackBitForBit) {
  for (const std::string name : {"a.npz", "a.safetensors"}) {
    save_network(folder_.file(name), two_outputs());
    EXPECT_TRUE(same_bits(load_network(folder_.file(name)), two_outputs()));
  }
}

TEST_F(NetworkFileTest, ANetworkWithoutNeuronsComesBack) {
  ReluNetwork affine(2, 0, 1);
  affine.linear = {{3, 4}};
  for (const std::string name : {"a.npz", "a.safetensors"}) {
    save_network(folder_.file(name), affine);
    EXPECT_TRUE(same_bits(load_network(folder_.file(name)), affine));
  }
}

TEST_F(NetworkFileTest, TheLinearPartIsWrittenOnlyWhereItIsNotZero) {
  ReluNetwork network = two_outputs();
  save_network(path_, network);
  EXPECT_TRUE(read_tensors(path_).tensors.contains("skip.weight"));
  network.linear = HostMatrix(2, 3);
  save_network(path_, network);
  const TensorFile file = read_tensors(path_);

  EXPECT_EQ(file.tensors.size(), 4u);
  EXPECT_FALSE(file.tensors.contains("skip.weight"));
  EXPECT_THAT(file.tensors.at("0.bias").shape, ElementsAre(2));
  EXPECT_EQ(file.metadata.at("format"), "crease");
  EXPECT_EQ(file.metadata.at("activation"), "relu");
}

TEST_F(NetworkFileTest, BiasesMayBeLeftOut) {
  TensorFile file = good_;
  file.tensors.erase("0.bias");
  file.tensors.erase("2.bias");
  write_tensors(path_, file);
  const ReluNetwork network = load_network(path_);

  EXPECT_THAT(values(network.weights), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(values(network.bias), ElementsAre(0, 0, 0));
  EXPECT_THAT(values(network.constant), ElementsAre(0));
}

TEST_F(NetworkFileTest, WhatIsMissingOrMisshapenIsNamed) {
  for (const std::string name : {"0.weight", "2.weight"}) {
    TensorFile file = good_;
    file.tensors.erase(name);
    EXPECT_THAT(refusal(file), HasSubstr("it has no \"" + name + "\""));
    file.tensors[name] = {{3}, {1, 2, 3}};
    EXPECT_THAT(refusal(file), HasSubstr("\"" + name + "\" has the shape [3]"));
  }
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"0.bias", "expected [3]"},
      {"2.weight", "expected [2, 3]"},
      {"2.bias", "expected [1]"},
      {"skip.weight", "expected [1, 2]"}};
  for (const auto& [name, expected] : wrong) {
    TensorFile file = good_;
    file.tensors[name] = {{2, 2}, {1, 2, 3, 4}};
    EXPECT_THAT(refusal(file), HasSubstr(expected)) << name;
  }
}

TEST_F(NetworkFileTest, NanAndInfinityAreRefusedByName) {
  for (const auto& [name, tensor] : good_.tensors) {
    for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      TensorFile file = good_;
      file.tensors[name].values.back() = bad;
      EXPECT_THAT(refusal(file), HasSubstr("\"" + name + "\" holds NaN or infinity"));
    }
  }
}

TEST_F(NetworkFileTest, NetworksWithoutInputsOrOutputsAreRefused) {
  EXPECT_THAT(refusal({{{"0.weight", {{3, 0}, {}}}, {"2.weight", {{1, 3}, {1, 2, 3}}}}, {}}),
              HasSubstr("no inputs"));
  EXPECT_THAT(refusal({{{"0.weight", {{1, 1}, {1}}}, {"2.weight", {{0, 1}, {}}}}, {}}),
              HasSubstr("no outputs"));
}

TEST_F(NetworkFileTest, SizesThatNoNumbersBackAreRefusedBeforeAllocating) {
  const Index huge = Index{1} << 40;
  EXPECT_THAT(refusal({{{"0.weight", {{0, huge}, {}}}, {"2.weight", {{huge, 0}, {}}}}, {}}),
              HasSubstr("too large"));
  EXPECT_THAT(refusal({{{"0.weight", {{0, huge}, {}}}, {"2.weight", {{1, 0}, {}}}}, {}}),
              HasSubstr("too large"));
  // Nor by a linear part of another size.
  EXPECT_THAT(refusal({{{"0.weight", {{0, huge}, {}}},
                        {"2.weight", {{1, 0}, {}}},
                        {"skip.weight", {{1}, {0.5}}}},
                       {}}),
              HasSubstr("too large"));
}

TEST_F(NetworkFileTest, DeeperNetworksAreRefusedAndNotCutShort) {
  TensorFile file = good_;
  file.tensors["4.weight"] = {{1, 1}, {1}};
  EXPECT_THAT(refusal(file), HasSubstr("\"4.weight\" is no part of it"));
}

ReluNetwork of_power(double power) {
  ReluNetwork network(2, 2, 1);
  network.weights = {{0.1, 2}, {4, 5}};
  network.output = {{1, 2}};
  network.power = power;
  return network;
}

TEST_F(NetworkFileTest, APowerComesBackBitForBitFromBothFormats) {
  for (const double power : {2.0, 0.5, 1 / 3.0, 1e-300, 1e300, std::nextafter(1.0, 2.0)}) {
    for (const std::string name : {"a.npz", "a.safetensors"}) {
      save_network(folder_.file(name), of_power(power));
      EXPECT_TRUE(same_bits(load_network(folder_.file(name)), of_power(power)));
    }
  }
}

TEST_F(NetworkFileTest, ThePowerIsWrittenOnlyWhereItIsNotOne) {
  save_network(path_, of_power(1));
  EXPECT_FALSE(read_tensors(path_).metadata.contains("power"));
  save_network(path_, of_power(2.5));
  TensorFile file = read_tensors(path_);
  EXPECT_EQ(file.metadata.at("power"), "2.5");
  EXPECT_FALSE(file.tensors.contains("power")) << "PyTorch would refuse it";

  const std::string npz = folder_.file("a.npz");
  save_network(npz, of_power(1));
  EXPECT_FALSE(read_tensors(npz).tensors.contains("power"));
  save_network(npz, of_power(2.5));
  file = read_tensors(npz);
  EXPECT_THAT(file.tensors.at("power").shape, IsEmpty());
  EXPECT_THAT(file.tensors.at("power").values, ElementsAre(2.5));
}

TEST_F(NetworkFileTest, APowerIsReadFromEitherPlaceAndRefusedWhereTheyDiffer) {
  TensorFile file = good_;
  file.tensors.erase("0.bias");
  file.tensors.erase("2.bias");
  file.tensors["power"] = {{1}, {2}};
  write_tensors(path_, file);
  EXPECT_EQ(load_network(path_).power, 2);
  file.metadata["power"] = "2.0";
  write_tensors(path_, file);
  EXPECT_EQ(load_network(path_).power, 2);
  file.metadata["power"] = "1";
  EXPECT_THAT(refusal(file), HasSubstr("its power is 1 in the metadata and 2 as an array"));
  file.tensors.erase("power");
  write_tensors(path_, file);
  EXPECT_EQ(load_network(path_).power, 1);
}

TEST_F(NetworkFileTest, BadPowersAreRefused) {
  for (const std::string bad : {"", "two", "2x", " 2", "0", "-1", "nan", "inf", "1e999"}) {
    TensorFile file = good_;
    file.metadata["power"] = bad;
    EXPECT_THAT(refusal(file), HasSubstr("expected one finite number above 0")) << bad;
  }
  for (const Tensor& bad : {Tensor{{1}, {0}}, Tensor{{}, {-2}}, Tensor{{1}, {std::nan("")}},
                            Tensor{{1}, {HUGE_VAL}}, Tensor{{0}, {}}, Tensor{{2}, {2, 2}}}) {
    TensorFile file = good_;
    file.tensors["power"] = bad;
    EXPECT_THAT(refusal(file), HasSubstr("expected one finite number above 0"));
  }
}

TEST_F(NetworkFileTest, OtherPowersWithBiasesLinearPartOrConstantAreRefused) {
  const std::vector<std::pair<std::string, std::string>> parts = {
      {"0.bias", "bias"}, {"2.bias", "constant"}, {"skip.weight", "linear"}};
  for (const auto& [name, part] : parts) {
    TensorFile file = good_;
    file.metadata["power"] = "2";
    file.tensors["0.bias"].values = {0, 0, 0};
    file.tensors["2.bias"].values = {0};
    file.tensors["skip.weight"] = {{1, 2}, {0, 0}};
    write_tensors(path_, file);
    EXPECT_EQ(load_network(path_).power, 2);
    file.tensors[name].values[0] = 1;
    EXPECT_THAT(refusal(file), HasSubstr(part + " must be 0 where the power is not 1"));
  }
}

TEST_F(NetworkFileTest, OtherActivationsAreRefused) {
  TensorFile file = good_;
  file.metadata["activation"] = "tanh";
  EXPECT_THAT(refusal(file), HasSubstr("its activation is \"tanh\"; expected relu"));
  file.metadata = {{"format", "pt"}};
  write_tensors(path_, file);
  EXPECT_NO_THROW(load_network(path_));
}

TEST_F(NetworkFileTest, ANetworkThatIsNotFiniteIsNotWritten) {
  ReluNetwork network = two_outputs();
  network.bias(0, 0) = HUGE_VAL;
  EXPECT_THROW(save_network(path_, network), BadInput);
  EXPECT_THAT(folder_.names(), IsEmpty());
}

}  // namespace
}  // namespace crease
