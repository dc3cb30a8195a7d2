// SPDX-License-Identifier: Apache-2.0
// Who may ask this desk from elsewhere, and what was asked of it.
#include "fleet/coordinator/desk_commands.hpp"
#include "fleet/coordinator/secrets.hpp"
#include "fleet/jobs/experiments.hpp"
#include "transport/zeromq/keys.hpp"

#include <chrono>

#include <fmt/format.h>

namespace dunlin {
namespace {

std::int64_t unix_now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

Role role_of(const Json& asked) {
    const auto role = role_named(text_of(asked, "role"));
    if (!role) complain("--role: expected view, operate, admin or, for a new node, enrol");
    return *role;
}

/// What an action asks for, short enough for a line: of long texts (an experiment) their hash.
Json abridged(Json asked) {
    constexpr std::size_t longest = 200;
    for (auto& [key, value] : asked.items()) {
        const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
        if (text.size() > longest) value = {{"bytes", text.size()}, {"blake2b", blake2b_hex(text)}};
    }
    return asked;
}

}  // namespace

Result<Access*> Desk::access() {
    if (!place_.access) {
        auto opened = Access::open(coordinator_.store().directory());
        if (!opened) return tl::unexpected(opened.error());
        place_.access = *std::move(opened);
    }
    return place_.access.get();
}

Result<void> Desk::note(Json entry) {
    if (!audit_) {
        auto opened = AuditLog::open(coordinator_.store().directory());
        if (!opened) return tl::unexpected(opened.error());
        audit_.emplace(*std::move(opened));
    }
    return audit_->add(std::move(entry));
}

std::optional<Letter> Desk::refuse_files(const Letter& request) {
    const Json asked = Json::parse(request.json, nullptr, false);
    const auto experiment = asked.is_object() ? asked.find("experiment") : asked.end();
    if (!asked.is_object() || experiment == asked.end() || !experiment->is_string()) return std::nullopt;
    auto settings = read_deployed(experiment->get<std::string>(), "the experiment");
    if (!settings) return std::nullopt;  // whoever plans it says what is wrong with it, and reads no file
    const auto none = check_names_no_file(*settings);
    if (none) return std::nullopt;
    return Letter{refusal(none.error(), 0).dump(-1, ' ', false, Json::error_handler_t::replace), {}};
}

std::optional<Letter> Desk::note_asked(const Letter& request, const std::string& who) {
    const Json asked = Json::parse(request.json, nullptr, false);
    const auto command = asked.is_object() ? asked.find("command") : asked.end();
    if (command == asked.end() || !command->is_string()) return std::nullopt;  // it is refused anyway
    if (!rule_of(command->get<std::string>()).action) return std::nullopt;
    const auto noted =
        note({{"time_ms", unix_now_ms()}, {"who", who}, {"what", "asked"}, {"request", abridged(asked)}});
    if (noted) return std::nullopt;
    Failure failure = describe(noted.error(), AuditLog::file_name);
    failure.text += "; nothing was done, for what is done must be written there";
    failure.unable = true;
    return Letter{refusal(failure, static_cast<int>(noted.error().code)).dump(), {}};
}

void Desk::note_answered(const Letter& request, const std::string& who, const Letter& reply) {
    const Json asked = Json::parse(request.json, nullptr, false);
    const auto command = asked.is_object() ? asked.find("command") : asked.end();
    if (command == asked.end() || !command->is_string() || !rule_of(command->get<std::string>()).action) return;
    const Json told = Json::parse(reply.json, nullptr, false);
    const bool done = told.value("ok", false);
    Json entry{
        {"time_ms", unix_now_ms()}, {"who", who}, {"what", done ? "done" : "refused"}, {"command", *command}};
    if (!done) entry["text"] = abridged({{"text", told["error"].value("text", "")}})["text"];
    for (const char* key : {"job", "number"}) {
        if (done && told.contains(key)) entry[key] = told[key];
    }
    (void)note(std::move(entry));  // that it was asked for is written, and what it did is in the store
}

Json Desk::Commands::token_create(const Json& asked) {
    if (text_of(asked, "role") == "enrol") return create_enrolment(asked);
    const std::string name = text_of(asked, "name");
    const Role role = role_of(asked);
    check_name("--name", name);
    Access& access = *need(desk.access(), Access::file_name);
    const Access::Made made = need(access.create(name, role, unix_now_ms()), "a token");
    return {{"token", made.secret}, {"number", made.token.number}, {"name", name}, {"role", name_of(role)}};
}

Json Desk::Commands::token_list() {
    Json all = Json::array();
    for (const Access::Token& token : need(desk.access(), Access::file_name)->tokens())
        all.push_back({{"number", token.number},
                       {"name", token.name},
                       {"role", name_of(token.role)},
                       {"made_unix_ms", token.made_unix_ms}});
    for (const Access::Enrolment& enrolment : need(desk.access(), Access::file_name)->enrolments(unix_now_ms()))
        all.push_back({{"number", enrolment.number},
                       {"name", enrolment.label},
                       {"role", "enrol"},
                       {"made_unix_ms", enrolment.made_unix_ms},
                       {"until_unix_ms", enrolment.until_unix_ms},
                       {"used", !enrolment.key.empty()}});
    return {{"tokens", all}};
}

Json Desk::Commands::create_enrolment(const Json& asked) {
    const std::string label = text_of(asked, "label");
    if (label.empty()) complain("--label: which label is the new node to have?");
    check_name("--label", label);
    const std::uint64_t wanted = number_of(asked, "minutes");
    const auto minutes = wanted == 0 ? Access::enrolment_minutes
                                     : static_cast<std::int64_t>(std::min<std::uint64_t>(wanted, 1u << 20));
    if (minutes > Access::most_enrolment_minutes)
        complain(fmt::format("--minutes {}: at most {}", minutes, Access::most_enrolment_minutes));
    if (desk.place_.web.empty())
        complain("no node could reach this fleet to enrol; first: dunlin fleet serve --web, with TLS off loopback");
    Access& access = *need(desk.access(), Access::file_name);
    const std::int64_t now = unix_now_ms();
    const Access::MadeEnrolment made =
        need(access.create_enrolment(label, now, now + minutes * 60'000), "an enrolment token");
    // It says whom to believe: the key that nodes are to find here, and the certificate in front of it.
    std::string token = fmt::format("{}.{}", made.secret, desk.place_.server_key);
    if (constexpr std::string_view kind = "sha256:"; desk.place_.web_pin.starts_with(kind))
        token += fmt::format(".{}", desk.place_.web_pin.substr(kind.size()));
    return {{"token", token},
            {"number", made.enrolment.number},
            {"label", label},
            {"role", "enrol"},
            {"until_unix_ms", made.enrolment.until_unix_ms},
            {"web", desk.place_.web}};
}

Json Desk::Commands::enrol(const Json& asked) {
    const std::uint64_t number = number_of(asked, "token");
    const std::string name = text_of(asked, "name");
    Access& access = *need(desk.access(), Access::file_name);
    const auto enrolment = access.enrolment(number, unix_now_ms());
    if (!enrolment) complain(fmt::format("enrolment token {} is over", number));
    const PublicKey wanted = key(asked);
    const std::string hex = to_hex(wanted);
    if (!enrolment->key.empty() && enrolment->key != hex)
        complain(
            "this token was used by a node with another key; another token: dunlin fleet token create --role "
            "enrol");
    const Roster& roster = state().roster();
    auto known = roster.find(wanted);
    if (!known && enrolment->done)
        complain(
            "this token was used, and its node is not on the roster any more; another token, if it may come back");
    if (known && enrolment->key.empty()) complain(roster[*known].name + " is on the roster already, with this key");
    if (!known) {
        check_name("the name", name);
        // A name that was revoked would be the old node again, with what is known of it.
        if (roster.find(name)) complain(fmt::format("--name {}: another node has, or had, this name", name));
        need(access.use_enrolment(number, hex, false), Access::file_name);
        known = need(coordinator.admit({.name = name, .key = wanted, .labels = {enrolment->label}}), name);
    }
    need(access.use_enrolment(number, hex, true), Access::file_name);
    return {{"node", *known},
            {"name", roster[*known].name},
            {"endpoint", desk.place_.endpoint},
            {"server_key", desk.place_.server_key}};
}

Json Desk::Commands::token_revoke(const Json& asked) {
    const std::uint64_t number = number_of(asked, "number");
    Access& access = *need(desk.access(), Access::file_name);
    if (auto done = access.revoke(number); !done) {
        if (done.error().code == Code::out_of_range)
            complain(fmt::format("there is no token {}; `dunlin fleet token list` lists them", number));
        complain(done.error(), Access::file_name);
    }
    return {{"number", number}};
}

Json Desk::Commands::token_link(const Json& asked) {
    const Role role = role_of(asked);
    if (desk.place_.web.empty())
        complain("no browser reaches this fleet; first: dunlin fleet serve --web 127.0.0.1:7710");
    Access& access = *need(desk.access(), Access::file_name);
    const std::string code = access.new_code(role, fmt::format("a link ({})", name_of(role)), now_ms);
    return {{"link", desk.place_.web + "/#login=" + code},
            {"role", name_of(role)},
            {"minutes", Access::code_ms / 60'000}};
}

Json Desk::Commands::audit(const Json& asked) {
    const std::uint64_t lines = std::min<std::uint64_t>(number_of(asked, "lines"), 10'000);
    const std::string head = text_of(asked, "head");
    const AuditLog::Read read =
        need(AuditLog::read(coordinator.store().directory(), head, static_cast<std::size_t>(lines)),
             AuditLog::file_name);
    Json told{{"lines", read.lines}, {"head", read.head}, {"whole", !read.broken_at}};
    if (read.broken_at) told["broken_at"] = *read.broken_at;
    if (!head.empty()) told["asked_at"] = read.asked_at ? Json(*read.asked_at) : Json();
    Json newest = Json::array();
    for (const std::string& line : read.newest) {
        Json entry = Json::parse(line, nullptr, false);
        newest.push_back(entry.is_object() ? std::move(entry) : Json{{"what", "unreadable"}, {"text", line}});
    }
    told["newest"] = newest;
    return told;
}

}  // namespace dunlin
