// SPDX-License-Identifier: Apache-2.0
#include "envs/data_table.hpp"
#include "task_checks.hpp"

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <zlib.h>

using namespace dunlin;

namespace {

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

std::string big_endian(std::initializer_list<unsigned> numbers) {
    std::string out;
    for (unsigned n : numbers) {
        for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(n >> shift & 0xff));
    }
    return out;
}

/// `count` images of 2 x 3 pixels: 0, 1, 2, ... in order.
std::string images(unsigned count) {
    std::string out = big_endian({0x803, count, 2, 3});
    for (unsigned k = 0; k < count * 6; ++k) out.push_back(static_cast<char>(k));
    return out;
}

std::string labels(std::string_view list) {
    std::string out = big_endian({0x801, static_cast<unsigned>(list.size())});
    for (char label : list) out.push_back(static_cast<char>(label - '0'));
    return out;
}

const std::string header =
    "% a comment\n@relation walk\n\n@attribute \"UNIQUE_ID\" numeric\n@attribute \"user\" \n"
    "@attribute 'mean x' NUMERIC\n@attribute peak real\n@ATTRIBUTE class\n@DATA\n";
const std::string table_text = header + "1,10,0.5,?,Walking\r\n2,9,1.5,3,Jogging\n%\n3,10,2.5,5,Walking\n";

}  // namespace

TEST_CASE("IDX images and labels are read, plain or packed") {
    const Folder folder;
    folder.write("train-images-idx3-ubyte.gz", images(4), true);
    folder.write("train-labels-idx1-ubyte", labels("3051"));
    const auto table = load_idx_folder(folder.path, IdxPart::train);
    REQUIRE(table);
    CHECK(table->rows() == 4);
    CHECK(table->features == 6);
    CHECK(table->image_height == 2);
    CHECK(table->classes == 10);
    CHECK(table->labels == std::vector<std::uint8_t>{3, 0, 5, 1});
    CHECK(table->values[7] == 7.0f / 255.0f);
    CHECK(load_idx_folder(folder.path, IdxPart::test).error().error.code == Code::file_missing);
}

TEST_CASE("a damaged IDX file is refused with what is wrong and which file") {
    const Folder folder;
    const std::string good = folder.write("i", images(4)), names = folder.write("l", labels("3051"));
    const auto refused = [&](const std::string& i, const std::string& l) {
        const auto table = load_idx(i, l);
        REQUIRE_FALSE(table);
        return table.error();
    };
    const std::string half = images(4).substr(0, 30), packed = folder.write("p", images(400), true);
    CHECK(refused(folder.write("a", half), names).error == Error{Code::file_truncated, 30, 40});
    CHECK(refused(folder.write("b", images(4) + "x"), names).error == Error{Code::file_rest, 41, 40});
    CHECK(refused(names, good).error.code == Code::file_magic);
    CHECK(refused(folder.write("c", "\0\0"), names).error.code == Code::file_truncated);
    CHECK(refused(good, folder.write("d", labels("30:1"))).error == Error{Code::label_out_of_range, 2, 10});
    CHECK(refused(good, folder.write("e", labels("305"))).error == Error{Code::file_counts, 3, 4});
    CHECK(refused(good, folder.path + "/e").path == folder.path + "/e");
    CHECK(refused(folder.write("f", big_endian({0x803, 1, 0, 3})), names).error == Error{Code::bad_width, 0, 1});
    CHECK(refused(folder.path, names).error.code == Code::file_missing);

    std::filesystem::resize_file(packed, std::filesystem::file_size(packed) / 2);
    CHECK(refused(packed, names).error.code == Code::file_truncated);
    CHECK(read_data_file(good, 10).error().error == Error{Code::file_too_large, 40, 10});
}

TEST_CASE("an ARFF file gives features, labels in alphabetical order, users by number, and gaps") {
    const auto table = parse_arff(table_text);
    REQUIRE(table);
    CHECK(table->features == 2);
    CHECK(table->class_names == std::vector<std::string>{"Jogging", "Walking"});
    CHECK(table->labels == std::vector<std::uint8_t>{1, 0, 1});
    CHECK(table->user_names == std::vector<std::string>{"9", "10"});
    CHECK(table->users == std::vector<std::int32_t>{1, 0, 1});
    CHECK(table->values[0] == 0.5f);
    CHECK(std::isnan(table->values[1]));
    CHECK(table->values[5] == 5.0f);
}

