// SPDX-License-Identifier: Apache-2.0
// Arrays as NumPy writes them; the bytes here are built by hand.
#include "envs/data_npy.hpp"

#include "core/random.hpp"
#include "data_samples.hpp"

#include <bit>
#include <cmath>
#include <cstring>

using namespace dunlin;

namespace {

std::string npy(const std::string& header, const std::string& data, int version = 1) {
    std::string out("\x93NUMPY");
    out.push_back(static_cast<char>(version));
    out.push_back('\0');
    for (int k = 0; k < (version == 1 ? 2 : 4); ++k)
        out.push_back(static_cast<char>(header.size() >> 8 * k & 0xff));
    return sentence(out, header, data);
}

std::string head(const std::string& type, const std::string& shape, bool fortran = false) {
    return sentence("{'descr': '", type, "', 'fortran_order': ", fortran ? "True" : "False", ", 'shape': ", shape,
                    ", }       \n");
}

template <class T>
std::string bytes(const std::vector<T>& numbers, bool big = false) {
    std::string out;
    for (const T number : numbers) {
        std::string item(sizeof(T), '\0');
        std::memcpy(item.data(), &number, sizeof(T));
        if (big == (std::endian::native == std::endian::little)) item.assign(item.rbegin(), item.rend());
        out += item;
    }
    return out;
}

template <class T>
void reads(const std::string& type, const std::vector<T>& numbers) {
    for (const bool big : {false, true}) {
        for (const int version : {1, 2, 3}) {
            const std::string text = npy(head(sentence(big ? ">" : "<", type), sentence("(", numbers.size(), ",)")),
                                         bytes(numbers, big), version);
            const auto array = NpyArray::parse(text);
            INFO(type);
            REQUIRE(array);
            for (std::size_t k = 0; k < numbers.size(); ++k)
                CHECK(array->number(k) == static_cast<double>(numbers[k]));
        }
    }
}

void refused(const std::string& text, Code code, const std::string& part) {
    const auto array = NpyArray::parse(text);
    REQUIRE_FALSE(array);
    INFO(array.error().detail);
    CHECK(array.error().error.code == code);
    CHECK(array.error().detail.find(part) != std::string::npos);
}

/// Six rows of two columns, X.npy; and labels 5 and 7, y.npy.
struct Files : Folder {
    std::string rows =
        write("X.npy", npy(head("<f4", "(6, 2)"), bytes<float>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})));
    std::string labels = write("y.npy", npy(head("<i8", "(6,)"), bytes<std::int64_t>({7, 5, 7, 5, 7, 5})));
};

}  // namespace

TEST_CASE("a .npy array of every type, order of bytes and version is read") {
    reads<std::uint8_t>("u1", {0, 255});
    reads<std::int8_t>("i1", {-128, 127});
    reads<std::uint16_t>("u2", {0, 65535});
    reads<std::int16_t>("i2", {-32768, 5});
    reads<std::uint32_t>("u4", {0, 4000000000u});
    reads<std::int32_t>("i4", {-2000000000, 5});
    reads<std::uint64_t>("u8", {1u, std::uint64_t{1} << 60});
    reads<std::int64_t>("i8", {-(std::int64_t{1} << 60), 5});
    reads<float>("f4", {-1.5f, 3e38f, 1e-40f});
    reads<double>("f8", {-1.5, 1e300});
    const std::string of_halves =
        npy(head("<f2", "(5,)"), bytes<std::uint16_t>({0x3c00, 0xc100, 0x0001, 0x7c00, 0x7bff}));
    const auto halves = NpyArray::parse(of_halves);
    REQUIRE(halves);
    CHECK(halves->number(0) == 1.0);
    CHECK(halves->number(1) == -2.5);
    CHECK(halves->number(2) == std::ldexp(1.0, -24));
    CHECK(std::isinf(halves->number(3)));
    CHECK(halves->number(4) == 65504.0);
    const std::string of_words = npy(head("<U3", "(2,)"), bytes<std::uint32_t>({'a', 0xe9, 0, 0x1f600, 0, 0}));
    const auto words = NpyArray::parse(of_words);
    REQUIRE(words);
    CHECK(words->text(0) == "a\xc3\xa9");
    CHECK(words->text(1) == "\xf0\x9f\x98\x80");
    const std::string of_letters = npy(head("|S2", "(2,)"), std::string("ab\0\0", 4));
    const auto letters = NpyArray::parse(of_letters);
    REQUIRE(letters);
    CHECK(letters->text(0) == "ab");
    CHECK(letters->text(1).empty());
}

