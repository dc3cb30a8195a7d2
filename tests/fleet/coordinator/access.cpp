// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/access.hpp"

#include "fleet/coordinator/audit.hpp"
#include "fleet/coordinator/secrets.hpp"
#include "office.hpp"

#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace dunlin;

namespace {

std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a token is good until it is revoked, also for who opens the file again, and is nowhere in it") {
    const testing::Directory store;
    const auto access = *Access::open(store.path);
    const auto first = *access->create("grafana", Role::view, 7), second = *access->create("admin", Role::admin, 8);
    CHECK(first.secret != second.secret);
    CHECK(access->bearer(first.secret)->role == Role::view);
    CHECK(access->bearer(second.secret)->who == "token 2 (admin)");
    CHECK_FALSE(access->bearer(first.token.hash));
    CHECK_FALSE(access->bearer(""));
    CHECK(text_of(store.path / Access::file_name).find(first.secret) == std::string::npos);
    const auto session = access->log_in(first.secret, 0);
    REQUIRE(session);
    REQUIRE(access->session(session->secret, 1));
    REQUIRE(access->revoke(1));
    CHECK_FALSE(access->bearer(first.secret));
    CHECK_FALSE(access->session(session->secret, 1));
    CHECK(access->revoke(1).error().code == Code::out_of_range);
    const auto again = *Access::open(store.path);
    CHECK_FALSE(again->bearer(first.secret));
    CHECK(again->bearer(second.secret));
    CHECK(again->create("next", Role::view, 9)->token.number == 3);  // a number names one token for ever
}

TEST_CASE("with an admin's token end the links that it may have made, and those who came by them") {
    const testing::Directory store;
    const auto access = *Access::open(store.path);
    const auto admin = *access->create("admin", Role::admin, 7), view = *access->create("grafana", Role::view, 8);
    const std::string code = access->new_code(Role::admin, "a link", 0),
                      used = access->new_code(Role::view, "a link", 0);
    const auto by_link = access->log_in(used, 1), by_token = access->log_in(view.secret, 1);
    const auto kept = *access->create("other", Role::view, 9);
    REQUIRE(access->revoke(kept.token.number));  // a view token makes no links
    REQUIRE(access->session(by_link->secret, 2));
    REQUIRE(access->revoke(admin.token.number));
    CHECK_FALSE(access->log_in(code, 2));
    CHECK_FALSE(access->session(by_link->secret, 2));
    CHECK(access->session(by_token->secret, 2));
}

TEST_CASE("a token that logs in again and again pushes out its own sessions alone") {
    const testing::Directory store;
    const auto access = *Access::open(store.path);
    const auto one = *access->create("one", Role::view, 7), two = *access->create("two", Role::admin, 8);
    const auto other = access->log_in(two.secret, 0), oldest = access->log_in(one.secret, 1),
               second = access->log_in(one.secret, 2);
    for (std::ptrdiff_t k = 1; k < Access::most_of_token; ++k) REQUIRE(access->log_in(one.secret, 2 + k));
    CHECK(access->session(other->secret, 100));
    CHECK_FALSE(access->session(oldest->secret, 100));
    CHECK(access->session(second->secret, 100));
}

TEST_CASE("a page that only stays open does not keep its session from ending") {
    const testing::Directory store;
    const auto access = *Access::open(store.path);
    const auto session = access->log_in(access->new_code(Role::view, "a link", 0), 0);
    CHECK(access->session(session->secret, Access::idle_ms - 1, false));
    CHECK_FALSE(access->session(session->secret, Access::idle_ms, false));
}

TEST_CASE("a file of tokens whose next number is none is refused") {
    const testing::Directory store;
    std::ofstream(store.path / Access::file_name) << R"({"next": "3", "tokens": []})";
    const auto access = Access::open(store.path);
    REQUIRE_FALSE(access);
    CHECK(access.error().code == Code::file_syntax);
}

TEST_CASE("a code opens one session within ten minutes, and a session ends") {
    const testing::Directory store;
    const auto access = *Access::open(store.path);
    const std::string code = access->new_code(Role::operate, "a link", 0),
                      late = access->new_code(Role::view, "a link", 0);
    const auto session = access->log_in(code, Access::code_ms - 1);
    REQUIRE(session);
    CHECK(session->visitor.role == Role::operate);
    CHECK_FALSE(access->log_in(code, Access::code_ms - 1));
    CHECK_FALSE(access->log_in(late, Access::code_ms));
    std::int64_t now = Access::code_ms;
    CHECK(access->session(session->secret, now));
    CHECK_FALSE(access->session(session->secret + "x", now));
    for (; now < Access::session_ms; now += Access::idle_ms - 1) CHECK(access->session(session->secret, now));
    CHECK_FALSE(access->session(session->secret, Access::code_ms - 1 + Access::session_ms));
    const auto idle = access->log_in(access->new_code(Role::view, "a link", now), now);
    CHECK_FALSE(access->session(idle->secret, now + Access::idle_ms));
}

