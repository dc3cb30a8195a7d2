// SPDX-License-Identifier: Apache-2.0
#include "envs/data_pictures.hpp"

#include "data_samples.hpp"
#include "envs/data_split.hpp"

using namespace dunlin;

namespace {

/// `count` of CIFAR's records: all of picture k has the colours 10 k, 10 k + 1, 10 k + 2.
std::string cifar(int count, int label = 0) {
    std::string bytes;
    for (int k = 0; k < count; ++k) {
        bytes.push_back(static_cast<char>(label + k));
        for (int colour = 0; colour < 3; ++colour) bytes += std::string(1024, static_cast<char>(10 * k + colour));
    }
    return bytes;
}

}  // namespace

TEST_CASE("pictures with a table of labels are read with who drew them and what they are for") {
    for (const bool packed : {false, true}) {
        const Folder folder;
        const std::string tail = packed ? ".gz" : "";
        folder.write("some-images-idx3-ubyte" + tail, images(5), packed);
        folder.write("some-labels.csv" + tail,
                     "row,label,writer,split\n0,7,b,train\n1,3,a,test\n2,7,b,test\n3,3,a,train\n4,3,a,validation\n",
                     packed);
        folder.write("README.md", "not a table");
        REQUIRE(has_pictures(folder.path));
        const auto table = load_table({.path = folder.path});
        if (!table) FAIL(table.error().path << table.error().detail);
        CHECK(table->image_height == 2);
        CHECK(table->image_width == 3);
        CHECK(table->class_names == std::vector<std::string>{"3", "7"});
        CHECK(table->labels == std::vector<std::uint8_t>{1, 0, 1, 0, 0});
        CHECK(table->user_names == std::vector<std::string>{"a", "b"});
        CHECK(table->users == std::vector<std::int32_t>{1, 0, 1, 0, 0});
        // The file's split is kept, whatever share a node would hold out.
        const auto parts = split_rows(*table, {.kind = Split::users, .test_fraction = 0.9f}, 1);
        REQUIRE(parts);
        REQUIRE(parts->size() == 2);
        CHECK(parts->at(0).train == std::vector<std::uint32_t>{3});
        CHECK(parts->at(0).test == std::vector<std::uint32_t>{1});
        CHECK(parts->at(1).train == std::vector<std::uint32_t>{0});
        CHECK(parts->at(1).test == std::vector<std::uint32_t>{2});
    }
}

TEST_CASE("a user who has nothing to train on, or to test on, by the file's split is left out") {
    const Folder folder;
    folder.write("p-images-idx3-ubyte", images(3));
    folder.write("p-labels.csv", "digit,speaker,split\n0,x,train\n1,x,test\n1,y,test\n");
    const auto table = load_table({.path = folder.path});
    REQUIRE(table);
    CHECK(split_rows(*table, {.kind = Split::users}, 1)->size() == 1);
}

TEST_CASE("a table that does not fit its pictures is refused with what is expected") {
    const Folder folder;
    folder.write("p-images-idx3-ubyte", images(3));
    const auto refused = [&](std::string_view table) {
        folder.write("p-labels.csv", table);
        const auto read = load_table({.path = folder.path});
        REQUIRE_FALSE(read);
        CHECK(read.error().path.find("p-labels.csv") != std::string::npos);
        return read.error().error.code;
    };
    CHECK(refused("label\n1\n2\n") == Code::file_counts);
    CHECK(refused("shape\n1\n2\n3\n") == Code::column_missing);
    CHECK(refused("label,user\n1,1\n2\n3,1\n") == Code::column_count);
    CHECK(refused("") == Code::file_truncated);
    CHECK_FALSE(load_pictures(folder.path + "/nowhere"));
}

TEST_CASE("CIFAR's binary form has the colours of a pixel next to each other") {
    const Folder folder;
    folder.write("data_batch_1.bin", cifar(2, 3));
    folder.write("data_batch_2.bin.gz", cifar(1), true);
    folder.write("test_batch.bin", cifar(1, 9));
    const auto table = load_table({.path = folder.path});
    if (!table) FAIL(table.error().path << table.error().detail);
    CHECK(table->rows() == 3);
    CHECK(table->features == 3072);
    CHECK(table->labels == std::vector<std::uint8_t>{3, 4, 0});
    CHECK(table->values[3072] == 10 / 255.0f);
    CHECK(table->values[3072 + 1] == 11 / 255.0f);
    CHECK(table->values[3072 + 2] == 12 / 255.0f);
    CHECK(table->values[3072 + 3] == 10 / 255.0f);
    CHECK(load_cifar(folder.path, IdxPart::test)->labels == std::vector<std::uint8_t>{9});
    folder.write("test_batch.bin", cifar(1, 10));
    CHECK(load_cifar(folder.path, IdxPart::test).error().error.code == Code::label_out_of_range);
    folder.write("test_batch.bin", cifar(2).substr(1));
    CHECK(load_cifar(folder.path, IdxPart::test).error().error.code == Code::file_truncated);
}

TEST_CASE("a picture is made smaller by the mean of what falls on each pixel") {
    DataTable table;
    table.features = 12;
    table.image_height = 3;
    table.image_width = 2;  // of two colours
    table.values = {0, 10, 2, 20, 4, 30, 6, 40, 8, 50, 10, 60};
    REQUIRE(resize_pictures(table, 1, 1));
    CHECK(table.features == 2);
    CHECK(table.values[0] == Approx(5));
    CHECK(table.values[1] == Approx(35));

    table.features = 3;
    table.image_height = 3;
    table.image_width = 1;
    table.values = {1, 4, 7};
    REQUIRE(resize_pictures(table, 2, 1));  // one and a half rows each
    CHECK(table.values[0] == Approx((1 + 4 * 0.5) / 1.5));
    CHECK(table.values[1] == Approx((7 + 4 * 0.5) / 1.5));
    REQUIRE(resize_pictures(table, 4, 2));  // larger: repeated
    CHECK(table.values.size() == 8);
    CHECK(table.values[0] == Approx(table.values[3]));
    table.image_width = 0;
    CHECK_FALSE(resize_pictures(table, 1, 1));
}

TEST_CASE("made-up characters are the same from a seed, and of other shapes than each other") {
    const PictureSet set = draw_characters(8, 3, 12, 1), again = draw_characters(8, 3, 12, 1);
    CHECK(set.pictures.values == again.pictures.values);
    CHECK(set.labels.size() == 24);
    CHECK(std::count(set.pictures.uses.begin(), set.pictures.uses.end(), RowUse::test) == 6);
    const auto distance = [&](std::size_t a, std::size_t b) {
        double sum = 0;
        for (std::size_t k = 0; k < 144; ++k)
            sum +=
                std::abs(static_cast<double>(set.pictures.values[a * 144 + k] - set.pictures.values[b * 144 + k]));
        return sum;
    };
    double within = 0, between = 0;
    for (std::size_t c = 0; c < 8; ++c) {
        within += distance(3 * c, 3 * c + 1) / 8;
        between += distance(3 * c, (3 * c + 3) % 24) / 8;
    }
    CHECK(within < between);
}
