// SPDX-License-Identifier: Apache-2.0
#include "training/problems/meta_navigation.hpp"
#include "training/problems/pdbo_fleet.hpp"
#include "training/problems/problem_kinds.hpp"

namespace dunlin {

void add_solo_problems() {
    if (find_problem("navigation") != nullptr) return;
    add_first(registered(pdbo_kind()));
    add_first(registered(meta_navigation_kind()));
}

}  // namespace dunlin
