// SPDX-License-Identifier: Apache-2.0
#include "data_samples.hpp"
#include "envs/data_columns.hpp"
#include "envs/data_table.hpp"
#include "task_checks.hpp"

using namespace dunlin;

namespace {

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
    CHECK(table->classes == 6);
    CHECK(table->labels == std::vector<std::uint8_t>{3, 0, 5, 1});
    CHECK(table->values[7] == 7.0f / 255.0f);
    CHECK(load_idx_folder(folder.path, IdxPart::test).error().error.code == Code::file_missing);
}

TEST_CASE("a damaged IDX file is refused with what is wrong and which file") {
    const Folder folder;
    const std::string good = folder.write("i", images(4)), names = folder.write("l", labels("3051"));
    const auto refused = [&](const std::string& i, const std::string& l) {
        const auto table = load_idx(i, l, {.first = -1, .classes = 10});
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

TEST_CASE("a feature is constant where its smallest number is its largest, however small its deviation is") {
    for (const double mean : {0.0, 1.0, -7e3, 101325.0, 1.7e9, 1.7e12, 1e30}) {
        for (const double deviation : {0.0, 1e-30, 1e-6, 1.0, 4.0}) {
            INFO(mean << " +- " << deviation);
            const std::vector<double> cells{mean - deviation, mean + deviation, mean + deviation, mean - deviation};
            DataTable table;
            table.features = 1;
            table.labels.resize(4);
            table.values = to_floats(cells, 1, table.origin);
            table.standardise(std::vector<std::uint32_t>{0, 1, 2, 3});
            if (cells[0] == cells[1]) {  // no double tells them apart
                CHECK(table.features == 0);
                REQUIRE(table.notes.size() == 1);
                CHECK(table.notes[0].key == "constant_features");
                continue;
            }
            REQUIRE(table.features == 1);
            CHECK(table.notes.empty());
            for (std::size_t k = 0; k < 4; ++k) CHECK(table.values[k] == Approx(k == 1 || k == 2 ? 1.0 : -1.0));
        }
    }
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
