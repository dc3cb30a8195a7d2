// SPDX-License-Identifier: Apache-2.0
// IDX files by the names and with the labels that people have.
#include "data_samples.hpp"
#include "envs/data_table.hpp"

using namespace dunlin;

TEST_CASE("an IDX folder is found by the usual names") {
    for (const auto& [stem, separator] : {std::pair{"", "-"}, {"", "."}, {"emnist-letters-", "-"}, {"a_", "."}}) {
        for (const bool packed : {false, true}) {
            const Folder folder;
            for (const auto& [part, name] : {std::pair{IdxPart::train, "train"}, {IdxPart::test, "test"}}) {
                const std::string begin = std::string(stem) + name;
                const std::string end = packed ? "-ubyte.gz" : "-ubyte";
                folder.write(begin + "-images" + separator + "idx3" + end, images(3), packed);
                folder.write(begin + "-labels" + separator + "idx1" + end, labels("012"), packed);
                INFO(begin << separator << end);
                const auto table = load_idx_folder(folder.path, part);
                if (!table) FAIL(table.error().path << table.error().detail);
                CHECK(table->rows() == 3);
            }
        }
    }
}

TEST_CASE("where a folder holds several sets, one is chosen by FOLDER/NAME") {
    const Folder folder;
    for (const std::string name : {"emnist-letters", "emnist-digits"}) {
        folder.write(name + "-train-images-idx3-ubyte", images(2));
        folder.write(name + "-train-labels-idx1-ubyte", labels(name == "emnist-letters" ? "12" : "01"));
    }
    const auto refused = load_idx_folder(folder.path, IdxPart::train);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().detail.find("'emnist-digits', 'emnist-letters'") != std::string::npos);
    CHECK(load_idx_folder(folder.path + "/emnist-letters", IdxPart::train)->first_label == 1);
    CHECK(load_idx_folder(folder.path + "/emnist-other", IdxPart::train).error().error.code == Code::file_missing);
}

TEST_CASE("labels may be any number of classes from any first one") {
    const Folder folder;
    const std::string pixels = folder.write("i", images(4));
    const auto load = [&](std::string_view list, int first = -1, int classes = 0) {
        return load_idx(pixels, folder.write("l", labels(list)), {first, classes});
    };
    CHECK(load("0123")->classes == 4);
    const auto letters = load("2314");
    CHECK(letters->classes == 4);
    CHECK(letters->labels == std::vector<std::uint8_t>{1, 2, 0, 3});
    REQUIRE(letters->notes.size() == 1);
    CHECK(letters->notes[0].key == "first_label");
    CHECK(load("2314", 0)->classes == 5);
    CHECK(load("2314", 0)->notes.empty());
    CHECK(load("0:;<")->classes == 13);  // 10, 11 and 12
    CHECK(load("0023", 1).error().error == Error{Code::label_out_of_range, 0, 0});
    CHECK(load("0123", 0, 3).error().detail.find("row 3 has the label 3; expected 0 to 2") == 0);
}

TEST_CASE("another kind of IDX file is refused with what it holds") {
    const auto holds = [](const auto& read, std::string_view part) {
        REQUIRE_FALSE(read);
        INFO(read.error().detail);
        CHECK(read.error().detail.find(part) != std::string::npos);
    };
    holds(parse_idx_images(labels("01")), "unsigned bytes in 1 dimension;");
    holds(parse_idx_images(big_endian({0xd03, 1, 1, 1, 0})), "32-bit reals in 3 dimensions");
    holds(parse_idx_images("@relation"), "does not begin as an IDX file");
    holds(parse_idx_images(big_endian({0x803, 1, 5000, 1})), "5000");
}
