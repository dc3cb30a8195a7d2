// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <control.pb.h>

/// Numbers, lists and the terms of a job in Protobuf's words: what messages are made of.
namespace dunlin::proto {

/// Protobuf has no integer below 32 bits. What does not fit becomes the largest value: an enumeration's check
/// refuses it, and for a version or an error's code it is as unknown as it was.
template <class T>
T narrowed(std::uint32_t value) {
    return static_cast<T>(std::min<std::uint32_t>(value, std::numeric_limits<T>::max()));
}
template <class E>
E choice(std::uint32_t value) {
    return static_cast<E>(narrowed<std::underlying_type_t<E>>(value));
}

template <class List, class Values>
void put_list(const Values& values, List& list) {
    list.Add(values.begin(), values.end());
}
template <class T>
std::span<const T> view(const google::protobuf::RepeatedField<T>& list) {
    return {list.data(), static_cast<std::size_t>(list.size())};
}

void put(const Error& m, control::Error& p);
Error get(const control::Error& p);
void put(const JobTerms& m, control::JobTerms& p);
/// What it points to belongs to `p`.
JobTerms get(const control::JobTerms& p);

}  // namespace dunlin::proto
