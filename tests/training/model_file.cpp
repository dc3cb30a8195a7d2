// SPDX-License-Identifier: Apache-2.0
#include "training/models/model_file.hpp"

#include "temporary_file.hpp"
#include "training/navigation/checkpoint_file.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

using File = test::TemporaryFile;

TrainedModel sample_policy(bool gaussian) {
    const std::vector<int> hidden{3};
    TrainedModel policy{.experiment = "a name",
                        .shape = *MlpShape::make(2, hidden, 2, Activation::relu),
                        .head = gaussian ? ModelHead::gaussian : ModelHead::actions,
                        .parameters = {}};
    policy.parameters.resize(policy.shape.parameters() + (gaussian ? 2 : 0));
    for (std::size_t k = 0; k < policy.parameters.size(); ++k) policy.parameters[k] = 0.1f * static_cast<float>(k);
    return policy;
}

Result<TrainedModel> read_policy(const std::string& bytes) {
    return TrainedModel::read(File(bytes).path());
}

/// The bytes of a policy file after a change to its fields or arrays: well-formed, but what it says is not.
std::string changed(void (*change)(ArrayFile&)) {
    Result<ArrayFile> file = ArrayFile::parse(sample_policy(false).bytes(), "policy");
    REQUIRE(file);
    change(*file);
    return file->bytes();
}

}  // namespace

TEST_CASE("a policy file reads back as it was written") {
    for (const bool gaussian : {false, true}) {
        const TrainedModel policy = sample_policy(gaussian);
        const Result<TrainedModel> read = read_policy(policy.bytes());
        REQUIRE(read);
        CHECK(read->experiment == policy.experiment);
        CHECK(read->shape == policy.shape);
        CHECK(read->head == policy.head);
        CHECK(read->parameters == policy.parameters);
        CHECK(read->bytes() == policy.bytes());
    }
}

TEST_CASE("any changed bit and any cut of a .dunlin file is noticed") {
    const std::string bytes = sample_policy(true).bytes();
    for (std::size_t k = 0; k < bytes.size(); ++k) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = bytes;
            damaged[k] = static_cast<char>(damaged[k] ^ (1 << bit));
            if (ArrayFile::parse(damaged, "policy")) FAIL("byte " << k << ", bit " << bit);
        }
        if (ArrayFile::parse(bytes.substr(0, k), "policy")) FAIL("cut after " << k << " bytes");
    }
    CHECK(ArrayFile::parse(bytes + '\0', "policy").error().code == Code::file_rest);
}

TEST_CASE("another kind of file, a newer version and a foreign file are told apart") {
    const std::string bytes = sample_policy(false).bytes();
    CHECK(ArrayFile::parse(bytes, "checkpoint").error().code == Code::file_magic);
    CHECK(ArrayFile::parse("PK\x03\x04", "policy").error().code == Code::file_magic);
    CHECK(ArrayFile::parse("", "policy").error().code == Code::file_magic);
    std::string newer = bytes;
    newer[8] = 2;
    CHECK(ArrayFile::parse(newer, "policy").error() == Error{Code::file_version, 2, 1});
    CHECK(TrainedModel::read("no/such/file").error().code == Code::file_missing);
    CHECK(TrainedModel::read(std::filesystem::temp_directory_path()).error().code == Code::file_missing);
    std::string huge = bytes;
    const std::uint64_t payload = std::numeric_limits<std::uint64_t>::max() - 8;
    std::memcpy(huge.data() + 16, &payload, sizeof payload);
    CHECK(ArrayFile::parse(huge, "policy").error().code == Code::file_too_large);
}

TEST_CASE("a well-formed file that describes no policy is refused") {
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields.erase("inputs"); })).error().code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["inputs"] = "two"; })).error().code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["inputs"] = "-2"; })).error().code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["inputs"] = "99999999999"; })).error().code ==
          Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["activation"] = "77"; })).error().code ==
          Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) { f.arrays.erase("widths"); })).error().code == Code::file_syntax);
    CHECK(
        read_policy(changed([](ArrayFile& f) { f.arrays["widths"] = std::vector<std::int32_t>{}; })).error().code ==
        Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) {
              f.arrays["widths"] = std::vector<float>{3, 2};
          }))
              .error()
              .code == Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) {
              f.arrays["widths"] = std::vector<std::int32_t>{-3, 2};
          }))
              .error()
              .code == Code::bad_width);
    CHECK(read_policy(changed([](ArrayFile& f) { f.arrays["widths"] = std::vector<std::int32_t>(20, 2); }))
              .error()
              .code == Code::too_many_layers);
    CHECK(read_policy(changed([](ArrayFile& f) { f.fields["gaussian"] = std::string("1"); })).error().code ==
          Code::file_syntax);
    CHECK(read_policy(changed([](ArrayFile& f) {
              f.fields["gaussian"] = std::string("1");
              f.fields["head"] = "gaussian";
          })).error() == Error{Code::shape_mismatch, 17, 19});
    CHECK(read_policy(changed([](ArrayFile& f) {
              std::get<std::vector<float>>(f.arrays["parameters"])[5] = std::numeric_limits<float>::infinity();
          })).error() == Error{Code::not_finite, 5});
}

