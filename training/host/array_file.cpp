// SPDX-License-Identifier: Apache-2.0
#include "training/host/array_file.hpp"

#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <iterator>

#include <zlib.h>

namespace dunlin {
namespace {

static_assert(std::endian::native == std::endian::little, "files are little-endian and copied as they are");

constexpr std::string_view magic = "DUNLIN\r\n";  // a transfer that changes line ends breaks it

struct Prefix {
    char magic[8];
    std::uint32_t version;
    std::uint32_t header_bytes;
    std::uint64_t payload_bytes;
};

std::uint32_t checksum(std::string_view bytes) {
    return static_cast<std::uint32_t>(
        crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

template <class T>
Result<std::vector<T>> array_of(const ArrayFile& file, const std::string& name) {
    const auto found = file.arrays.find(name);
    if (found == file.arrays.end() || !std::holds_alternative<std::vector<T>>(found->second)) {
        return fail(Code::file_syntax);
    }
    return std::get<std::vector<T>>(found->second);
}

}  // namespace

// The header is lines: the kind, then "key=value", then for each array "@name type count" in the payload's order.
std::string ArrayFile::bytes() const {
    std::string header = kind + "\n", payload;
    for (const auto& [key, value] : fields) header += key + "=" + value + "\n";
    for (const auto& [name, array] : arrays) {
        std::visit(
            [&, &name = name](const auto& numbers) {
                const bool real = std::is_same_v<std::decay_t<decltype(numbers)>, std::vector<float>>;
                header += "@" + name + (real ? " float32 " : " int32 ") + std::to_string(numbers.size()) + "\n";
                payload.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * 4);
            },
            array);
    }
    Prefix prefix{{}, version, static_cast<std::uint32_t>(header.size()), payload.size()};
    magic.copy(prefix.magic, magic.size());
    std::string out(reinterpret_cast<const char*>(&prefix), sizeof prefix);
    out += header;
    out += payload;
    const std::uint32_t sum = checksum(out);
    out.append(reinterpret_cast<const char*>(&sum), sizeof sum);
    return out;
}

Result<ArrayFile> ArrayFile::parse(std::string_view bytes, std::string_view kind) {
    Prefix prefix{};
    const auto size = static_cast<std::int64_t>(bytes.size());
    if (bytes.size() < magic.size() || bytes.substr(0, magic.size()) != magic) return fail(Code::file_magic);
    if (bytes.size() < sizeof prefix) return fail(Code::file_truncated, size, sizeof prefix);
    std::memcpy(&prefix, bytes.data(), sizeof prefix);
    if (prefix.version > version) return fail(Code::file_version, prefix.version, version);
    if (prefix.payload_bytes > size_limit)
        return fail(Code::file_too_large, static_cast<std::int64_t>(prefix.payload_bytes), size_limit);
    const std::uint64_t whole =
        sizeof prefix + std::uint64_t{prefix.header_bytes} + prefix.payload_bytes + sizeof(std::uint32_t);
    if (bytes.size() < whole) return fail(Code::file_truncated, size, static_cast<std::int64_t>(whole));
    if (bytes.size() > whole) return fail(Code::file_rest, size, static_cast<std::int64_t>(whole));
    std::uint32_t stored = 0;
    const std::size_t summed = bytes.size() - sizeof stored;
    std::memcpy(&stored, bytes.data() + summed, sizeof stored);
    const std::uint32_t found = checksum(bytes.substr(0, summed));
    if (stored != found) return fail(Code::file_checksum, found, stored);

    ArrayFile file;
    std::string_view header = bytes.substr(sizeof prefix, prefix.header_bytes);
    std::string_view payload =
        bytes.substr(sizeof prefix + prefix.header_bytes, static_cast<std::size_t>(prefix.payload_bytes));
    for (int line = 1; !header.empty(); ++line) {
        const std::size_t end = header.find('\n');
        if (end == std::string_view::npos) return fail(Code::file_syntax, line);
        const std::string_view text = header.substr(0, end);
        header.remove_prefix(end + 1);
        if (line == 1) {
            if (text != kind) return fail(Code::file_magic);
            file.kind = text;
        } else if (text.starts_with('@')) {
            const std::size_t type = text.find(' '), count_at = text.rfind(' ');
            std::size_t count = 0;
            if (type == std::string_view::npos || type == count_at ||
                std::from_chars(text.data() + count_at + 1, text.data() + text.size(), count).ec != std::errc() ||
                count > payload.size() / 4) {
                return fail(Code::file_syntax, line);
            }
            const auto take = [&](auto numbers) {
                numbers.resize(count);
                if (count > 0) std::memcpy(numbers.data(), payload.data(), count * 4);
                payload.remove_prefix(count * 4);
                file.arrays.emplace(text.substr(1, type - 1), std::move(numbers));
            };
            const std::string_view name = text.substr(type + 1, count_at - type - 1);
            if (name == "float32")
                take(std::vector<float>());
            else if (name == "int32")
                take(std::vector<std::int32_t>());
            else
                return fail(Code::file_syntax, line);
        } else {
            const std::size_t equals = text.find('=');
            if (equals == std::string_view::npos) return fail(Code::file_syntax, line);
            file.fields.emplace(text.substr(0, equals), text.substr(equals + 1));
        }
    }
    if (file.kind.empty() || !payload.empty()) return fail(Code::file_syntax, 1);
    return file;
}

Result<ArrayFile> ArrayFile::read(const std::filesystem::path& path, std::string_view kind) {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (error) return fail(Code::file_missing);
    if (size > size_limit) return fail(Code::file_too_large, static_cast<std::int64_t>(size), size_limit);
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(Code::file_missing);
    const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    return parse(bytes, kind);
}

Result<std::int64_t> ArrayFile::integer(const std::string& name) const {
    const auto found = fields.find(name);
    std::int64_t value = 0;
    if (found == fields.end()) return fail(Code::file_syntax);
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return fail(Code::file_syntax);
    return value;
}

Result<std::vector<float>> ArrayFile::floats(const std::string& name) const {
    return array_of<float>(*this, name);
}
Result<std::vector<std::int32_t>> ArrayFile::integers(const std::string& name) const {
    return array_of<std::int32_t>(*this, name);
}

}  // namespace dunlin