TEST_CASE("the audit log is a chain that a changed, missing or added line breaks") {
    const testing::Directory store;
    {
        auto log = *AuditLog::open(store.path);
        for (const char* what : {"one", "two", "three"}) REQUIRE(log.add({{"what", what}}));
    }
    const std::filesystem::path path = store.path / AuditLog::file_name;
    const std::string whole = text_of(path);
    const auto read = *AuditLog::read(store.path, "", 2);
    CHECK(read.lines == 3);
    CHECK_FALSE(read.broken_at);
    CHECK(read.newest.size() == 2);
    CHECK(read.head == blake2b_hex(read.newest.back()));
    const auto broken = [&](const std::string& text) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
        return AuditLog::read(store.path, read.head, 0)->broken_at;
    };
    std::string changed = whole;
    changed.replace(changed.find("two"), 3, "owt");
    CHECK(broken(changed) == 3u);
    const std::size_t first = whole.find('\n') + 1, second = whole.find('\n', first) + 1;
    CHECK(broken(whole.substr(first)) == 1u);
    CHECK(broken(whole.substr(0, first) + whole.substr(second)) == 2u);
    // Its end, cut off, is missed by who kept a head.
    CHECK_FALSE(broken(whole.substr(0, second)));
    CHECK_FALSE(AuditLog::read(store.path, read.head, 0)->asked_at);
    // A line that a crash left unfinished is none, and the next one follows what is whole.
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole << "{\"what\":\"fo";
    auto log = *AuditLog::open(store.path);
    REQUIRE(log.add({{"what", "four"}}));
    const auto after = *AuditLog::read(store.path, read.head, 0);
    CHECK(after.lines == 4);
    CHECK_FALSE(after.broken_at);
    CHECK(after.asked_at == 3u);
}

TEST_CASE("what no table of roles names takes an admin, and is an action") {
    CHECK(rule_of("status").role == Role::view);
    CHECK_FALSE(rule_of("status").action);
    CHECK(rule_of("run").role == Role::operate);
    for (const char* command : {"revoke", "restore", "token-create", "audit", "", "statuss"})
        CHECK(rule_of(command).role == Role::admin);
    CHECK(rule_of("nobody knows it").action);
    for (const Role role : {Role::view, Role::operate, Role::admin}) CHECK(role_named(name_of(role)) == role);
    CHECK_FALSE(role_named("root"));
}

TEST_CASE("an enrolment token is one key's alone, for a while, and stays used") {
    const testing::Directory store;
    const std::string first(64, 'a'), second(64, 'b');
    constexpr std::int64_t made_ms = 1'000'000, until_ms = made_ms + 60'000;
    const auto access = *Access::open(store.path);
    const auto made = *access->create_enrolment("board", made_ms, until_ms);
    CHECK(text_of(store.path / Access::file_name).find(made.secret) == std::string::npos);
    REQUIRE(access->enrolment(made.secret, made_ms));
    CHECK_FALSE(access->enrolment(made.secret, until_ms));
    CHECK_FALSE(access->enrolment(made.enrolment.hash, made_ms));
    CHECK_FALSE(access->enrolment(made.enrolment.number + 1, made_ms));
    // It opens nothing but the roster.
    CHECK_FALSE(access->bearer(made.secret));
    CHECK_FALSE(access->log_in(made.secret, 0));
    REQUIRE(access->use_enrolment(made.enrolment.number, first, false));
    CHECK(access->use_enrolment(made.enrolment.number, second, true).error().code == Code::out_of_range);
    REQUIRE(access->use_enrolment(made.enrolment.number, first, true));
    const auto again = *Access::open(store.path);
    const auto kept = again->enrolment(made.secret, made_ms);
    REQUIRE(kept);
    CHECK(kept->key == first);
    CHECK(kept->done);
    CHECK(kept->label == "board");
    REQUIRE(again->create("grafana", Role::view, made_ms));  // writes the file anew
    CHECK((*Access::open(store.path))->enrolment(made.secret, made_ms)->done);
    REQUIRE(again->revoke(made.enrolment.number));
    CHECK_FALSE(again->enrolment(made.secret, made_ms));
    CHECK_FALSE((*Access::open(store.path))->enrolment(made.secret, made_ms));
    // One that is over makes room.
    (void)*again->create_enrolment("board", made_ms, until_ms);
    (void)*again->create_enrolment("board", until_ms, until_ms + 1);
    CHECK(again->enrolments(made_ms).size() == 1);
}