TEST_CASE("numbers of a .npy array are named so that different ones have different names") {
    const std::string whole = npy(head("<i8", "(3,)"), bytes<std::int64_t>({(std::int64_t{1} << 60) + 1, -5, 7}));
    const auto ids = NpyArray::parse(whole);
    REQUIRE(ids);
    CHECK(ids->text(0) == "1152921504606846977");
    CHECK(ids->text(1) == "-5");
    const std::string real = npy(head("<f4", "(3,)"), bytes<float>({1e-7f, 2e-7f, 3.0f}));
    const auto labels = NpyArray::parse(real);
    REQUIRE(labels);
    CHECK(labels->text(0) == "1e-07");
    CHECK(labels->text(1) == "2e-07");
    CHECK(labels->text(2) == "3");
}

TEST_CASE("an array in Fortran order holds the same as in C order") {
    // [[0, 1, 2], [3, 4, 5]], column by column
    const std::string flat = npy(head("<f8", "(2, 3)", true), bytes<double>({0, 3, 1, 4, 2, 5}));
    const auto array = NpyArray::parse(flat);
    REQUIRE(array);
    for (std::size_t k = 0; k < 6; ++k) CHECK(array->number(k) == static_cast<double>(k));
    std::vector<double> stored;  // [i][j][k] = 100 i + 10 j + k
    for (int k = 0; k < 4; ++k)
        for (int j = 0; j < 3; ++j)
            for (int i = 0; i < 2; ++i) stored.push_back(100 * i + 10 * j + k);
    const std::string of_deep = npy(head("<f8", "(2, 3, 4)", true), bytes(stored));
    const auto deep = NpyArray::parse(of_deep);
    REQUIRE(deep);
    CHECK(deep->number(1 * 12 + 2 * 4 + 3) == 123.0);
    CHECK(deep->number(0 * 12 + 1 * 4 + 2) == 12.0);
}

TEST_CASE("what is no array of numbers is refused with a reason") {
    const std::string one = bytes<float>({1});
    refused("x,class\n1,a\n", Code::file_magic, "numpy.save()");
    refused(npy(head("<f4", "(1,)"), one, 4), Code::file_magic, "version 4");
    refused(npy(head("|O", "(1,)"), "\x80\x04N."), Code::file_magic, "pickle");
    refused(npy(head("<c8", "(1,)"), one), Code::file_magic, "'<c8'");
    refused(npy(head("<f16", "(1,)"), one), Code::file_magic, "'<f16'");
    refused(npy("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,)}", one), Code::file_magic,
            "structured array");
    refused(npy(head("<f4", "(2,)"), one), Code::file_truncated, "4 bytes of data where the header promises 8");
    refused(npy(head("<f4", "(0,)"), one), Code::file_rest, "promises 0");
    refused(npy(head("<f4", "(-1,)"), one), Code::file_syntax, "a shape");
    refused(npy(head("<f4", "(99999999, 99999999)"), one), Code::file_too_large, "elements");
    refused(npy("{'shape': (1,)}", one), Code::file_syntax, "descr");
    refused(npy(head("<f4", "(1,)"), one).substr(0, 40), Code::file_truncated, "the header alone");
}

TEST_CASE("no text that is damaged anywhere is read beyond its end") {
    Stream random(3, 0, Purpose::data);
    const std::string whole = npy(head("<i2", "(3, 2)"), bytes<std::int16_t>({1, 2, 3, 4, 5, 6}));
    for (int round = 0; round < 20000; ++round) {
        std::string text = whole;
        for (std::uint32_t k = random.below(4); k-- > 0;)
            text[random.below(static_cast<std::uint32_t>(text.size()))] = static_cast<char>(random.below(256));
        text.resize(random.below(static_cast<std::uint32_t>(text.size()) + 1));
        const auto array = NpyArray::parse(text);
        if (!array) continue;
        for (std::size_t k = 0; k < array->count(); ++k) (void)array->text(k);
    }
}

