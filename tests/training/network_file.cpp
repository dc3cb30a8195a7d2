// SPDX-License-Identifier: Apache-2.0
// Model files of networks of every kind of layer.
#include "network_samples.hpp"
#include "temporary_file.hpp"
#include "training/host/array_file.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

Result<TrainedModel> read_model(const std::string& bytes) {
    return TrainedModel::read(TemporaryFile(bytes).path());
}

/// The error of a file after a change to its fields: well-formed, but what it says is not.
template <class Change>
Error error_after(const TrainedModel& model, const Change& change) {
    Result<ArrayFile> file = ArrayFile::parse(model.bytes(), "model");
    REQUIRE(file);
    change(*file);
    const auto read = read_model(file->bytes());
    REQUIRE_FALSE(read);
    return read.error();
}
Error error_with(const TrainedModel& model, const std::string& field, const std::string& value) {
    return error_after(model, [&](ArrayFile& file) { file.fields[field] = value; });
}

std::string list(const std::string& item, int count) {
    std::string text;
    for (int k = 0; k < count; ++k) text += item + '\x1e';
    return text;
}

}  // namespace

TEST_CASE("a network of any kind of layer reads back as it was written, with the layers that are frozen") {
    for (const NetworkSample& sample : network_samples()) {
        CAPTURE(sample.name);
        TrainedModel model = model_of(sample);
        model.frozen = 1;
        if (!model.tokens()) {
            model.centre.assign(static_cast<std::size_t>(model.inputs()), 0.5f);
            model.scale.assign(static_cast<std::size_t>(model.inputs()), 2.0f);
        }
        const auto read = read_model(model.bytes());
        REQUIRE(read);
        CHECK(read->described());
        REQUIRE(read->network);
        CHECK(*read->network == *model.network);
        CHECK(read->format == TrainedModel::newest_format);
        CHECK(read->frozen == 1);
        CHECK(read->frozen_parameters() == model.network->parameters(0));
        CHECK(read->count() == model.network->parameters());
        CHECK(read->signature() == model.signature());
        CHECK(read->parameters == model.parameters);
        CHECK(read->bytes() == model.bytes());
    }
}

TEST_CASE("a perceptron's file has its old format, unless layers of it are frozen") {
    TrainedModel model{.experiment = "a", .shape = *MlpShape::make(2, std::vector<int>{3}, 2), .parameters = {}};
    model.parameters.assign(model.count(), 0.5f);
    CHECK(model.bytes().find("format=2\n") != std::string::npos);
    model.frozen = 1;
    CHECK(model.frozen_parameters() == 9);
    const std::string bytes = model.bytes();
    CHECK(bytes.find("format=3\n") != std::string::npos);
    const auto read = read_model(bytes);
    REQUIRE(read);
    CHECK(read->frozen == 1);
    CHECK(read->shape == model.shape);
    CHECK_FALSE(read->network);
}

TEST_CASE("networks that run differently have different signatures") {
    std::vector<std::uint32_t> seen;
    const auto add = [&](Extent input, bool tokens, const std::vector<std::string>& layers) {
        seen.push_back(model_signature(shape_of({"", input, tokens, layers}), false));
    };
    for (const NetworkSample& sample : network_samples()) add(sample.input, sample.tokens, sample.layers);
    for (const char* layers : {"max-pool 2x2", "average-pool 2x2", "conv 2x2 4", "conv 2x2 4 stride=2",
                               "conv 2x2 4 groups=2", "depthwise 2x2", "conv 2x2 4 pad=1", "conv 2x2 4 relu",
                               "conv 2x2 4 leaky-relu", "group-norm 2", "layer-norm"})
        add({4, 4, 4}, false, {layers, "dense 2"});
    add({4, 4, 4}, false, {"flatten", "layer-norm", "dense 2"});
    for (const char* layers : {"gru 3", "lstm 3", "gru 3 every-step", "gru 3 both-ways"})
        add({1, 4, 4}, false, {layers});
    std::ranges::sort(seen);
    CHECK(std::ranges::adjacent_find(seen) == seen.end());
    const auto of = [](const char* layer) {
        return model_signature(shape_of({"", {2, 2, 2}, false, {layer, "dense 2"}}), false);
    };
    CHECK(of("dropout 0.25") == of("dropout 0.5"));
    const NetworkShape one = shape_of(network_samples()[0]);
    CHECK(model_signature(one, true) != model_signature(one, false));
}

