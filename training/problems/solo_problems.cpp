// SPDX-License-Identifier: Apache-2.0
#include "training/problems/meta_navigation.hpp"
#include "training/problems/problem_kinds.hpp"

namespace dunlin {

void add_solo_problems() {
    RegisteredProblem navigation = registered(meta_navigation_kind());
    if (find_problem(navigation.name) == nullptr) add_first(std::move(navigation));
}

}  // namespace dunlin