TEST_CASE("a table of .npy files has its labels beside it, in a file that is named, or in a column") {
    const Files files;
    const auto table = load_table({.path = files.rows});
    REQUIRE(table);
    CHECK(table->features == 2);
    CHECK(table->feature_names == std::vector<std::string>{"1", "2"});
    CHECK(table->class_names == std::vector<std::string>{"5", "7"});
    CHECK(table->labels == std::vector<std::uint8_t>{1, 0, 1, 0, 1, 0});
    CHECK(table->values[3] == 3.0f);
    REQUIRE(table->notes.size() == 1);
    CHECK(table->notes[0].text == "the labels are those of 'y.npy'");

    files.write("who.npy",
                npy(head("<U2", "(6,)"), bytes<std::uint32_t>({'b', 0, 'a', 0, 'b', 0, 'a', 0, 'b', 0, 'a', 0})));
    const auto chosen = load_table({.path = files.rows, .choice = {.label = "-1", .user = "who.npy"}});
    REQUIRE(chosen);
    CHECK(chosen->features == 1);
    CHECK(chosen->class_names.front() == "1");
    CHECK(chosen->user_names == std::vector<std::string>{"a", "b"});
    CHECK(chosen->users == std::vector<std::int32_t>{1, 0, 1, 0, 1, 0});

    const auto turned =
        load_table({.path = files.rows, .choice = {.features = {"2", "1"}, .classes = {"7", "6", "5"}}});
    REQUIRE(turned);
    CHECK(turned->values[0] == 1.0f);
    CHECK(turned->labels == std::vector<std::uint8_t>{0, 2, 0, 2, 0, 2});

    const auto refuse = [&](const TableSource& source, Code code, const std::string& part) {
        const auto wrong = load_table(source);
        REQUIRE_FALSE(wrong);
        INFO(wrong.error().detail);
        CHECK(wrong.error().error.code == code);
        CHECK(wrong.error().detail.find(part) != std::string::npos);
    };
    refuse({.path = files.rows, .choice = {.label = "3"}}, Code::column_missing, "columns 1 to 2");
    refuse({.path = files.rows, .choice = {.label = "no.npy"}}, Code::file_missing, "");
    files.write("five.npy", npy(head("<i8", "(5,)"), bytes<std::int64_t>({1, 2, 1, 2, 1})));
    refuse({.path = files.rows, .choice = {.label = "five.npy"}}, Code::file_counts, "5 elements");
    files.write("X.npy", npy(head("<f4", "(6, 2)"), bytes<float>({0, 1, 2, 3, 4, NAN, 6, 7, 8, 9, 10, 11})));
    refuse({.path = files.rows}, Code::bad_number, "row 3, column 2");
    std::filesystem::remove(files.labels);
    refuse({.path = files.rows}, Code::column_missing, "'y.npy'");
}

TEST_CASE("unsigned bytes in three dimensions are images, in .npy as in IDX, and a file of IDX finds its labels") {
    const Folder folder;
    std::string pixels;
    for (int k = 0; k < 12; ++k) pixels.push_back(static_cast<char>(20 * k));
    const auto table =
        load_table({.path = folder.write("images.npy", npy(head("|u1", "(2, 2, 3)"), pixels), false),
                    .choice = {.label = folder.write("l.npy", npy(head("|b1", "(2,)"), std::string("\1\0", 2)))}});
    REQUIRE(table);
    CHECK(table->image_height == 2);
    CHECK(table->image_width == 3);
    CHECK(table->values[1] == 20.0f / 255.0f);
    const std::string file = folder.write("train-images-idx3-ubyte", images(2), true);
    folder.write("train-labels-idx1-ubyte.gz", labels("01"), true);
    std::filesystem::rename(file, file + ".gz");
    const auto idx = load_table({.path = file + ".gz"});
    REQUIRE(idx);
    CHECK(idx->rows() == 2);
    CHECK(idx->image_width == 3);
}