TEST_CASE("an ARFF header's list of classes decides their order, and what is not on it is refused") {
    std::string listed = table_text;
    listed.replace(listed.find("ATTRIBUTE class"), 15, "ATTRIBUTE class {Walking, Jogging}");
    CHECK(parse_arff(listed)->labels == std::vector<std::uint8_t>{0, 1, 0});
    listed.replace(listed.rfind("Walking"), 7, "Sailing");
    CHECK(parse_arff(listed).error() == Error{Code::label_out_of_range, 13, 2});
}

TEST_CASE("a damaged ARFF file is refused with the line") {
    const auto refused = [](const std::string& text) { return parse_arff(text).error(); };
    CHECK(refused("no relation").code == Code::file_magic);
    CHECK(refused("").code == Code::file_magic);
    CHECK(refused("@relation x\n@attribute class\n").code == Code::file_magic);
    CHECK(refused(header) == Error{Code::file_truncated, 9, 10});
    CHECK(refused(table_text + "4,10,2.5,5\n") == Error{Code::column_count, 14, 4});
    CHECK(refused(table_text + "4,10,2.5,high,Walking\n") == Error{Code::bad_number, 14, 4});
    CHECK(refused(table_text + "4,10,nan,1,Walking\n") == Error{Code::bad_number, 14, 3});
    CHECK(refused("@relation x\n@attribute a string\n@data\n") == Error{Code::file_syntax, 2, 1});
    CHECK(refused("@relation x\n@attribute user\n@attribute a real\n@data\n") == Error{Code::column_missing, 0, 0});
    CHECK(refused("@relation x\n@attribute class\n@attribute a real\n@data\n") ==
          Error{Code::column_missing, 1, 0});
    CHECK(refused("@relation x\n@attribute class\n@attribute user\n@data\n") == Error{Code::column_missing, 2, 0});
}

TEST_CASE("standardising fills gaps with the mean, drops constants, and looks at the training rows only") {
    DataTable table;
    table.features = 3;
    table.labels = {0, 0, 0, 0};
    table.values = {1, 7, NAN, 3, 7, 2, NAN, 7, 4, 100, 8, 6};
    table.standardise(std::vector<std::uint32_t>{0, 1, 2});
    CHECK(table.features == 2);
    const std::vector<float> expected{-1, 0, 1, -1, 0, 1, 98, 3};
    for (std::size_t k = 0; k < expected.size(); ++k) CHECK(table.values[k] == Approx(expected[k]));
}

TEST_CASE("generated digits come from the seed, in equal numbers, as pixels with noise") {
    const auto one = draw_digits({.rows = 500, .side = 8, .noise = 0.0f}, 3);
    const auto same = draw_digits({.rows = 500, .side = 8, .noise = 0.0f}, 3);
    const auto other = draw_digits({.rows = 500, .side = 8, .noise = 0.0f}, 4);
    REQUIRE(one);
    CHECK(one->values == same->values);
    CHECK(one->values != other->values);
    CHECK(one->features == 64);
    CHECK(std::count(one->labels.begin(), one->labels.end(), 7) == 50);
    CHECK(*std::min_element(one->values.begin(), one->values.end()) == 0.0f);
    CHECK(*std::max_element(one->values.begin(), one->values.end()) == 1.0f);
    CHECK(draw_digits({.rows = 0}, 1).error() == Error{Code::bad_setting, 0, 0});
    CHECK(draw_digits({.side = 2}, 1).error() == Error{Code::bad_setting, 1, 0});
    CHECK(draw_digits({.noise = NAN}, 1).error() == Error{Code::bad_setting, 3, 0});
}

TEST_CASE("generated digits can be told apart, but not by their nearest mean alone") {
    const auto table = draw_digits({.rows = 3000}, 5);
    std::vector<double> mean(640);
    for (std::size_t row = 0; row < 2000; ++row) {
        for (std::size_t k = 0; k < 64; ++k)
            mean[table->labels[row] * 64u + k] += table->values[row * 64 + k] / 200;
    }
    int correct = 0;
    for (std::size_t row = 2000; row < 3000; ++row) {
        std::size_t best = 0;
        double least = INFINITY;
        for (std::size_t digit = 0; digit < 10; ++digit) {
            double distance = 0;
            for (std::size_t k = 0; k < 64; ++k)
                distance += std::pow(table->values[row * 64 + k] - mean[digit * 64 + k], 2);
            if (distance < least) best = digit;
            least = std::min(least, distance);
        }
        correct += best == table->labels[row] ? 1 : 0;
    }
    CHECK(correct > 650);
    CHECK(correct < 950);
}