TEST_CASE("a model's whole description reads back, whatever its names hold") {
    TrainedModel model = sample_policy(false);
    model.head = ModelHead::mixture;
    model.networks = 2;
    model.parameters.assign(model.count(), 0.5f);
    model.shape.linear_input = true;
    model.config = "kind = \"x\"\n[a]\n";
    model.task = "classification";
    model.input = "two\nlines";
    model.output_names = {"a=b", "tab\tand\nline"};
    model.notes = {"n"};
    model.centre = {1, 2};
    model.scale = {3, 4};
    model.weights = {0.25f, 0.75f};
    model.nodes = {"left", ""};
    // As a fleet has them: behind the networks the logits of their weights.
    const std::size_t d = model.count(), all = d + 2;
    CHECK(model.flat_count() == all);
    std::vector<float> shared(all, 2.0f), own(2 * all, 1.0f);
    own[all - 1] = own[2 * all - 2] = -1000.0f;
    own[all + d - 1] = 3.0f;
    model.take(shared, own);
    CHECK(model.parameters == std::vector<float>(d, 2.0f));
    CHECK(model.weights == std::vector<float>{0.25f, 0.75f});
    CHECK(model.node_weights == std::vector<float>{1, 0, 0, 1});
    CHECK(model.flat().size() == all);
    CHECK(model.flat().back() == std::log(0.75f));
    model.updates = 7;
    const auto read = read_policy(model.bytes());
    REQUIRE(read);
    CHECK(read->shape == model.shape);
    CHECK(read->networks == 2);
    CHECK(read->config == model.config);
    CHECK(read->output_names == std::vector<std::string>{"a=b", "tab and line"});
    CHECK(read->nodes == model.nodes);
    CHECK(read->updates == 7);
    CHECK(read->bytes() == model.bytes());
    CHECK(read->of_node(1)->parameters.back() == 3.0f);
    CHECK(read->of_node(1)->weights == std::vector<float>{0, 1});
    CHECK_FALSE(read->of_node(2));
}

TEST_CASE("files of format 1 still read, and a newer format is refused by number") {
    const std::vector<const char*> old{"experiment", "inputs", "activation", "one_hot", "bias", "gaussian"};
    ArrayFile file = *ArrayFile::parse(sample_policy(true).bytes(), "policy");
    std::erase_if(file.fields, [&](const auto& field) {
        return std::ranges::none_of(old, [&](const char* name) { return field.first == name; });
    });
    const auto read = read_policy(file.bytes());
    REQUIRE(read);
    CHECK(read->format == 1);
    CHECK(read->head == ModelHead::gaussian);
    CHECK(read->config.empty());
    file.fields["format"] = "4";
    CHECK(read_policy(file.bytes()).error() == Error{Code::file_version, 4, 3});

    ArrayFile numbers{"model", {{"experiment", "x"}, {"version", "4"}}, {{"parameters", std::vector<float>{1, 2}}}};
    const auto bare = read_policy(numbers.bytes());
    REQUIRE(bare);
    CHECK_FALSE(bare->described());
    CHECK(bare->updates == 4);
}

TEST_CASE("models of as many numbers that run differently have different signatures") {
    const std::vector<int> hidden{3}, other{4};
    const auto of = [](int inputs, const std::vector<int>& widths, Activation activation, bool one_hot) {
        return model_signature(*MlpShape::make(inputs, widths, 5, activation, one_hot), false);
    };
    const std::uint32_t first = of(4, hidden, Activation::tanh, true);
    CHECK(first == of(4, hidden, Activation::tanh, true));
    CHECK(first != of(4, hidden, Activation::relu, true));
    CHECK(first != of(4, hidden, Activation::tanh, false));
    CHECK(first != of(4, other, Activation::tanh, true));
    CHECK(first != 0);
}

