// SPDX-License-Identifier: Apache-2.0
#include "fleet/policy_file.hpp"

#include <algorithm>
#include <cmath>

namespace dunlin {
namespace {

/// A field is one line. TOML knows no record separator.
constexpr char line_break = '\x1e';

/// 32 bits of each number, from bit `shift` on.
std::vector<std::int32_t> words(const std::vector<std::uint64_t>& numbers, int shift) {
    std::vector<std::int32_t> out;
    for (std::uint64_t number : numbers) out.push_back(static_cast<std::int32_t>(number >> shift));
    return out;
}

}  // namespace

std::string PolicyFile::bytes() const {
    ArrayFile file{"policy", {}, {}};
    std::vector<std::int32_t> widths(shape.widths.begin(), shape.widths.begin() + shape.layers);
    file.fields = {{"experiment", experiment},
                   {"inputs", std::to_string(shape.inputs)},
                   {"activation", std::to_string(static_cast<int>(shape.hidden))},
                   {"one_hot", std::to_string(shape.one_hot)},
                   {"bias", std::to_string(shape.bias)},
                   {"gaussian", std::to_string(gaussian)}};
    if (!config.empty()) {
        std::string& text = file.fields["config"] = config;
        std::ranges::replace(text, '\n', line_break);
    }
    file.arrays = {{"parameters", parameters}, {"widths", widths}};
    return file.bytes();
}

Result<PolicyFile> PolicyFile::read(const std::filesystem::path& path) {
    const Result<ArrayFile> file = ArrayFile::read(path, "policy");
    if (!file) return tl::unexpected(file.error());
    const auto inputs = file->integer("inputs"), activation = file->integer("activation"),
               one_hot = file->integer("one_hot"), bias = file->integer("bias"),
               gaussian = file->integer("gaussian");
    for (const auto* number : {&inputs, &activation, &one_hot, &bias, &gaussian}) {
        if (!*number) return tl::unexpected(number->error());
    }
    const Result<std::vector<std::int32_t>> widths = file->integers("widths");
    const Result<std::vector<float>> parameters = file->floats("parameters");
    if (!widths || widths->empty() || !parameters || *inputs < 0 || *inputs > MlpShape::width_limit ||
        *activation < 0 || *activation > static_cast<int>(Activation::sigmoid)) {
        return fail(Code::file_syntax);
    }
    const Result<MlpShape> shape =
        MlpShape::make(static_cast<int>(*inputs), std::span(*widths).first(widths->size() - 1), widths->back(),
                       static_cast<Activation>(*activation), *one_hot != 0, *bias != 0);
    if (!shape) return tl::unexpected(shape.error());
    const std::size_t expected =
        shape->parameters() + (*gaussian != 0 ? static_cast<std::size_t>(shape->outputs()) : 0);
    if (parameters->size() != expected) {
        return fail(Code::shape_mismatch, std::ssize(*parameters), static_cast<std::int64_t>(expected));
    }
    for (std::size_t k = 0; k < expected; ++k) {
        if (!std::isfinite((*parameters)[k])) return fail(Code::not_finite, static_cast<std::int64_t>(k));
    }
    const auto field = [&](const char* name) {
        const auto found = file->fields.find(name);
        return found == file->fields.end() ? std::string() : found->second;
    };
    std::string config = field("config");
    std::ranges::replace(config, line_break, '\n');
    return PolicyFile{field("experiment"), *shape, *gaussian != 0, *parameters, std::move(config)};
}

std::string checkpoint_bytes(const MetaTrainerState& state) {
    ArrayFile file{"checkpoint", {}, {}};
    file.fields = {{"iteration", std::to_string(state.iteration)},
                   {"environment_steps", std::to_string(state.environment_steps)},
                   {"gradients", std::to_string(state.gradients)},
                   {"optimiser_steps", std::to_string(state.optimiser_steps)}};
    file.arrays = {{"parameters", state.parameters},
                   {"mean", state.mean},
                   {"square", state.square},
                   {"value_means", state.value_means},
                   {"value_counts", state.value_counts},
                   {"stream_epochs", words(state.stream_epochs, 0)},
                   {"stream_epochs_high", words(state.stream_epochs, 32)}};
    return file.bytes();
}

Result<MetaTrainerState> read_checkpoint(const std::filesystem::path& path) {
    const Result<ArrayFile> file = ArrayFile::read(path, "checkpoint");
    if (!file) return tl::unexpected(file.error());
    const auto iteration = file->integer("iteration"), environment_steps = file->integer("environment_steps"),
               gradients = file->integer("gradients"), optimiser_steps = file->integer("optimiser_steps");
    const auto parameters = file->floats("parameters"), mean = file->floats("mean"),
               square = file->floats("square"), value_means = file->floats("value_means");
    const auto value_counts = file->integers("value_counts"), epochs = file->integers("stream_epochs");
    if (!iteration || !environment_steps || !gradients || !optimiser_steps || !parameters || !mean || !square ||
        !value_means || !value_counts || !epochs) {
        return fail(Code::file_syntax);
    }
    // A file of before epochs were 64 bits wide has no upper halves.
    std::vector<std::int32_t> high(epochs->size(), 0);
    if (file->arrays.contains("stream_epochs_high")) {
        const auto kept = file->integers("stream_epochs_high");
        if (!kept || kept->size() != epochs->size()) return fail(Code::file_syntax);
        high = *kept;
    }
    std::vector<std::uint64_t> stream_epochs;
    for (std::size_t k = 0; k < epochs->size(); ++k) {
        stream_epochs.push_back(std::uint64_t{static_cast<std::uint32_t>(high[k])} << 32 |
                                static_cast<std::uint32_t>((*epochs)[k]));
    }
    return MetaTrainerState{
        *iteration, *environment_steps, *gradients,    *optimiser_steps,        *parameters, *mean,
        *square,    *value_means,       *value_counts, std::move(stream_epochs)};
}

}  // namespace dunlin
