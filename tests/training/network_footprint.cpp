// SPDX-License-Identifier: Apache-2.0
#include "training/host/network_footprint.hpp"

#include "training/models/layer_text.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;

TEST_CASE("the code of a network of layers on a Cortex-M4F is told to 5 percent of what was linked") {
    // Of GCC 12.2 at -Os, kernels of dense layers at -O2: to run, and to train.
    const struct {
        Extent input;
        bool tokens;
        std::vector<std::string> layers;
        double runs, trains;
    } images[] = {
        {{1, 1, 20}, false, {"dense 10"}, 5668, 5752},
        {{1, 1, 20}, false, {"dense 16 relu", "dense 10"}, 6072, 6412},
        {{1, 1, 20}, false, {"dense 16 tanh", "dense 10"}, 6456, 6796},
        {{1, 1, 20}, false, {"dense 16 relu", "dense 16 relu", "dense 10"}, 6272, 6732},
        {{1, 1, 20}, false, {"dense 16 relu", "dropout 0.5", "dense 10"}, 6128, 6972},
        {{20, 20, 1}, false, {"conv 3x3 8 relu", "dense 10"}, 9540, 9968},
        {{20, 20, 1}, false, {"conv 3x3 8 relu", "conv 3x3 8 relu", "dense 10"}, 9704, 12964},
        {{20, 20, 8}, false, {"depthwise 3x3", "dense 10"}, 9536, 10472},
        {{20, 20, 1},
         false,
         {"conv 3x3 8 stride=2 relu", "depthwise 3x3", "conv 1x1 16 relu", "global-average", "dense 10"},
         10220,
         13980},
        {{20, 20, 1}, false, {"conv 3x3 8 relu", "layer-norm", "dense 10"}, 10172, 12384},
        {{20, 20, 1}, false, {"conv 3x3 8 relu", "max-pool 2x2 stride=1", "dense 10"}, 10092, 12140},
        {{20, 20, 1}, false, {"conv 3x3 8 relu", "global-average", "dense 10"}, 9884, 11556},
        {{1, 20, 8}, false, {"conv 3 8 relu", "gru 8", "dense 10"}, 11052, 14816},
        {{1, 20, 8}, false, {"gru 8", "dense 10"}, 9100, 11312},
        {{1, 20, 8}, false, {"lstm 8", "dense 10"}, 9136, 11380},
        {{1, 20, 30}, true, {"embedding 8", "lstm 8", "dense 10"}, 9148, 11780},
        {{20, 20, 1}, false, {"conv 3x3 8 pad=1", "conv 3x3 8 pad=1", "dense 10"}, 9700, 12840},
        {{20, 20, 1}, false, {"conv 3x3 8 pad=1", "conv 3x3 8 pad=1", "add 1", "dense 10"}, 10052, 13324},
        {{1, 20, 8}, false, {"gru 8 every-step", "gru 8", "dense 10"}, 9300, 11996},
        {{1, 20, 8}, false, {"conv 3 8 relu", "gru 8 every-step", "layer-norm", "gru 8", "dense 10"}, 11884, 16700},
    };
    for (const auto& image : images) {
        CAPTURE(image.layers);
        const auto shape = read_layers("layers", image.input, image.tokens, image.layers, 0);
        REQUIRE(shape);
        const double parameters = static_cast<double>(shape->parameters() * sizeof(float));
        for (const bool trains : {false, true}) {
            const double measured = (trains ? image.trains : image.runs);
            const double told = static_cast<double>(footprint(*shape, trains).flash_bytes()) - parameters;
            CHECK(told == Approx(measured).epsilon(0.05));
        }
    }
    const auto keywords = read_layers("layers", {20, 20, 1}, false, images[8].layers, 0);
    CHECK(footprint(*keywords, false).ram_bytes() == 1600 + 7400);
}
