// Questions for an Asker, with everything they need on a device, and how they end.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/stages/ask.hpp"
#include "tests/support/planted_network.hpp"

namespace crease {

/// A line and a fan with everything they need on a device.
struct Questions {
  Questions(Device& device, Index inputs)
      : origin(upload(device, normals(1, inputs, 1))),
        direction(upload(device, normals(1, inputs, 2))),
        where(normals(11, 1, 3)),
        centers(upload(device, normals(5, inputs, 4))),
        directions(upload(device, normals(inputs, inputs, 5))),
        steps(upload(device, normals(5, inputs, 6))),
        x(upload(device, normals(7, inputs, 7))) {}

  Lines line() const { return {origin, direction, first}; }
  std::vector<double> t() const { return {where.data(), where.data() + where.size()}; }
  Fan fan() const { return {centers, directions, steps}; }

  DeviceMatrix origin, direction;
  HostMatrix where;
  std::vector<Index> first = {0, 11};
  DeviceMatrix centers, directions, steps, x;
};

/// Three lines, the middle one without a point.
struct LinesQuestion {
  LinesQuestion(Device& device, Index inputs)
      : origins(upload(device, normals(3, inputs, 11))),
        directions(upload(device, normals(3, inputs, 12))),
        where(normals(11, 1, 13)),
        t(upload(device, where)) {}

  Lines lines() const { return {origins, directions, first}; }
  std::vector<double> on_host() const { return {where.data(), where.data() + where.size()}; }

  DeviceMatrix origins, directions;
  HostMatrix where;
  DeviceMatrix t;
  std::vector<Index> first = {0, 4, 4, 11};
};

/// The outcome that a question ends the run with.
template <class Question>
Outcome outcome_of(Question&& question) {
  try {
    question();
  } catch (const EndOfRun& end) {
    return end.outcome();
  }
  ADD_FAILURE() << "the run did not end";
  return Outcome::reached;
}

/// The text of what a question throws.
template <class Question>
std::string message_of(Question&& question) {
  try {
    question();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace crease
