// SPDX-License-Identifier: Apache-2.0
#include "apps/programs.hpp"
#include "sensors.hpp"

#include <cstdio>

int main(int argc, char** argv) {
    if (const auto known = register_sensors(); !known) {
        std::fprintf(stderr, "%s\n", known.error().text.c_str());
        return 2;
    }
    return dunlin::app::run_dunlin_node(argc, argv);
}
