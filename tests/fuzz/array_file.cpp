// SPDX-License-Identifier: Apache-2.0
// Any header and payload as a file of arrays: a policy, a checkpoint. What is in front and the checksum behind,
// which no fuzzer would guess, are made right.
#include "training/host/array_file.hpp"

#include "fuzz.hpp"

#include <string>

#include <zlib.h>

using namespace dunlin;

namespace {

template <class T>
void append(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input = fuzz::text(data, size);
    (void)ArrayFile::parse(input, "policy");
    const std::string_view header = input.substr(0, input.find('\0'));
    const std::string_view payload = input.substr(std::min(header.size() + 1, input.size()));
    std::string file = "DUNLIN\r\n";
    append(file, ArrayFile::version);
    append(file, static_cast<std::uint32_t>(header.size()));
    append(file, static_cast<std::uint64_t>(payload.size()));
    file.append(header).append(payload);
    append(file, static_cast<std::uint32_t>(
                     crc32(0, reinterpret_cast<const Bytef*>(file.data()), static_cast<uInt>(file.size()))));
    if (const auto parsed = ArrayFile::parse(file, "policy")) {
        const auto again = ArrayFile::parse(parsed->bytes(), "policy");
        fuzz::require(again && again->fields == parsed->fields && again->arrays.size() == parsed->arrays.size());
    }
    return 0;
}
