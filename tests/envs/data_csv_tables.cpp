// SPDX-License-Identifier: Apache-2.0
// Tables as comma-separated values, as people and pandas write them.
#include "core/random.hpp"
#include "data_samples.hpp"
#include "envs/data_formats.hpp"

#include <algorithm>

using namespace dunlin;

namespace {

const std::string plain = "subject,x,y,activity\n1,0.5,-1,walk\n2,1.5,0,sit\n10,2.5,3,walk\n";

std::string with(std::string_view text, std::string_view from, std::string_view to) {
    std::string out;
    for (std::size_t at; (at = text.find(from)) != text.npos; text.remove_prefix(at + from.size())) {
        out += text.substr(0, at);
        out += to;
    }
    return sentence(out, text);
}

bool same(const DataTable& a, const DataTable& b) {
    return a.values == b.values && a.labels == b.labels && a.users == b.users && a.class_names == b.class_names &&
           a.user_names == b.user_names && a.feature_names == b.feature_names;
}

void refused(const std::string& text, Code code, const std::string& part, const TableChoice& choice = {},
             CsvTitles titles = CsvTitles::automatic) {
    INFO(text);
    const auto table = parse_csv(text, choice, titles);
    REQUIRE_FALSE(table);
    INFO(table.error().detail);
    CHECK(table.error().error.code == code);
    CHECK(table.error().detail.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("a CSV table has features, classes and users, and says the same in many ways") {
    const auto table = parse_csv(plain);
    REQUIRE(table);
    CHECK(table->values == std::vector<float>{0.5f, -1.0f, 1.5f, 0.0f, 2.5f, 3.0f});
    CHECK(table->feature_names == std::vector<std::string>{"x", "y"});
    CHECK(table->class_names == std::vector<std::string>{"sit", "walk"});
    CHECK(table->labels == std::vector<std::uint8_t>{1, 0, 1});
    CHECK(table->user_names == std::vector<std::string>{"1", "2", "10"});  // by size, not by letters
    CHECK(table->users == std::vector<std::int32_t>{0, 1, 2});
    CHECK(table->notes.empty());
    for (const std::string& text :
         {sentence("\xef\xbb\xbf", plain), with(plain, "\n", "\r\n"), with(plain, ",", ";"), with(plain, ",", "\t"),
          with(plain, "walk", "\"walk\""), with(plain, ",", " , "),
          sentence("\n", with(with(plain, ",", ";"), "\n", "\n\n")), with(plain, "1.5", "+1.5"),
          with(plain, "2.5,", "25e-1,")}) {
        INFO(text);
        const auto again = parse_csv(text);
        REQUIRE(again);
        CHECK(same(*table, *again));
    }
}

TEST_CASE("the label, the user and the features of a CSV table are named by title or by number") {
    const std::string bare = "7,0.5,-1,1\n7,1.5,0,0\n8,2.5,3,1\n";
    for (const std::string label : {"4", "-1"}) {
        const auto table = parse_csv(bare, {.label = label, .user = "1"});
        REQUIRE(table);
        CHECK(table->feature_names == std::vector<std::string>{"2", "3"});
        CHECK(table->labels == std::vector<std::uint8_t>{1, 0, 1});
        CHECK(table->user_names == std::vector<std::string>{"7", "8"});
        REQUIRE(table->notes.size() == 1);
        CHECK(table->notes[0].text.find("line 1 has numbers") != std::string::npos);
    }
    const auto chosen = parse_csv(plain, {.label = "Activity", .features = {"y", "subject"}});
    REQUIRE(chosen);
    CHECK(chosen->values == std::vector<float>{-1, 1, 0, 2, 3, 10});
    CHECK(chosen->users.empty());
    const auto numbers = parse_csv("0,1\n5,2\n6,3\n", {.label = "2"}, CsvTitles::yes);
    REQUIRE(numbers);
    CHECK(numbers->feature_names == std::vector<std::string>{"0"});
    const auto words = parse_csv("a,b\na,c\n", {}, CsvTitles::no);
    REQUIRE(words);
    CHECK(words->rows() == 2);
}

TEST_CASE("classes of a CSV table are in the order that is given, else as they sort") {
    const auto sorted = parse_csv("x,label\n1,10\n2,b\n3,9\n4,10.0\n5,a\n");
    REQUIRE(sorted);  // words among them: then 10.0 is another word
    CHECK(sorted->class_names == std::vector<std::string>{"9", "10", "10.0", "a", "b"});
    const auto whole = parse_csv("x,label\n1,10\n2,9\n3,10.0\n");
    REQUIRE(whole);
    CHECK(whole->class_names == std::vector<std::string>{"9", "10"});
    CHECK(whole->labels == std::vector<std::uint8_t>{1, 0, 1});
    const auto given = parse_csv(plain, {.classes = {"walk", "run", "sit"}});
    REQUIRE(given);
    CHECK(given->classes == 3);
    CHECK(given->labels == std::vector<std::uint8_t>{0, 2, 0});
    refused(plain, Code::label_out_of_range,
            "line 3: 'sit' stands in column 4 ('activity'); expected one of data.cl", {.classes = {"walk", "run"}});
}

TEST_CASE("words in a feature of a CSV table become columns of 0 and 1, and a column without a title goes") {
    const auto table = parse_csv(",mode,x,class\n0,new,1,a\n1,old,2,b\n2,new,3,a\n");
    REQUIRE(table);
    CHECK(table->feature_names == std::vector<std::string>{"mode=new", "mode=old", "x"});
    CHECK(table->values == std::vector<float>{1, 0, 1, 0, 1, 2, 1, 0, 3});
    REQUIRE(table->notes.size() == 2);
    CHECK(table->notes[0].key == "columns_without_title");
    CHECK(table->notes[1].key == "nominal_features");
}

TEST_CASE("what a CSV table cannot be learned from is refused by line, column and value") {
    refused("", Code::file_truncated, "the file is empty");
    refused("x,class\n", Code::file_truncated, "no row behind the titles");
    refused(plain + "1,2,3\n", Code::column_count, "line 5: 3 fields; line 1 has 4, parted by commas");
    for (const std::string missing : {"", "?", "NA", "nan", "null"})
        refused(with(plain, "1.5", missing), Code::bad_number,
                sentence("line 3: '", missing, "' stands in column 2 ('x')"));
    refused(with(plain, "sit", ""), Code::bad_number, "line 3: '' stands in column 4 ('activity')");
    for (const std::string number : {"inf", "-Infinity", "1e99", "2026-01-01", "12:30", "1.2.3"})
        refused(with(plain, "1.5", number), Code::bad_number,
                sentence("line 3: '", number, "' stands in column 2 ('x')"));
    refused(with(with(plain, ",", ";"), "1.5", "1,5"), Code::bad_number, "'1,5' stands in column 2 ('x')");
    refused(with(plain, "2.5", "far"), Code::bad_number,
            "line 4: 'far' stands in column 2 ('x'), but '0.5' in line 2");
    refused(with(plain, "0.5", "far"), Code::bad_number,
            "line 3: '1.5' stands in column 2 ('x'), but 'far' in line 2");
    refused(plain + "1,\"2,3,walk\n", Code::file_syntax, "line 5");
    refused(plain, Code::column_missing, "no column is called so; the file has 'subject', 'x', 'y', 'activity'",
            {.label = "speed"});
    refused(plain, Code::column_missing, "data.features = 'z'", {.features = {"x", "z"}});
    refused(plain, Code::column_missing, "another setting names this column too", {.user = "x", .features = {"x"}});
    refused("x,x,class\n1,2,a\n", Code::file_syntax, "a second column called 'x'");
    refused("x,y\n1,2\n", Code::column_missing, "name it with data.label");
    refused(with(plain, "1.5", "\x1b[2J"), Code::bad_number, "'\\x1b[2J'");
    std::string many = "word,class\n";
    for (int k = 0; k < 300; ++k) many += sentence("w", k, ",a\n");
    refused(many, Code::file_syntax, "300 different words", {.label = "class"});
    many = "x,class\n";
    for (int k = 0; k < 300; ++k) many += sentence("1,", k, "\n");
    refused(many, Code::label_out_of_range, "at most 256 classes");
}

TEST_CASE("a table that is written as CSV reads back as it was, whatever is drawn") {
    Stream random(7, 0, Purpose::data);
    for (int round = 0; round < 200; ++round) {
        const std::uint32_t columns = 1 + random.below(5), rows = 1 + random.below(20);
        const char separator = ",;\t"[random.below(3)];
        const bool quotes = random.below(2) == 0;
        DataTable drawn;
        std::string text;
        const auto add = [&](const auto&... parts) { text += sentence(parts...); };
        for (std::uint32_t k = 0; k < columns; ++k) {
            drawn.feature_names.push_back(sentence("f", k, quotes ? ",\"\n" : ""));
            if (quotes)
                add("\"", with(drawn.feature_names.back(), "\"", "\"\""), "\"", std::string(1, separator));
            else
                add(drawn.feature_names.back(), std::string(1, separator));
        }
        text += "class\n";
        // Values around 0, so that none is written as a difference from an origin.
        for (std::uint32_t row = 0; row < rows; ++row) {
            for (std::uint32_t k = 0; k < columns; ++k) {
                drawn.values.push_back(row == 0 ? -1.0f : row == 1 ? 1.0f : random.normal());
                add(std::to_string(drawn.values.back()), std::string(1, separator));
                drawn.values.back() = std::stof(std::to_string(drawn.values.back()));
            }
            drawn.labels.push_back(static_cast<std::uint8_t>(row == 0 ? 0 : random.below(2)));
            add(drawn.labels.back() == 0 ? "a\n" : "b\n");
        }
        INFO(text);
        const auto read = parse_csv(text);
        REQUIRE(read);
        CHECK(read->feature_names == drawn.feature_names);
        CHECK(read->labels == drawn.labels);
        CHECK(read->values == drawn.values);
    }
}

TEST_CASE("a format is known by the name of the file") {
    const Folder folder;
    const auto name = [&](const std::string& file) {
        return table_format(folder.write(file, "x,class\n1,a\n", file.ends_with(".gz"))).name;
    };
    CHECK(name("a.csv") == "CSV");
    CHECK(name("A.CSV.GZ") == "CSV");
    CHECK(name("a.tsv") == "CSV");
    CHECK(name("a.arff.gz") == "ARFF");
    CHECK(name("anything") == "ARFF");
    CHECK(table_format(folder.path).name == "IDX");
    CHECK(table_format(folder.path + "/emnist").name == "IDX");
    const auto packed = load_table({.path = folder.path + "/A.CSV.GZ"});
    REQUIRE(packed);
    CHECK(packed->rows() == 1);
}
