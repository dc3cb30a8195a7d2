// SPDX-License-Identifier: Apache-2.0
#include "apps/programs.hpp"
#include "ferries.hpp"

#include <cstdio>

int main(int argc, char** argv) {
    if (const auto known = register_ferries(); !known) {
        std::fprintf(stderr, "%s\n", known.error().text.c_str());
        return 2;
    }
    return dunlin::app::run_dunlin_node(argc, argv);
}
