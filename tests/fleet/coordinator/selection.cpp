// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/selection.hpp"

#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

bool chosen(std::string_view expression, const std::set<std::string, std::less<>>& labels) {
    const auto result = selects(expression, [&](std::string_view name) { return labels.contains(name); });
    INFO(expression);
    REQUIRE(result);
    return *result;
}

std::string refusal(std::string_view expression) {
    const auto result = selects(expression, [](std::string_view) { return true; });
    INFO(expression);
    REQUIRE_FALSE(result);
    return result.error().text;
}

}  // namespace

TEST_CASE("labels are chosen by expressions") {
    CHECK(chosen("gpu,!lab", {"gpu"}));
    CHECK_FALSE(chosen("gpu,!lab", {"gpu", "lab"}));
    CHECK(chosen("a and not b", {"a"}));
    CHECK_FALSE(chosen("a and not b", {"a", "b"}));
    CHECK(chosen("a or b and c", {"a"}));  // "and" binds closer
    CHECK_FALSE(chosen("(a or b) and c", {"a"}));
    CHECK(chosen("!(a,b)", {"a"}));
    CHECK(chosen("not not a", {"a"}));
    CHECK(chosen("a-b.c", {"a-b.c"}));
}

TEST_CASE("an expression over labels that is none is refused where it goes wrong") {
    CHECK(refusal("") == "expected a name or label at character 1, where it ends");
    CHECK(refusal("gpu,,lab") == "expected a name or label at character 5: \",\"");
    CHECK(refusal("a and") == "expected a name or label at character 6, where it ends");
    CHECK(refusal("and") == "expected a name or label at character 1: \"and\"");
    CHECK(refusal("a b") == "expected \"and\", \"or\" or the end at character 3: \"b\"");
    CHECK(refusal("(a") == "expected \")\" at character 3, where it ends");
    CHECK(refusal("a)") == "expected \"and\", \"or\" or the end at character 2: \")\"");
    CHECK(refusal(std::string(100, '(') + "a") == "expected fewer brackets at character 34: \"(\"");
}
