// SPDX-License-Identifier: Apache-2.0
#include "training/models/layer_text.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using Catch::Contains;

namespace {

using Words = std::vector<std::string>;

NetworkShape shape_of(Extent input, const Words& layers, int outputs = 0, bool tokens = false) {
    const auto shape = read_layers("model.layers", input, tokens, layers, outputs);
    if (!shape) FAIL(shape.error().text);
    return *shape;
}

std::string refusal_of(Extent input, const Words& layers, int outputs = 0, bool tokens = false) {
    const auto shape = read_layers("model.layers", input, tokens, layers, outputs);
    REQUIRE_FALSE(shape);
    return shape.error().text;
}

}  // namespace

TEST_CASE("layers are read as they are written, and written as they are read") {
    const Words keywords{"conv 3x3 8 stride=2 relu", "depthwise 3x3 relu", "conv 1x1 16 relu", "global-average",
                         "dense 10"};
    const NetworkShape shape = shape_of({20, 20, 1}, keywords, 10);
    CHECK(shape.layer(0).out == Extent{9, 9, 8});
    CHECK(shape.layer(1).out == Extent{7, 7, 8});
    CHECK(shape.layer(2).out == Extent{7, 7, 16});
    CHECK(shape.parameters() == 474);  // as the keyword net that boards run
    for (const auto& [input, layers] : std::vector<std::pair<Extent, Words>>{
             {{20, 20, 1}, keywords},
             {{9, 9, 4},
              {"conv 3x2 6 stride=2x1 pad=1x0 groups=2 leaky-relu", "max-pool 2x2", "group-norm 3 tanh", "flatten",
               "layer-norm", "dense 4"}},
             {{1, 20, 13},
              {"conv 5 16 pad=2 relu", "max-pool 2", "lstm 8 every-step both-ways", "gru 4 both-ways",
               "dropout 0.25", "dense 3"}},
             {{8, 8, 3},
              {"conv 1x1 4", "conv 3x3 4 pad=same relu", "add 1 relu", "average-pool 2x2 stride=1", "layer-norm",
               "dense 2 sigmoid"}}}) {
        const NetworkShape once = shape_of(input, layers), again = shape_of(input, layer_texts(once));
        CHECK(once == again);
    }
    CHECK(layer_texts(shape) == Words{"conv 3x3 8 stride=2x2 relu", "depthwise 3x3 relu", "conv 1 16 relu",
                                      "global-average", "dense 10"});
    CHECK(
        shape_of({1, 6, 30}, {"embedding 8", "lstm 16 every-step", "lstm 16", "dense 30"}, 30, true).layer(0).out ==
        Extent{1, 6, 8});
}

TEST_CASE("a layer that cannot stand where it stands is refused with what comes in and what it wants") {
    CHECK_THAT(
        refusal_of({4, 4, 1}, {"conv 3x3 8 relu", "conv 3x3 8"}),
        Contains("model.layers, layer 2: \"conv 3x3 8\"") && Contains("2 x 2 x 8") && Contains("window of 3 x 3"));
    CHECK_THAT(refusal_of({4, 4, 1}, {"convolution 3x3 8"}), Contains("is no layer") && Contains("depthwise"));
    CHECK_THAT(refusal_of({4, 4, 1}, {"conv 3x3"}), Contains("conv HEIGHTxWIDTH CHANNELS"));
    CHECK_THAT(refusal_of({4, 4, 1}, {"dense 4 stride=2"}), Contains("stride=2") && Contains("behind dense"));
    CHECK_THAT(refusal_of({4, 4, 1}, {"dense 4 relu tanh"}), Contains("\"relu\" says nothing here"));
    CHECK_THAT(refusal_of({4, 4, 1}, {"gru 4"}), Contains("height is to be 1"));
    CHECK_THAT(refusal_of({4, 4, 1}, {"dense 4"}, 10), Contains("end with \"dense 10\""));
    CHECK_THAT(refusal_of({4, 4, 3}, {"conv 1x1 4 groups=2"}), Contains("2 groups do not divide 3 channels and 4"));
    CHECK_THAT(refusal_of({1, 4, 3}, {"dense 4", "dense 5", "add 1"}), Contains("1 before"));
    CHECK_THAT(refusal_of({1, 4, 3}, {"dropout 1"}), Contains("below 1"));
    CHECK_THAT(refusal_of({1, 4, 3}, {"dense 3", "flatten"}), Contains("layer 2") && Contains("says nothing"));
    CHECK_THAT(refusal_of({1, 4, 3}, {""}), Contains("is empty"));
    CHECK_THAT(refusal_of({1, 4, 3}, {}), Contains("model.layers"));
    CHECK_THAT(refusal_of({1, 4, 3}, {"lstm 4"}, 0, true), Contains("an embedding makes numbers of"));
    CHECK_THAT(refusal_of({1, 4, 3}, {"conv 3 8\x1b[31m"}), !Contains("\x1b"));
    CHECK_THAT(refusal_of({1, 4, 3}, {"dense 99999999999"}), Contains("dense OUTPUTS"));
    CHECK_THAT(refusal_of({8, 8, 1}, {"conv 2x2 3 pad=same"}), Contains("pad=same"));
}
