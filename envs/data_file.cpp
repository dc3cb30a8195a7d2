// SPDX-License-Identifier: Apache-2.0
#include "envs/data_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <memory>

#include <zlib.h>

namespace dunlin {
namespace {

struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
};

}  // namespace

FileResult<std::string> read_data_file(const std::string& path, std::int64_t limit_bytes) {
    const auto problem = [&](Code code, std::int64_t first = 0, std::int64_t second = 0) {
        return tl::unexpected(FileProblem{path, {code, first, second}});
    };
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) return problem(Code::file_missing);
    const std::unique_ptr<gzFile_s, Close> file(gzopen(path.c_str(), "rb"));
    if (!file) return problem(Code::file_missing);
    gzbuffer(file.get(), 1 << 18);

    std::string text;
    constexpr std::size_t piece = std::size_t{1} << 20;
    for (;;) {
        const std::size_t have = text.size();
        text.resize(have + piece);
        const int got = gzread(file.get(), text.data() + have, static_cast<unsigned>(piece));
        text.resize(have + static_cast<std::size_t>(std::max(got, 0)));
        int status = Z_OK;
        gzerror(file.get(), &status);
        const auto size = static_cast<std::int64_t>(text.size());
        if (status == Z_BUF_ERROR) return problem(Code::file_truncated, size, size + 1);
        if (got < 0) return problem(Code::file_checksum, size, 0);
        if (size > limit_bytes) return problem(Code::file_too_large, size, limit_bytes);
        if (got == 0) return text;
    }
}

std::string plain_or_packed(const std::string& path) {
    std::error_code ignored;
    const std::string packed = path + ".gz";
    return !std::filesystem::exists(path, ignored) && std::filesystem::exists(packed, ignored) ? packed : path;
}

bool Lines::next() {
    if (rest_.empty()) return false;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    ++number_;
    return true;
}

void split_fields(std::string_view line, char separator, std::vector<std::string_view>& fields) {
    fields.clear();
    for (;;) {
        const std::size_t end = std::min(line.find(separator), line.size());
        std::string_view field = line.substr(0, end);
        while (!field.empty() && (field.front() == ' ' || field.front() == '\t')) field.remove_prefix(1);
        while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
        if (field.size() > 1 && field.front() == field.back() && (field.front() == '"' || field.front() == '\''))
            field = field.substr(1, field.size() - 2);
        fields.push_back(field);
        if (end == line.size()) return;
        line.remove_prefix(end + 1);
    }
}

std::optional<float> parse_float(std::string_view field) {
    float value = 0.0f;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc{} || stop != field.data() + field.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::optional<std::int64_t> parse_integer(std::string_view field) {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc{} || stop != field.data() + field.size()) return std::nullopt;
    return value;
}

}  // namespace dunlin
