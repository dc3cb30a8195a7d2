// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "network_samples.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace dunlin::test {

/// A folder that is gone with its test, in which compilers and other programs work.
class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "dunlin-networks-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string path() const { return path_.string(); }
    void write(const std::string& name, const std::string& bytes) const {
        std::ofstream(path_ / name, std::ios::binary) << bytes;
    }
    std::string read(const std::string& name) const {
        std::ifstream file(path_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    int shell(const std::string& command) const { return std::system(("cd " + path() + " && " + command).c_str()); }

private:
    std::filesystem::path path_;
};

/// A model's inputs and outputs for some samples, a line each.
struct Lines {
    std::string in, out;
};
inline Lines lines_of(const TrainedModel& model) {
    Lines lines;
    Stream random(9, 0, Purpose::evaluate);
    for (int row = 0; row < 3; ++row) {
        std::vector<float> input(model.tokens() ? 0 : static_cast<std::size_t>(model.inputs()));
        std::vector<std::int32_t> tokens(model.tokens() ? static_cast<std::size_t>(model.steps()) : 0);
        for (float& value : input) lines.in += fmt::format("{} ", value = random.normal());
        for (std::int32_t& token : tokens)
            lines.in += fmt::format(
                "{} ", token = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(model.inputs()))));
        for (const float value : outputs_of(model, input, tokens)) lines.out += fmt::format("{} ", value);
        lines.in += '\n';
        lines.out += '\n';
    }
    return lines;
}

inline TrainedModel scaled(TrainedModel model) {
    if (model.tokens()) return model;
    for (int k = 0; k < model.inputs(); ++k) {
        model.centre.push_back(0.01f * static_cast<float>(k % 7));
        model.scale.push_back(1.0f + 0.1f * static_cast<float>(k % 3));
    }
    return model;
}

inline bool has_onnx() {
    if (std::system("/usr/bin/python3 -c 'import onnx' 2>/dev/null") == 0) return true;
    WARN("python3-onnx is not installed: skipped");
    return false;
}

}  // namespace dunlin::test
