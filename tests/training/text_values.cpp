// SPDX-License-Identifier: Apache-2.0
#include "training/host/text_values.hpp"

#include "training/host/shell_text.hpp"

#include <cstdio>
#include <cstdlib>

#include <catch2/catch.hpp>

using namespace dunlin;

TEST_CASE("whole numbers are decimal, and everything else is none") {
    CHECK(whole_number("010") == 10);
    CHECK(whole_number("0100") == 100);
    CHECK(whole_number("08") == 8);
    CHECK(whole_number("+5") == 5);
    CHECK(whole_number("-7") == -7);
    CHECK(whole_number(" 3 ") == 3);
    CHECK(whole_number("1_000") == 1000);
    CHECK(whole_number("9223372036854775807") == INT64_MAX);
    for (const char* text : {"",
                             " ",
                             "+",
                             "-",
                             "+-1",
                             "--1",
                             "0x10",
                             "0b1",
                             "0o7",
                             "1e3",
                             "1.0",
                             "1.",
                             "3x",
                             "1 2",
                             "_1",
                             "1_",
                             "1__0",
                             "9223372036854775808",
                             "99999999999999999999",
                             "nan",
                             "inf",
                             "true",
                             "\xD9\xA3"}) {
        INFO(text);
        CHECK_FALSE(whole_number(text));
    }
}

TEST_CASE("real numbers are finite and decimal, and everything else is none") {
    CHECK(real_number("1") == 1.0);
    CHECK(real_number(".5") == 0.5);
    CHECK(real_number("-.5") == -0.5);
    CHECK(real_number("+.5") == 0.5);
    CHECK(real_number("5.") == 5.0);
    CHECK(real_number("1e-3") == 1e-3);
    CHECK(real_number("010") == 10.0);
    for (const char* text : {"", ".", "e3", "nan", "NaN", "inf", "-infinity", "0x1p3", "1,5", "1.5f", "1e999",
                             "1e-999", "+-1", "1 2", "true"}) {
        INFO(text);
        CHECK_FALSE(real_number(text));
    }
}

TEST_CASE("a list is split at commas outside brackets and quotes") {
    using Parts = std::vector<std::string>;
    CHECK(split_list("1,2.5,-3") == Parts{"1", "2.5", "-3"});
    CHECK(split_list("[1,2],[3],[]") == Parts{"[1,2]", "[3]", "[]"});
    CHECK(split_list("'a,b',\"c,d\"") == Parts{"'a,b'", "\"c,d\""});
    CHECK(split_list("['a,]b',\"c\\\",d\"], e") == Parts{"['a,]b',\"c\\\",d\"]", "e"});
    CHECK(split_list("one") == Parts{"one"});
    CHECK(split_list("1,") == Parts{"1", ""});
    CHECK(split_list("Bob's.map,it's.map") == Parts{"Bob's.map", "it's.map"});
    CHECK(split_list("./m.map , empty-5x5") == Parts{"./m.map", "empty-5x5"});
}

TEST_CASE("a home folder is expanded where a shell would, and nowhere else") {
    const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    if (!home.empty()) {
        CHECK(expand_home("~") == home);
        CHECK(expand_home("~/a b") == home + "/a b");
    }
    for (const char* text : {"", "~user/a", "a/~/b", "./~", "/~/x"}) CHECK(expand_home(text) == text);
}

TEST_CASE("a shell reads a word back as it was") {
    for (const std::string text : {"plain/path-1.0", "a b", "it's", "\"x\"", "$HOME", "`id`", "a\nb", "*", "~", "",
                                   "#x", "a;b", "\\", "!", "''", "k=v", "(x)", "\xC3\xBC"}) {
        FILE* shell = ::popen(("printf '%s|' " + shell_word(text)).c_str(), "r");
        REQUIRE(shell != nullptr);
        char out[64] = "";
        const std::size_t count = std::fread(out, 1, sizeof out, shell);
        ::pclose(shell);
        CHECK(std::string(out, count) == text + "|");
    }
    CHECK(shell_path("-x") == "./-x");
}
