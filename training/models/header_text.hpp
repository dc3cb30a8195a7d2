// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"
#include "training/models/model_export.hpp"

#include <span>
#include <string>
#include <string_view>

/// Pieces of the C++ headers that `dunlin export --format header` writes.
namespace dunlin::header_text {

std::string_view name_of(Activation activation);

/// A text as a literal of C++.
std::string quoted(std::string_view text);

/// A float as a literal of C++ with the same bits.
std::string literal(float value);

/// A member `static constexpr std::array<float, N> what`, hexadecimal.
std::string numbers(std::string_view what, std::span<const float> values);

/// Members of a model that learns from samples: what its outputs are, what stays, and how it learns.
std::string sample_members(const TrainedModel& model, const std::optional<BoardLearning>& learning);

/// dunlin::exported, or of a named model dunlin::exported::NAME.
std::string space(std::string_view name);

/// The whole header, whose namespace `space` gets an inline one called after its contents: what is in it is used as
/// before, but two models of one name in different files of a program stay two, and in one file are an error. As
/// plain inline variables they would silently share their numbers.
std::string of_its_own(std::string text, std::string_view space);

}  // namespace dunlin::header_text
