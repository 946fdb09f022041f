// The assembly line on one page: how a black box becomes a network, stage by stage.
//
//   ask        Asker (ask.hpp)              every question, counted, checked, within the budget
//   noise      probe_noise (noise.hpp)      how exact the answers are; what numbers they are:
//                                           answer_formats.hpp
//   lines      search_line (line_search.hpp)
//                                           pieces and kinks of F, or of what is left, on a line
//   gradients  prepare_pieces, plan_chain, measure_gradients (gradients.hpp)
//                                           one gradient per group of up to p kinks; repair.cpp
//                                           explains failures
//              localize_crowded_kinks (crowded.cpp)
//                                           wide networks: kinks among known hyperplanes, from
//                                           nearby
//   neurons    add_neurons (gradients.hpp)  jumps of gradients have rank one: normal, bias, scale
//              Hypothesis (hypothesis.hpp)  the network so far, with the error of every part
//   looks      look_around (look.hpp)       fresh points: what is wrong, where the next line goes
//   lift       choose_cells, lift_slice (slice_lift.hpp)
//                                           wide inputs: F on a slice first (slice_asker.hpp), then
//                                           one gradient a neuron in cells that it has shown
//                                           (cells.hpp, slice_fans.hpp, output_turns.hpp)
//   hunt       Hunt (look.hpp)              slabs that no line has met: hit first, then line
//   fit        fit_least_squares (fit.hpp)  regression over the ReLU features
//              solve_least_squares (solve.hpp)
//                                           stream, analytic or qr, over rows.hpp: lsqr.hpp,
//                                           preconditioner.hpp, triangle.hpp, qr_solver.hpp,
//                                           trust_region.hpp
//   noisy      measure_noise (noise.hpp)    answers that are not exact: format and noise
//              crude_neurons, unite (crude_neurons.hpp)
//                                           hyperplanes from noisy lines, far out where the noise
//                                           does not grow; crude_union.cpp
//              AnsweredPoints, residual_seeds (fit_rows.hpp)
//                                           rows of the fit, and where a residual wants neurons
//              fit_offsets (offset_fit.hpp)
//                                           offsets alone, where normals are known
//              residual_neurons (residual_neurons.hpp)
//                                           missing neurons, in the span of the residual's moments
//              fit_hyperplanes (hyperplane_fit.hpp)
//                                           Levenberg-Marquardt over all hyperplanes:
//                                           whitening.hpp, hyperplane_scales.hpp,
//                                           hyperplane_step.hpp
//   polish     polish (polish.hpp)          all neurons known: what was paid for (paid.hpp) and new
//                                           fans (fan_design.hpp, fan_choice.cpp) in one least
//                                           squares for the weights (fan_rows.hpp,
//                                           gradient_fit.hpp), points for the biases
//                                           (level_fit.hpp); noise from mirrored.hpp
//   orient     orient (orientation.hpp)     the sides on which the neurons were active
//   certify    vouch_for (finish.hpp), certify (certify.hpp)
//                                           what fresh points say of the finished network
//
//   smooth     probe_curvature (curvature.hpp)
//                                           whether F bends smoothly, or at kinks only
//              central_gradients, hessians (central_differences.hpp)
//                                           fans of two steps, and of the shared stencil
//              symmetric_span, rank_one_search, fit_profile (symmetric_span.hpp, ...)
//                                           one layer: the span of the Hessians, its matrices of
//                                           rank one (subspace_iterations.hpp), scale and shift of
//                                           each neuron
//              far_field (far_field.hpp)    directions of a first layer that saturates, from far
//                                           out; far_steps.hpp, secants.hpp
//              linear_corners, saturated_profiles (saturated_profiles.hpp)
//                                           one layer of these: outputs, then scales and shifts
//              least_second_neurons, learn_corners, learn_both_layers (corners.hpp)
//                                           the second where the first one saturates:
//                                           corner_points.hpp, counted_fit.hpp
//              with_first_layer, with_exact_directions (corners.hpp)
//                                           scales and shifts of the first, then all its weights
//              saturation_scores, fit_scalars (attribution.hpp, scalar_fit.hpp)
//                                           the paper's way instead: which layer a direction
//                                           belongs to, and shifts and scales along them
//              fit_smooth (smooth_fit.hpp)  Levenberg-Marquardt over all parameters
//              lift_to_inputs (input_lift.hpp)
//                                           weights outside of the directions F varies in
//
//   samples    Examples (examples.hpp)      rows of a source, held out, kept or drawn again
//              label_moments, hermite_contractions (sample_moments.hpp)
//                                           Hermite moments of labels, streamed
//              jointly_diagonalize (joint_diagonal.hpp)
//                                           directions that symmetric slices share
//              directions_from_row_space (row_space.hpp)
//                                           exact answers: null vectors of masked Gram matrices
//              fit_eliminated (eliminated_fit.hpp)
//                                           y = U f(V x), U eliminated: rectified_sum.hpp,
//                                           eliminated_model.hpp
//
// The paper's uniform mode replaces lines to neurons by scan_lines and get_neurons (uniform.hpp),
// and fit by bounded_fit.hpp. Includes point down only: include/crease <- kernels <- src/stages <-
// src/learners.
#pragma once

#include "src/stages/ask.hpp"
#include "src/stages/bounded_fit.hpp"
#include "src/stages/certify.hpp"
#include "src/stages/crude_neurons.hpp"
#include "src/stages/eliminated_fit.hpp"
#include "src/stages/examples.hpp"
#include "src/stages/finish.hpp"
#include "src/stages/fit.hpp"
#include "src/stages/fit_rows.hpp"
#include "src/stages/gradients.hpp"
#include "src/stages/hyperplane_fit.hpp"
#include "src/stages/hypothesis.hpp"
#include "src/stages/joint_diagonal.hpp"
#include "src/stages/line_search.hpp"
#include "src/stages/look.hpp"
#include "src/stages/noise.hpp"
#include "src/stages/orientation.hpp"
#include "src/stages/polish.hpp"
#include "src/stages/row_space.hpp"
#include "src/stages/sample_moments.hpp"
#include "src/stages/slice_asker.hpp"
#include "src/stages/slice_lift.hpp"
#include "src/stages/solve.hpp"
#include "src/stages/uniform.hpp"
