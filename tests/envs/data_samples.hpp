// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>
#include <zlib.h>

namespace dunlin {

/// A folder that goes away with the test.
struct Folder {
    std::string path;
    Folder() {
        path = (std::filesystem::temp_directory_path() / "dunlin-XXXXXX").string();
        REQUIRE(mkdtemp(path.data()) != nullptr);
    }
    ~Folder() { std::filesystem::remove_all(path); }

    std::string write(const std::string& name, std::string_view bytes, bool packed = false) const {
        const std::string file = path + "/" + name;
        if (packed) {
            gzFile out = gzopen(file.c_str(), "wb");
            gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size()));
            gzclose(out);
        } else {
            std::ofstream(file, std::ios::binary) << bytes;
        }
        return file;
    }
};

inline std::string big_endian(std::initializer_list<unsigned> numbers) {
    std::string out;
    for (unsigned n : numbers) {
        for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift & 0xff));
    }
    return out;
}

/// `count` images of 2 x 3 pixels: 0, 1, 2, ... in order.
inline std::string images(unsigned count) {
    std::string out = big_endian({0x803, count, 2, 3});
    for (unsigned k = 0; k < count * 6; ++k) out.push_back(static_cast<char>(k));
    return out;
}

/// Of digits.
inline std::string labels(std::string_view list) {
    std::string out = big_endian({0x801, static_cast<unsigned>(list.size())});
    for (char label : list) out.push_back(static_cast<char>(label - '0'));
    return out;
}

}  // namespace dunlin
