// SPDX-License-Identifier: Apache-2.0
// ARFF as Weka and people write it.
#include "envs/data_table.hpp"
#include "task_checks.hpp"

#include <cmath>

using namespace dunlin;

namespace {

/// Three rows: two features, two users, two classes.
const std::string head =
    "@relation t\n@attribute user numeric\n@attribute a numeric\n@attribute b real\n@attribute class {Walk,Sit}\n"
    "@data\n";
const std::string rows = "1,0.5,-1,Walk\n2,1.5,0,Sit\n1,2.5,3,Walk\n";

std::string with(std::string text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

std::int64_t noted(const DataTable& table, std::string_view key) {
    for (const DataNote& note : table.notes) {
        if (note.key == key) return note.count;
    }
    return 0;
}

}  // namespace

TEST_CASE("ARFF says the same in many ways") {
    const auto plain = parse_arff(head + rows);
    REQUIRE(plain);
    CHECK(plain->notes.empty());
    std::string carriage;
    for (const char c : head + rows) carriage += c == '\n' ? std::string("\r\n") : std::string(1, c);
    const std::string sparse = "{0 1,1 0.5,2 -1}\n{0 2,1 1.5,3 Sit}\n{ 0 1 , 1 2.5, 2 3 }, {2}\n";
    const std::string same[] = {
        "\xef\xbb\xbf" + head + rows,
        carriage,
        "% c\n\n" + with(head, "a numeric", "a numeric % in m/s2, {x}") + with(rows, "Walk", "Walk % c"),
        with(head, "@relation", "@RELATION") + "%\n\n" + rows,
        with(with(head, "@attribute user numeric", "@Attribute\tuser\tNUMERIC"), "real", "REAL") + rows,
        with(head, "b real", "'b' Real") + with(rows, "1.5", "+1.5"),
        with(head, "class", "Class") + rows,
        with(head, "class", "activity") + rows,
        with(head, "user", "Subject") + rows,
        with(head, "@attribute a ", "@attribute id {x1,x2}\n@attribute UNIQUE_id string\n@attribute a ") +
            "1,x1,'it\\'s, %',0.5,-1,Walk\n2,x2,\"{\",1.5,0,Sit\n1,?,?,2.5,3,Walk\n",
        head + "1, 0.5, -1, 'Walk'\n2 1.5 0 Sit\n1\t2.5\t3\t\"Walk\"",
        head + "1,0.5,-1,Walk,{0.5}\n2,1.5,0,Sit\n1,2.5,3,Walk,\n",
        head + "1,0.5,-1,Walk;\n2,1.5,0,Sit;\n1,2.5,3,Walk;\n",
        head + sparse,
        head + rows + "2,1,1,?\n"};
    for (const std::string& text : same) {
        INFO(text);
        TableChoice columns;
        if (text.find("id {") != std::string::npos) columns.ignored = {"id"};
        const auto table = parse_arff(text, columns);
        if (!table) FAIL(table.error().detail);
        CHECK(table->values == plain->values);
        CHECK(table->labels == plain->labels);
        CHECK(table->users == plain->users);
        CHECK(table->user_names == plain->user_names);
        CHECK(table->class_names == plain->class_names);
    }
    CHECK(noted(*parse_arff(head + rows + "2,1,1,?\n"), "rows_without_label") == 1);
    CHECK(noted(*parse_arff(head + rows + "?,1,1,Sit\n"), "rows_without_user") == 1);
    CHECK(noted(*parse_arff(head + sparse), "instance_weights") == 1);
}

TEST_CASE("a '?' is no class, listed or not, but a quoted one is") {
    const auto table = parse_arff(with(head, "{Walk,Sit}", "string") + rows + "1,1,1,?\n2,1,1,'?'\n");
    REQUIRE(table);
    CHECK(table->class_names == std::vector<std::string>{"?", "Sit", "Walk"});
    CHECK(table->rows() == 4);
    CHECK(noted(*table, "rows_without_label") == 1);
}

TEST_CASE("quoted classes may hold commas, blanks and quotes") {
    const auto table = parse_arff(with(head, "{Walk,Sit}", "{'Up, fast', \"it\\\"s\", ' down'}") +
                                  "1,1,1,'Up, fast'\n1,1,2,\"Up, fast\"\n1,1,3,'it\"s'\n1,1,4,' down'\n");
    REQUIRE(table);
    CHECK(table->class_names == std::vector<std::string>{"Up, fast", "it\"s", " down"});
    CHECK(table->labels == std::vector<std::uint8_t>{0, 0, 1, 2});
}

TEST_CASE("a nominal feature becomes a column for each value, a date seconds, and both are said") {
    const std::string text = with(head, "@attribute b real",
                                  "@attribute hand {left,right,'no one'}\n@attribute t date\n"
                                  "@attribute u date \"dd.MM.yyyy HH:mm\"") +
                             "1,7,left,2020-01-01,\"01.01.1970 00:01\",Walk\n"
                             "1,7,'no one',\"2020-01-01T00:00:02\",'02.01.1970 01:00',Sit\n"
                             "1,7,?,?,?,Sit\n{1 7,3 2020-01-03,4 '01.01.1970 00:00'}\n";
    const auto table = parse_arff(text);
    if (!table) FAIL(table.error().detail);
    CHECK(table->feature_names ==
          std::vector<std::string>{"a", "hand=left", "hand=right", "hand=no one", "t", "u"});
    const auto cell = [&](std::size_t row, std::size_t k) {
        return static_cast<double>(table->values[row * 6 + k]) + table->origin[k];
    };
    CHECK(cell(0, 1) == 1);
    CHECK(cell(0, 2) == 0);
    CHECK(cell(1, 3) == 1);
    CHECK(std::isnan(cell(2, 1)));
    CHECK(std::isnan(cell(2, 4)));
    CHECK(cell(3, 1) == 1);
    CHECK(cell(0, 5) == 60);
    CHECK(cell(1, 5) == 86400 + 3600);
    CHECK(cell(1, 4) == 1577836802.0);
    CHECK(noted(*table, "nominal_features") == 1);
    CHECK(noted(*table, "date_features") == 2);
    CHECK(table->user_names == std::vector<std::string>{"0", "1"});
}

TEST_CASE("Unix time keeps its seconds") {
    const auto table = parse_arff(head + "1,1700000001,1,Walk\n1,1700000002,1,Sit\n1,1700000003,1,Sit\n");
    REQUIRE(table);
    CHECK(table->values[2] - table->values[0] == 1.0f);
    CHECK(table->values[4] - table->values[0] == 2.0f);
}

TEST_CASE("settings choose the columns, without them names decide, and then the last nominal one") {
    const std::string other =
        "@relation t\n@attribute x real\n@attribute colour {red,green}\n"
        "@attribute size {s,l}\n@attribute who string\n@data\n1,red,s,a\n2,green,l,b\n";
    const auto table = [&](const std::string& label, const std::string& user, std::vector<std::string> ignored) {
        return parse_arff(other, {label, user, std::move(ignored)});
    };
    CHECK(table("", "", {}).error().error == Error{Code::file_syntax, 5, 1});  // who is text
    const auto by_default = table("", "", {"who"});
    REQUIRE(by_default);
    CHECK(by_default->class_names == std::vector<std::string>{"s", "l"});
    CHECK(by_default->features == 3);
    CHECK(by_default->users.empty());
    CHECK(by_default->notes.front().text.find("'size'") != std::string::npos);
    const auto chosen = table("COLOUR", "who", {"size"});
    REQUIRE(chosen);
    CHECK(chosen->class_names == std::vector<std::string>{"red", "green"});
    CHECK(chosen->users == std::vector<std::int32_t>{0, 1});
    CHECK(chosen->features == 1);
    CHECK(table("no", "", {"who"}).error().error.code == Code::column_missing);
    CHECK(table("", "", {"who", "sise"}).error().detail.find("'sise'") != std::string::npos);
    CHECK(table("size", "size", {"who"}).error().error == Error{Code::column_missing, 1});
}

TEST_CASE("a damaged ARFF file is refused with the line, what stands there and what is expected") {
    struct Wrong {
        std::string text;
        Error error;
        std::string part;  ///< of the sentence
    };
    std::string many;
    for (int k = 0; k < 257; ++k) many += "1,1,1,c" + std::to_string(k) + "\n";
    const Wrong all[] = {
        {"no relation", {Code::file_magic, 1, 0}, "line 1: 'no relation'"},
        {"33,Jogging,-0.69;\n", {Code::file_magic, 1, 0}, "@relation"},
        {"", {Code::file_magic, 0, 0}, "no @relation"},
        {"@relation x\n@attribute class {a}\n", {Code::file_magic, 2, 0}, "no @data"},
        {head, {Code::file_truncated, 6, 6}, "no row"},
        {head + "1,1,1,?\n", {Code::file_truncated, 7, 6}, "'?'"},
        {head + "1,2,Walk\n", {Code::column_count, 7, 3}, "declares 4"},
        {head + rows + "1,high,1,Walk\n", {Code::bad_number, 10, 2}, "line 10: 'high' stands in column 2 ('a')"},
        {head + "1,nan,1,Walk\n", {Code::bad_number, 7, 2}, "'nan'"},
        {head + "1,1e39,1,Walk\n", {Code::bad_number, 7, 2}, "'1e39'"},
        {head + "1,,1,Walk\n", {Code::bad_number, 7, 2}, "'?' where it is missing"},
        {head + "1,1,1,Run\n", {Code::label_out_of_range, 7, 4}, "'Walk', 'Sit'"},
        {head + "1,1,1,'Walk\n", {Code::file_syntax, 7, 4}, "not closed"},
        {head + "1,1,1,'Walk' Sit\n", {Code::file_syntax, 7, 4}, "stands behind"},
        {head + "{1 2,9 1}\n", {Code::file_syntax, 7, 1}, "'9' is no column"},
        {head + "{1 2,1 1}\n", {Code::file_syntax, 7, 2}, "twice"},
        {head + "{1 2\n", {Code::file_syntax, 7, 5}, "sparse row"},
        {head + "{1 a}\n", {Code::bad_number, 7, 2}, "'a'"},
        {with(head, "real", "\x1b[1mtext"), {Code::file_syntax, 4, 1}, "'\\x1b'"},
        {with(head, "real", "string"), {Code::file_syntax, 4, 1}, "is text"},
        {with(head, "real", "relational"), {Code::file_syntax, 4, 1}, "'relational'"},
        {with(head, "real", "date \"EEE\""), {Code::file_syntax, 4, 1}, "'E'"},
        {with(head, "b real", "b real 3"), {Code::file_syntax, 4, 1}, "'3' stands behind"},
        {with(head, "{Walk,Sit}", "{Walk,Walk}"), {Code::file_syntax, 5, 1}, "twice"},
        {with(head, "{Walk,Sit}", "{Walk,Sit"), {Code::file_syntax, 5, 1}, "closing brace"},
        {with(head, "attribute b", "attribute a"), {Code::file_syntax, 4, 1}, "line 3"},
        {with(head, "@attribute b", "@atribute b"), {Code::file_syntax, 4, 1}, "@atribute"},
        {with(head, "class {Walk,Sit}", "y real") + "1,1,1,1\n", {Code::column_missing, 0, 0}, "data.label"},
        {"@relation x\n@attribute class {a}\n@attribute user real\n@data\n",
         {Code::column_missing, 4, 2},
         "feature"},
        {with(head, "{Walk,Sit}", "string") + many, {Code::label_out_of_range, 263, 4}, "256"}};
    for (const Wrong& wrong : all) {
        INFO(wrong.text.substr(0, 400));
        const auto table = parse_arff(wrong.text);
        REQUIRE_FALSE(table);
        INFO(table.error().detail);
        CHECK(table.error().error == wrong.error);
        CHECK(table.error().detail.find(wrong.part) != std::string::npos);
        for (const char c : table.error().detail) CHECK(static_cast<unsigned char>(c) >= 0x20);
    }
}
