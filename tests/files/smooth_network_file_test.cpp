// Smooth networks under PyTorch's names.
#include <gmock/gmock.h>
#include <crease/files.hpp>

#include "tests/files/file_bytes.hpp"
#include "tests/support/planted_smooth.hpp"
#include "tests/support/same_network.hpp"
#include "tests/support/temporary_folder.hpp"

namespace crease {
namespace {

using ::testing::HasSubstr;

class SmoothNetworkFileTest : public ::testing::Test {
 protected:
  std::string refusal(const TensorFile& file) {
    write_tensors(path_, file);
    const std::string text = file_error([&] { load_smooth_network(path_); });
    EXPECT_THAT(text, HasSubstr(path_));
    return text;
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.file("net.safetensors");
  const TensorFile good_{{{"0.weight", {{3, 2}, {1, 2, 3, 4, 5, 6}}},
                          {"0.bias", {{3}, {7, 8, 9}}},
                          {"2.weight", {{1, 3}, {-1, -2, -3}}}},
                         {{"activation", "gelu"}}};
};

TEST_F(SmoothNetworkFileTest, ANetworkComesBackBitForBit) {
  SmoothNetwork skip = planted_smooth(4, {5}, 2, {Activation::softplus}, 1);
  skip.linear = normals(2, 4, 3);
  const SmoothNetwork two =
      planted_smooth(4, {5, 3}, 1, {Activation::sigmoid, Activation::tanh}, 2);
  for (const std::string name : {"a.npz", "a.safetensors"}) {
    for (const SmoothNetwork& network : {skip, two}) {
      save_network(folder_.file(name), network);
      EXPECT_TRUE(same_bits(load_smooth_network(folder_.file(name)), network));
      EXPECT_TRUE(holds_smooth_network(read_tensors(folder_.file(name))));
      EXPECT_NE(file_error([&] { load_network(folder_.file(name)); }), "");
    }
  }
  save_network(path_, two);
  EXPECT_EQ(read_tensors(path_).metadata.at("activation"), "sigmoid,tanh");
}

TEST_F(SmoothNetworkFileTest, AReluNetworkIsNone) {
  save_network(path_, ReluNetwork(2, 1, 1));
  EXPECT_FALSE(holds_smooth_network(read_tensors(path_)));
  EXPECT_THAT(file_error([&] { load_smooth_network(path_); }), HasSubstr("0 smooth activations"));
}

TEST_F(SmoothNetworkFileTest, WhatDoesNotFitIsNamed) {
  write_tensors(path_, good_);
  EXPECT_EQ(load_smooth_network(path_).hidden[0].activation, Activation::gelu);
  TensorFile file = good_;
  file.metadata["activation"] = "swish";
  EXPECT_THAT(refusal(file), HasSubstr("\"swish\" is no activation crease knows: tanh, sigmoid"));
  file.metadata["activation"] = "tanh,tanh";
  EXPECT_THAT(refusal(file), HasSubstr("it has no \"4.weight\""));
  file.metadata["activation"] = "tanh,tanh,tanh";
  EXPECT_THAT(refusal(file), HasSubstr("3 smooth activations; expected one or two"));
  file = good_;
  file.tensors["4.weight"] = {{1, 1}, {1}};
  EXPECT_THAT(refusal(file), HasSubstr("\"4.weight\" is no part of it"));
  file = good_;
  file.tensors["2.weight"] = {{1, 2}, {1, 2}};
  EXPECT_THAT(refusal(file), HasSubstr("\"2.weight\" has the shape [1, 2]; expected [1, 3]"));
  file = good_;
  file.tensors["0.bias"].values[1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(refusal(file), HasSubstr("\"0.bias\" holds NaN or infinity"));
  file = good_;
  file.metadata.clear();
  file.tensors["activation"] = {{1}, {7}};
  EXPECT_THAT(refusal(file), HasSubstr("no code of an activation"));
  file = good_;
  file.metadata["power"] = "2";
  EXPECT_THAT(refusal(file), HasSubstr("its metadata have the power 2"));
}

TEST_F(SmoothNetworkFileTest, ActivationsInTheMetadataAndAsAnArrayMustAgree) {
  TensorFile file = good_;
  file.tensors["activation"] = {{1}, {4}};
  write_tensors(path_, file);
  EXPECT_EQ(load_smooth_network(path_).hidden[0].activation, Activation::gelu);
  file.tensors["activation"] = {{1}, {1}};
  EXPECT_THAT(refusal(file), HasSubstr("\"gelu\" in the metadata and \"tanh\" as an array"));
  file.tensors["activation"] = {{2}, {4, 4}};
  EXPECT_THAT(refusal(file), HasSubstr("\"gelu\" in the metadata and \"gelu,gelu\" as an array"));
  file.metadata["activation"] = "relu";
  EXPECT_THAT(refusal(file), HasSubstr("\"relu\" in the metadata and \"gelu,gelu\""));
}

}  // namespace
}  // namespace crease
