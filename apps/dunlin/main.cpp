// SPDX-License-Identifier: Apache-2.0
#include "apps/programs.hpp"

int main(int argc, char** argv) {
    return dunlin::app::run_dunlin(argc, argv);
}
