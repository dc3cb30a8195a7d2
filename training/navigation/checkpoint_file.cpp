// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/checkpoint_file.hpp"

namespace dunlin {

namespace {

/// 32 bits of each number, from bit `shift` on.
std::vector<std::int32_t> words(const std::vector<std::uint64_t>& numbers, int shift) {
    std::vector<std::int32_t> out;
    for (std::uint64_t number : numbers) out.push_back(static_cast<std::int32_t>(number >> shift));
    return out;
}

}  // namespace

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
