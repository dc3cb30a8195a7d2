// SPDX-License-Identifier: Apache-2.0
#include "envs/data_file.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>

#include <zlib.h>

namespace dunlin {
namespace {

struct Close {
    void operator()(gzFile_s* file) const { gzclose(file); }
};

}  // namespace

FileResult<std::string> read_data_file(const std::string& path, std::int64_t limit_bytes) {
    const auto refuse = [&](Code code, std::int64_t first = 0, std::int64_t second = 0) {
        return tl::unexpected(FileFailure{path, {code, first, second}, {}});
    };
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(path, ignored)) return refuse(Code::file_missing);
    const std::unique_ptr<gzFile_s, Close> file(gzopen(path.c_str(), "rb"));
    if (!file) return refuse(Code::file_missing);
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
        if (status == Z_BUF_ERROR) return refuse(Code::file_truncated, size, size + 1);
        if (got < 0) return refuse(Code::file_checksum, size, 0);
        if (size > limit_bytes) return refuse(Code::file_too_large, size, limit_bytes);
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

std::string_view without_mark(std::string_view text) {
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    return text;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = std::min(text.find_first_not_of(" \t"), text.size());
    text.remove_prefix(first);
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

void split_words(std::string_view text, std::vector<std::string_view>& words) {
    words.clear();
    for (text = trimmed(text); !text.empty(); text = trimmed(text)) {
        words.push_back(text.substr(0, text.find_first_of(" \t")));
        text.remove_prefix(words.back().size());
    }
}

bool same_but_case(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [lower](char left, char right) { return lower(left) == lower(right); });
}

std::string shown_text(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        std::size_t bytes = shown_bytes(text);
        if (bytes == 0) {
            const Quoted code(text.substr(0, 1));  // '\xNN'
            shown += code.view().substr(1, code.view().size() - 2);
            bytes = 1;
        } else {
            shown += text.substr(0, bytes);
        }
        text.remove_prefix(bytes);
    }
    return shown;
}

std::string quoted_list(std::span<const std::string> names) {
    constexpr std::size_t most = 6;
    std::string text;
    for (std::size_t k = 0; k < names.size() && k < most; ++k)
        text += sentence(k > 0 ? ", " : "", Quoted(names[k]));
    return names.size() > most ? text + ", ..." : text;
}

std::optional<double> parse_number(std::string_view field) {
    if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
    double value = 0.0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    const bool fits = std::abs(value) <= static_cast<double>(std::numeric_limits<float>::max());
    if (error != std::errc{} || stop != field.data() + field.size() || !fits) return std::nullopt;
    return value;
}

std::optional<std::int64_t> parse_integer(std::string_view field) {
    if (field.size() > 1 && field[0] == '+' && field[1] != '-') field.remove_prefix(1);
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc{} || stop != field.data() + field.size()) return std::nullopt;
    return value;
}

}  // namespace dunlin
