// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"

namespace dunlin {

/// The reference kernels without what only Hessian-vector products take (null): a firmware that links these alone
/// is smaller.
extern const Kernels<float> first_order_kernels;

}  // namespace dunlin