TEST_CASE("a file whose network is none, or too large, is refused before anything is made of it") {
    const TrainedModel model = model_of(network_samples()[0]);
    CHECK(error_with(model, "layers", list("dense 1", 33)).code == Code::file_syntax);
    CHECK(error_with(model, "layers", list("dense 1", 1000000)).code == Code::too_many_layers);
    CHECK(error_with(model, "layers", "").code == Code::file_syntax);
    CHECK(error_with(model, "layers", list("flatten", 3)).code == Code::file_syntax);
    CHECK(error_with(model, "layers", "conv 99999x3 8\x1e").code == Code::file_syntax);
    CHECK(error_with(model, "layers", "dense -3\x1e").code == Code::file_syntax);
    CHECK(error_with(model, "layers",
                     "dense 32768\x1e"
                     "dense 32768\x1e")
              .code == Code::file_syntax);
    CHECK(error_with(model, "input_height", "0").code == Code::file_syntax);
    CHECK(error_with(model, "input_width", "65537").code == Code::file_syntax);
    CHECK(error_with(model, "input_channels", "99999999999999999999").code == Code::file_syntax);
    CHECK(error_with(model, "input_channels", "2").code == Code::shape_mismatch);
    CHECK(error_with(model, "tokens", "1").code == Code::file_syntax);
    CHECK(error_with(model, "networks", "4096").code == Code::shape_mismatch);
    CHECK(error_with(model, "frozen", "5") == Error{Code::no_such_layer, 5, 4});
    CHECK(error_with(model, "frozen", "-1").code == Code::file_syntax);
    CHECK(error_with(model, "format", "4") == Error{Code::file_version, 4, 3});
    CHECK(error_with(model, "format", "2").code == Code::file_syntax);  // a perceptron's, and it has no widths
    CHECK(error_after(model, [](ArrayFile& file) {
              std::get<std::vector<float>>(file.arrays["parameters"]).pop_back();
          }) == Error{Code::shape_mismatch, 473, 474});
    TrainedModel characters = model_of(network_samples()[7]);
    characters.centre.assign(11, 0.0f);
    characters.scale.assign(11, 1.0f);
    CHECK(read_model(characters.bytes()).error().code == Code::shape_mismatch);  // a token is no quantity
    TrainedModel wide{
        .experiment = "a", .shape = *MlpShape::make(65536, std::vector<int>{65536, 65536}, 2), .parameters = {1}};
    CHECK(read_model(wide.bytes()).error().code == Code::file_too_large);
}

TEST_CASE("whatever a description's bytes become, reading them ends with a model that fits or an error") {
    const TrainedModel model = model_of(network_samples()[3]);
    const ArrayFile file = *ArrayFile::parse(model.bytes(), "model");
    Stream random(5, 0, Purpose::evaluate);
    int refused = 0;
    for (int round = 0; round < 1000; ++round) {
        ArrayFile damaged = file;
        for (const char* name : {"layers", "input_width", "input_channels", "tokens", "head"}) {
            std::string& text = damaged.fields[name];
            if (text.empty() || random.below(3) != 0) continue;
            const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
            const char letter = static_cast<char>(random.below(96) + 32);
            switch (random.below(3)) {
                case 0:
                    text[at] = letter;
                    break;
                case 1:
                    text.insert(at, 1, letter);
                    break;
                default:
                    text.erase(at, 1);
            }
        }
        const auto read = read_model(damaged.bytes());
        if (!read)
            ++refused;
        else if (read->parameters.size() != read->count() || !read->network)
            FAIL("round " << round);
    }
    CHECK(refused > 250);
    CHECK(refused < 1000);
}