namespace {

/// A checkpoint of navigation as earlier Dunlins wrote it.
ArrayFile early_checkpoint(const MetaTrainerState& state, const std::string& config) {
    ArrayFile file{"checkpoint", {}, {}};
    file.fields = {{"iteration", std::to_string(state.iteration)},
                   {"environment_steps", std::to_string(state.environment_steps)},
                   {"gradients", std::to_string(state.gradients)},
                   {"optimiser_steps", std::to_string(state.optimiser_steps)},
                   {"config", config}};
    std::vector<std::int32_t> low, high;
    for (const std::uint64_t epoch : state.stream_epochs) {
        low.push_back(static_cast<std::int32_t>(epoch));
        high.push_back(static_cast<std::int32_t>(epoch >> 32));
    }
    file.arrays = {{"parameters", state.parameters},
                   {"mean", state.mean},
                   {"square", state.square},
                   {"value_means", state.value_means},
                   {"value_counts", state.value_counts},
                   {"stream_epochs", low},
                   {"stream_epochs_high", high}};
    return file;
}

}  // namespace

TEST_CASE("a checkpoint of an earlier navigation run is read") {
    MetaTrainerState state;
    state.iteration = 7;
    state.environment_steps = 1'000'000'000'000;
    state.gradients = 12;
    state.optimiser_steps = 3;
    state.parameters = {1, 2};
    state.mean = {3, 4};
    state.square = {5, 6};
    state.value_means = {0.5f};
    state.value_counts = {9};
    state.stream_epochs = {4'000'000'000u, 0xfffff'fffffffull};
    ArrayFile early = early_checkpoint(state, "");
    const File file(early.bytes());
    const Result<MetaTrainerState> read = read_checkpoint(file.path());
    REQUIRE(read);
    CHECK(read->iteration == state.iteration);
    CHECK(read->environment_steps == state.environment_steps);
    CHECK(read->gradients == state.gradients);
    CHECK(read->optimiser_steps == state.optimiser_steps);
    CHECK(read->parameters == state.parameters);
    CHECK(read->mean == state.mean);
    CHECK(read->square == state.square);
    CHECK(read->value_means == state.value_means);
    CHECK(read->value_counts == state.value_counts);
    CHECK(read->stream_epochs == state.stream_epochs);
    early.arrays.erase("stream_epochs_high");
    CHECK(read_checkpoint(File(early.bytes()).path())->stream_epochs ==
          std::vector<std::uint64_t>{4'000'000'000u, 0xffffffffu});
    early.arrays["stream_epochs_high"] = std::vector<std::int32_t>{1};
    CHECK(read_checkpoint(File(early.bytes()).path()).error().code == Code::file_syntax);
    CHECK(read_checkpoint(File(sample_policy(false).bytes()).path()).error().code == Code::file_magic);
}

TEST_CASE("a run's checkpoint gives back its state and settings, and another format is refused by number") {
    for (const std::size_t size : {0u, 1u, 4u, 7u, 1000u}) {
        std::vector<std::byte> state(size);
        for (std::size_t k = 0; k < size; ++k) state[k] = static_cast<std::byte>(k * 7);
        const std::string bytes = run_checkpoint_bytes(state, "seed = 1\n[a]\nb = 2\n");
        const File file(bytes);
        const Result<RunCheckpoint> read = read_run_checkpoint(file.path());
        REQUIRE(read);
        CHECK(read->state == state);
        CHECK(read->config == "seed = 1\n[a]\nb = 2\n");
        CHECK(*checkpoint_config(file.path()) == read->config);
        for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 40)
            CHECK_FALSE(read_run_checkpoint(File(bytes.substr(0, cut)).path()));

        ArrayFile changed = *ArrayFile::parse(bytes, "run-checkpoint");
        changed.fields["format"] = std::to_string(2);
        CHECK(read_run_checkpoint(File(changed.bytes()).path()).error() == Error{Code::file_version, 2, 3});
        changed.fields["format"] = std::to_string(3);
        changed.fields["bytes"] = std::to_string(size + 8);
        CHECK(read_run_checkpoint(File(changed.bytes()).path()).error().code == Code::file_syntax);
    }
    MetaTrainerState state;
    const File navigation(early_checkpoint(state, "seed = 3").bytes());
    CHECK(*checkpoint_config(navigation.path()) == "seed = 3");
    CHECK(read_run_checkpoint(navigation.path()).error().code == Code::file_magic);
}
