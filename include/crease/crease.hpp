// Everything that needs no CUDA.
#pragma once

#include <crease/answer_log.hpp>
#include <crease/closeness.hpp>
#include <crease/device.hpp>
#include <crease/files.hpp>
#include <crease/gaussian.hpp>
#include <crease/hessian_learner.hpp>
#include <crease/matrix.hpp>
#include <crease/network.hpp>
#include <crease/oracle.hpp>
#include <crease/query_learner.hpp>
#include <crease/run.hpp>
#include <crease/sample_learners.hpp>
#include <crease/samples.hpp>
#include <crease/smooth_network.hpp>
#include <crease/types.hpp>
