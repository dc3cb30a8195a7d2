// SPDX-License-Identifier: Apache-2.0
// A desk instead of a board: a line is printed instead of an LED lit.
#include <cstdio>

// @EXAMPLE@

int main() {
    begin();
    for (int k = 0; k < 10; ++k) std::puts(turn() ? "on" : "off");
}
