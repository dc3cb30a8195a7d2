// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/checkpoint_file.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin {

namespace {

constexpr std::string_view run_kind = "run-checkpoint";
constexpr std::int64_t run_format = 3;  ///< of the bytes that training loops save
constexpr char line_break = '\x1e';

/// A text in a field, which is one line; and back.
std::string in_a_line(std::string text) {
    std::ranges::replace(text, '\n', line_break);
    return text;
}
std::string in_lines(std::string text) {
    std::ranges::replace(text, line_break, '\n');
    return text;
}

}  // namespace

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

std::string run_checkpoint_bytes(std::span<const std::byte> state, const std::string& config) {
    ArrayFile file{std::string(run_kind), {}, {}};
    file.fields = {{"format", std::to_string(run_format)},
                   {"bytes", std::to_string(state.size())},
                   {"config", in_a_line(config)}};
    std::vector<std::int32_t> words((state.size() + 3) / 4);
    if (!state.empty()) std::memcpy(words.data(), state.data(), state.size());
    file.arrays.emplace("state", std::move(words));
    return file.bytes();
}

Result<RunCheckpoint> read_run_checkpoint(const std::filesystem::path& path) {
    const Result<ArrayFile> file = ArrayFile::read(path, run_kind);
    if (!file) return tl::unexpected(file.error());
    const auto format = file->integer("format"), bytes = file->integer("bytes");
    if (!format || !bytes) return fail(Code::file_syntax);
    // States of machines are kept as they are: an older program's are not understood either.
    if (*format != run_format) return fail(Code::file_version, *format, run_format);
    const auto words = file->integers("state");
    if (!words || *bytes < 0 || static_cast<std::uint64_t>(*bytes) > words->size() * 4)
        return fail(Code::file_syntax);
    RunCheckpoint checkpoint;
    checkpoint.state.resize(static_cast<std::size_t>(*bytes));
    if (*bytes > 0) std::memcpy(checkpoint.state.data(), words->data(), checkpoint.state.size());
    const auto config = file->fields.find("config");
    if (config != file->fields.end()) checkpoint.config = in_lines(config->second);
    return checkpoint;
}

Result<std::string> checkpoint_config(const std::filesystem::path& path) {
    Result<ArrayFile> file = ArrayFile::read(path, run_kind);
    if (!file && file.error().code == Code::file_magic) file = ArrayFile::read(path, "checkpoint");
    if (!file) return tl::unexpected(file.error());
    const auto config = file->fields.find("config");
    return config == file->fields.end() ? std::string() : in_lines(config->second);
}

}  // namespace dunlin
